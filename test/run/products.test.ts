import { closeSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { LowRankFactors } from '#src/graph/expression.js'
import { loadKernels } from '#src/kernels/kernels.js'
import { createLowRankProducts } from '#src/run/low-rank.js'
import { sliceOf, wholeOf, type View } from '#src/tensor/view.js'
import { inFolder } from '../support/build-run.js'

/** Factors of rank 1 in a file: four rows 1, 2, 3, 4 and two columns 1, 10; and other columns 5, 7. */
const inFactors = (
  work: (
    fill: (product: LowRankFactors) => readonly number[],
    load: (product: LowRankFactors) => unknown,
    factors: Readonly<Record<'up' | 'down' | 'other', View>>,
  ) => void,
): Promise<void> =>
  inFolder(async (folder) => {
    const file = join(folder, 'factors')
    writeFileSync(file, Buffer.from(Float32Array.of(1, 2, 3, 4, 1, 10, 5, 7).buffer))
    const view = (name: string, shape: readonly number[], first: number): View =>
      wholeOf({ name, dtype: 'F32', shape, file, begin: 4 * first, end: 4 * (first + shape[0]! * shape[1]!) })
    const kernels = loadKernels()
    const fd = openSync(file, 'r')
    const products = createLowRankProducts(kernels, () => fd)
    const out = kernels.alloc(4 * 12)
    const load = (product: LowRankFactors): unknown => products.load(0, product)
    work(
      (product) => {
        load(product)
        products.fill(0, out, 0, 12)
        return [...kernels.view(Float32Array, out, 12)]
      },
      load,
      { up: view('up', [4, 1], 0), down: view('down', [1, 2], 4), other: view('other', [1, 2], 6) },
    )
    closeSync(fd)
  })

test('factors are read once for a use, and lie wherever a product has them', () =>
  inFactors((fill, load, { up, down }) => {
    const top: LowRankFactors = { up: sliceOf(up, 0, 0, 2), down, mid: undefined, rank: 1, columns: 2, firstRow: 0 }
    expect(load(top)).toBe(16)
    expect(fill(top)).toEqual([1, 10, 2, 20, 0, 0, 0, 0, 0, 0, 0, 0])
    expect(load({ ...top, firstRow: 4 })).toBe(0)
    expect(fill({ ...top, firstRow: 4 })).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 1, 10, 2, 20])
  }))

test('other rows of the same factor are other factors, and so are other columns', () =>
  inFactors((fill, _load, { up, down, other }) => {
    const product = (view: View, columns: View): LowRankFactors => ({
      up: view,
      down: columns,
      mid: undefined,
      rank: 1,
      columns: 2,
      firstRow: 0,
    })
    expect(fill(product(sliceOf(up, 0, 0, 2), down)).slice(0, 4)).toEqual([1, 10, 2, 20])
    expect(fill(product(sliceOf(up, 0, 2, 2), down)).slice(0, 4)).toEqual([3, 30, 4, 40])
    expect(fill(product(sliceOf(up, 0, 2, 2), other)).slice(0, 4)).toEqual([15, 21, 20, 28])
  }))

test('factors that could not be read are read again', () =>
  inFactors((fill, load, { up, down }) => {
    const product: LowRankFactors = { up: sliceOf(up, 0, 0, 2), down, mid: undefined, rank: 1, columns: 2, firstRow: 0 }
    const beyond = { ...down, tensor: { ...down.tensor, begin: 400, end: 408 } }
    expect(load({ ...product, down: { ...beyond, tensor: { ...beyond.tensor, name: 'gone' } } })).toMatchObject({
      code: 'read-past-end',
    })
    expect(fill(product).slice(0, 4)).toEqual([1, 10, 2, 20])
  }))
