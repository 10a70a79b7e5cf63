import { expect, test, vi } from 'vitest'
import { loadKernels, type Kernels } from '#src/kernels/kernels.js'

/** Kernels of an engine that knows no relaxed SIMD. */
const loadOlder = (): Kernels => {
  const engine = Reflect.get(globalThis, 'WebAssembly') as { validate(bytes: Uint8Array): boolean }
  const validate = vi.spyOn(engine, 'validate').mockReturnValue(false)
  try {
    return loadKernels()
  } finally {
    expect(validate).toHaveBeenCalledOnce()
    validate.mockRestore()
  }
}

test('an engine without relaxed SIMD gives the same products and sums', () => {
  const [older, newer] = [loadOlder(), loadKernels()].map((kernels) => {
    const n = 4096
    const [x, y, out, sums] = [4 * n, 4 * n, 4 * n, 64].map((bytes) => kernels.alloc(bytes)) as [
      number,
      number,
      number,
      number,
    ]
    kernels.gaussian(x, 0, n, { k0: 1, k1: 2 })
    kernels.gaussian(y, 0, n, { k0: 3, k1: 4 })
    const dot = kernels.dot(x, y, n)
    kernels.dotTurns(x, y, n, sums, 8, 0, 1, 1)
    const numbers = [x, y].map((at) => kernels.view(Float32Array, at, n))
    for (const few of numbers) few.set(few.map((value) => Math.round(64 * value) / 64))
    expect(kernels.areExact(x, n, y, n)).toBe(true)
    kernels.exactRows(out, 64, 64, x, 64, y, 64, 64)
    return [dot, ...kernels.view(Float64Array, sums, 8), ...kernels.view(Float32Array, out, n)]
  })
  expect(older).toEqual(newer)
})
