import { closeSync, openSync } from 'node:fs'
import { blake3, toDigest, type Digest } from '../base/digest.js'
import { ok, type Result } from '../base/result.js'
import { readHeader } from '../safetensors/open.js'
import { readFully } from '../safetensors/positional.js'
import { READ_ONLY } from '../safetensors/regular-file.js'
import type { KnownFile } from '../store/files.js'
import { withoutWebHashes } from '../safetensors/web-hashes.js'
import type { TensorInfo } from '../tensor/info.js'
import { digestTensors } from './digest-tensors.js'
import type { RunOptions } from './options.js'

/** Bytes of inputs as they are now, and which earlier outputs still are what was written. */
export interface Rechecked {
  digestOf(tensor: TensorInfo): Digest | undefined
  readonly sound: ReadonlySet<string>
}

const tensorsIn = async (path: string, { tensors }: KnownFile): Promise<readonly TensorInfo[]> => {
  if (tensors.size === 0) return []
  const opened = await readHeader(path)
  return opened.type === 'ok' ? [...opened.value.tensors.values()] : []
}

/** Everything of a file in front of its data; all of it where it has no tensors. Undefined where it cannot be read. */
const frontOf = (path: string, { identity: { size }, tensors }: KnownFile): Uint8Array | undefined => {
  const front = new Uint8Array([...tensors.values()].reduce((least, t) => Math.min(least, t.begin), size))
  try {
    const fd = openSync(path, READ_ONLY)
    try {
      return readFully(fd, path, front, 0) === undefined ? front : undefined
    } finally {
      closeSync(fd)
    }
  } catch {
    return undefined
  }
}

/** Reads inputs, and the outputs of earlier builds, whatever the system says of their times. */
export const recheck = async (
  inputs: readonly TensorInfo[],
  earlier: ReadonlyMap<string, KnownFile>,
  options: RunOptions,
): Promise<Result<Rechecked>> => {
  const stored = new Map<string, readonly TensorInfo[]>()
  for (const [path, file] of earlier) stored.set(path, await tensorsIn(path, file))
  const read = (tensors: readonly TensorInfo[]) =>
    digestTensors(
      tensors.filter((t) => t.begin < t.end),
      options,
    )
  const digests = await read(inputs)
  if (digests.type === 'failed') return digests
  // An output that cannot be read is written again.
  const outputs = await read([...stored.values()].flat())
  const isSound = (path: string, file: KnownFile): boolean => {
    const found = stored.get(path)!
    const front = found.length === file.tensors.size ? frontOf(path, file) : undefined
    return (
      front !== undefined &&
      [front, withoutWebHashes(front)].some((header) => file.header === toDigest(blake3(header))) &&
      found.every(
        (t) => t.begin === t.end || (outputs.type === 'ok' && file.tensors.get(t.name)?.digest === outputs.value(t)),
      )
    )
  }
  return ok({
    digestOf: digests.value,
    sound: new Set([...earlier].flatMap(([path, file]) => (isSound(path, file) ? [path] : []))),
  })
}
