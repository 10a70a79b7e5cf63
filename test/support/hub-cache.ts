import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { writeSafetensors, type TensorValues } from './write-safetensors.js'

/** A commit by a digit, as tests tell them apart. */
export const commitOf = (digit: number): string => String(digit).repeat(40)

/** Puts files into a Hugging Face cache, as its own tools do: blobs by digest, and links to them from the snapshot. */
export const cacheFiles = (
  cache: string,
  repository: string,
  commit: string,
  files: Readonly<Record<string, string | Uint8Array>>,
  ref?: string,
): string => {
  const home = join(cache, `models--${repository.replaceAll('/', '--')}`)
  const snapshot = join(home, 'snapshots', commit)
  mkdirSync(join(home, 'blobs'), { recursive: true })
  mkdirSync(snapshot, { recursive: true })
  for (const [name, content] of Object.entries(files)) {
    const blob = join(home, 'blobs', createHash('sha256').update(content).digest('hex'))
    const link = join(snapshot, name)
    writeFileSync(blob, content)
    mkdirSync(dirname(link), { recursive: true })
    symlinkSync(relative(dirname(link), blob), link)
  }
  if (ref !== undefined) {
    mkdirSync(dirname(join(home, 'refs', ref)), { recursive: true })
    writeFileSync(join(home, 'refs', ref), commit)
  }
  return snapshot
}

/** The bytes of a small safetensors file; `scratch` is a path that may be written to. */
export const safetensorsBytes = (scratch: string, tensors: Readonly<Record<string, TensorValues>>): Buffer => {
  writeSafetensors(scratch, tensors)
  return readFileSync(scratch)
}
