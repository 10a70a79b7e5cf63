import { expect, test } from 'vitest'
import { loadKernels } from '#src/kernels/kernels.js'

test('parts of the memory are aligned, zeroed and do not overlap', () => {
  const kernels = loadKernels()
  const sizes = [1, 15, 16, 17, 100_000, 0, 3_000_000]
  const parts = sizes.map((bytes) => kernels.alloc(bytes))
  parts.forEach((at, i) => {
    expect(at % 16).toBe(0)
    const view = kernels.view(Uint8Array, at, sizes[i]!)
    expect(view.every((byte) => byte === 0)).toBe(true)
    view.fill(255)
  })
})

test('what was written stays when the memory grows', () => {
  const kernels = loadKernels()
  const at = kernels.alloc(8)
  const before = kernels.view(Uint16Array, at, 4)
  before.set([1, 2, 3, 4])
  kernels.alloc(2 ** 20)
  expect(before.length).toBe(0)
  expect([...kernels.view(Uint16Array, at, 4)]).toEqual([1, 2, 3, 4])
})

test('two instances share no memory', () => {
  const [a, b] = [loadKernels(), loadKernels()]
  const at = a.alloc(16)
  a.view(Uint8Array, at, 16).fill(9)
  expect(b.alloc(16)).toBe(at)
  expect(b.view(Uint8Array, at, 16)[0]).toBe(0)
})

test('drawing takes no memory, so views taken before stay valid', () => {
  const kernels = loadKernels()
  const at = kernels.alloc(4096)
  const view = kernels.view(Float32Array, at, 1000)
  kernels.gaussian(at, 0, 1000, { k0: 1, k1: 2 })
  kernels.partition(at, 0, 1000, { k0: 1, k1: 2 }, [1, 1])
  kernels.uniform(at, 0, 1000, { k0: 1, k1: 2 })
  expect(view.length).toBe(1000)
})
