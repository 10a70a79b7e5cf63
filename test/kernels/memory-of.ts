import { expect } from 'vitest'
import { loadKernels } from '#src/kernels/kernels.js'

/** One instance for a test file. */
export const kernels = loadKernels()

type Numbers = Float32Array | Uint8Array | Uint16Array | Uint32Array

const GUARD = 32

/** Copies an array into the kernels' memory, `shift` bytes past an aligned place. */
export const put = (data: Numbers, shift = 0): number => {
  const at = kernels.alloc(data.byteLength + shift) + shift
  kernels.view(Uint8Array, at, data.byteLength).set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
  return at
}

/** Lets a kernel write `bytes` bytes, `shift` bytes past an aligned place, and fails when it writes outside of them. */
export const written = (bytes: number, shift: number, write: (at: number) => void): Uint8Array<ArrayBuffer> => {
  const size = bytes + 2 * GUARD
  const start = kernels.alloc(size + shift) + shift
  kernels.view(Uint8Array, start, size).fill(0xa5)
  write(start + GUARD)
  const all = kernels.view(Uint8Array, start, size).slice()
  const outside = [...all.subarray(0, GUARD), ...all.subarray(GUARD + bytes)]
  expect(outside.every((byte) => byte === 0xa5)).toBe(true)
  return all.slice(GUARD, GUARD + bytes)
}

/** The same, of float32. */
export const writtenFloats = (n: number, shift: number, write: (at: number) => void): Float32Array =>
  new Float32Array(written(4 * n, shift, write).buffer)

/** Random float32 bit patterns: every exponent, denormals, and NaN and infinity now and then. */
export const anyFloats = (n: number, k1: number): Float32Array<ArrayBuffer> =>
  new Float32Array(randomWords(n, k1).buffer)

/** Random finite float32 of ordinary size. */
export const normals = (n: number, k1: number): Float32Array<ArrayBuffer> => {
  const at = kernels.alloc(4 * n)
  kernels.gaussian(at, 0, n, { k0: 77, k1 })
  return kernels.view(Float32Array, at, n).slice()
}

/** Random u32. */
export const randomWords = (n: number, k1: number): Uint32Array<ArrayBuffer> => {
  const at = kernels.alloc(4 * n)
  kernels.randomBits(at, 0, n, { k0: 78, k1 })
  return kernels.view(Uint32Array, at, n).slice()
}
