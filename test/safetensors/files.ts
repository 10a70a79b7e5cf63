import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { Diagnostic } from '#src/base/diagnostic.js'
import type { Result } from '#src/base/result.js'

/** An empty folder that is gone after the test. */
export const makeFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'smelt-safetensors-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Writes a file into a folder, making folders on the way, and gives its path. */
export const put = (folder: string, name: string, content: string | Uint8Array): string => {
  const path = join(folder, name)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, content)
  return path
}

/** A safetensors file of a header's text and some data: bytes, or a number of zeros. */
export const toFile = (header: string | Uint8Array, data: Uint8Array | number = 0): Buffer => {
  const bytes = Buffer.from(header as string)
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(bytes.length))
  return Buffer.concat([length, bytes, typeof data === 'number' ? Buffer.alloc(data) : data])
}

/** The header's text of U8 tensors of one byte each. */
export const bytesHeader = (...names: readonly string[]): string =>
  JSON.stringify(
    Object.fromEntries(names.map((name, i) => [name, { dtype: 'U8', shape: [1], data_offsets: [i, i + 1] }])),
  )

/** The codes of a result's diagnostics. */
export const codesOf = (result: Result<unknown>): string[] => result.diagnostics.map((d) => d.code)

/** The value of a result that must be there. */
export const valueOf = <T>(result: Result<T>): T => {
  if (result.type === 'failed') throw new Error(JSON.stringify(result.diagnostics, null, 1))
  return result.value
}

/** The one problem of a result that must have failed with one. */
export const problemOf = (result: Result<unknown>): Diagnostic => {
  const [problem, ...more] = result.diagnostics
  if (result.type === 'ok' || problem === undefined || more.length > 0)
    throw new Error(`not one problem: ${codesOf(result).join()}`)
  return problem
}

/** Numbers in 0..1 that depend on the seed only. */
export const makeRandom = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
