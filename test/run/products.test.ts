import { closeSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { KroneckerFactors, LowRankFactors, Product } from '#src/graph/products.js'
import { decode, encode } from '#src/kernels/convert.js'
import { loadKernels } from '#src/kernels/kernels.js'
import { createProducts } from '#src/run/products.js'
import { sliceOf, wholeOf, type View } from '#src/tensor/view.js'
import { inFolder } from '../support/build-run.js'

/** Factors of rank 1 in a file: four rows 1, 2, 3, 4 and two columns 1, 10; and other columns 5, 7. */
const inFactors = (
  work: (
    fill: (product: LowRankFactors) => readonly number[],
    load: (product: LowRankFactors) => unknown,
    factors: Readonly<Record<'up' | 'down' | 'other', View>>,
    more: { readonly pieces: (product: Product, lengths: readonly number[]) => readonly number[] },
  ) => void,
): Promise<void> =>
  inFolder(async (folder) => {
    const file = join(folder, 'factors')
    writeFileSync(file, Buffer.from(Float32Array.of(1, 2, 3, 4, 1, 10, 5, 7).buffer))
    const view = (name: string, shape: readonly number[], first: number): View =>
      wholeOf({ name, dtype: 'F32', shape, file, begin: 4 * first, end: 4 * (first + shape[0]! * shape[1]!) })
    const kernels = loadKernels()
    const fd = openSync(file, 'r')
    const products = createProducts(kernels, () => fd)
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
      {
        pieces: (product, lengths) => {
          products.load(0, product)
          let start = 0
          return lengths.flatMap((n) => {
            products.fill(0, out, start, n)
            start += n
            return [...kernels.view(Float32Array, out, n)]
          })
        },
      },
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

/** A Kronecker product of [[1, 2], [3, 4]] and a row of two, laid over four columns. */
const kronecker = (left: View, right: View | undefined, rightShape: readonly [number, number]): KroneckerFactors => ({
  left,
  right,
  leftShape: [2, 2],
  rightShape,
  firstRow: 1,
})

test('a Kronecker product has every number of one matrix times the other, in any pieces', () =>
  inFactors((_fill, _load, { up, down }, { pieces }) => {
    const square = { ...up, shape: [2, 2] }
    const whole = [0, 0, 0, 0, 1, 10, 2, 20, 3, 30, 4, 40]
    expect(pieces(kronecker(square, down, [1, 2]), [12])).toEqual(whole)
    expect(pieces(kronecker(square, down, [1, 2]), [1, 2, 3, 5, 1])).toEqual(whole)
    const rolled = [0, 0, 0, 0, 3, 30, 4, 40, 1, 10, 2, 20]
    expect(pieces({ ...kronecker(square, down, [1, 2]), roll: 1 }, [3, 3, 6])).toEqual(rolled)
    const turned = [0, 0, 0, 0, 1, 10, 3, 30, 2, 20, 4, 40]
    expect(pieces({ ...kronecker(square, down, [1, 2]), turned: true }, [7, 5])).toEqual(turned)
  }))

test('without a second matrix each number stands for a block', () =>
  inFactors((_fill, _load, { up }, { pieces }) => {
    const square = { ...up, shape: [2, 2] }
    const product = { ...kronecker(square, undefined, [1, 2]), firstRow: 0 }
    expect(pieces(product, [5, 7])).toEqual([1, 1, 2, 2, 3, 3, 4, 4, 0, 0, 0, 0])
    expect(pieces({ ...product, leftShape: [4, 1], rightShape: [1, 3] }, [2, 4, 6])).toEqual([
      1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4,
    ])
    expect(pieces({ ...product, leftShape: [1, 4], rightShape: [3, 1] }, [1, 11])).toEqual([
      1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4,
    ])
  }))

test('factors that are stored with their rows as columns are turned, and rows are rolled', () =>
  inFactors((_fill, _load, { up, down }, { pieces }) => {
    const product: LowRankFactors = {
      up: { ...up, shape: [2, 2] },
      down: { ...down, shape: [2, 1] },
      mid: undefined,
      rank: 2,
      columns: 1,
      firstRow: 0,
    }
    expect(pieces(product, [2]).slice(0, 2)).toEqual([21, 43])
    expect(pieces({ ...product, turned: { up: true } }, [2]).slice(0, 2)).toEqual([31, 42])
    expect(pieces({ ...product, roll: 1 }, [1, 1]).slice(0, 2)).toEqual([43, 21])
  }))

/** Dtypes of factors, and bytes of a number: those of F16 have exact products. */
const STORED = [
  ['F32', 4],
  ['F16', 2],
] as const

test.each(STORED)('many rows and panels of %s are the same numbers, to the bit, in any pieces', (dtype, bytes) =>
  inFolder(async (folder) => {
    const [rows, rank, columns, first, roll] = [7, 3, 150, 1, 2]
    const given = Float32Array.from({ length: rank * (rows + columns) }, (_, i) => Math.sin(7 * i + 1))
    const halves = encode('F16', given)
    const numbers = dtype === 'F16' ? decode(dtype, halves) : given
    const file = join(folder, 'factors')
    writeFileSync(file, Buffer.from(dtype === 'F16' ? halves.buffer : given.buffer))
    const view = (shape: readonly [number, number], begin: number): View =>
      wholeOf({
        name: `from ${begin}`,
        dtype,
        shape,
        file,
        begin: bytes * begin,
        end: bytes * (begin + shape[0] * shape[1]),
      })
    const product: LowRankFactors = {
      up: view([rows, rank], 0),
      down: view([rank, columns], rows * rank),
      mid: undefined,
      rank,
      columns,
      firstRow: first,
      roll,
    }
    const all = (rows + 2) * columns
    const expected = Float32Array.from({ length: all }, (_, at) => {
      const [place, column] = [Math.floor(at / columns) - first, at % columns]
      if (place < 0 || place >= rows) return 0
      const row = (place + rows - roll) % rows
      let sum = 0
      for (let r = 0; r < rank; r++)
        sum = Math.fround(sum + Math.fround(numbers[row * rank + r]! * numbers[rows * rank + r * columns + column]!))
      return sum
    })
    const kernels = loadKernels()
    const fd = openSync(file, 'r')
    const products = createProducts(kernels, () => fd)
    products.load(0, product)
    const out = kernels.alloc(4 * all)
    for (const length of [all, 3 * columns + 40, columns, 97]) {
      const found: number[] = []
      for (let start = 0; start < all; start += length) {
        const n = Math.min(length, all - start)
        products.fill(0, out, start, n)
        found.push(...kernels.view(Float32Array, out, n))
      }
      expect(found, `pieces of ${length}`).toEqual([...expected])
    }
    closeSync(fd)
  }),
)
