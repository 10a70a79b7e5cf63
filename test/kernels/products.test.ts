import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { decode, encode, type SmallFloat } from '#src/kernels/convert.js'
import { createMemory } from '#src/kernels/memory.js'
import { allowRelaxedSimd } from '#src/kernels/relaxed-simd.js'
import { instantiate, isKnown, type MultiplyRows } from '#src/kernels/wasm-module.js'
import { kernels, normals, put, randomWords } from './memory-of.js'

const readModule = (name: string): Uint8Array =>
  readFileSync(new URL(`../../dist/kernels/${name}.wasm`, import.meta.url))
const start = (name: string) => {
  const wasm = instantiate(readModule(name))
  return { wasm, memory: createMemory(wasm.memory, wasm.heapBase.value) }
}
allowRelaxedSimd()
const knowsFused = isKnown(readModule('fused'))
const plain = start('kernels')
const fused = knowsFused ? start('fused') : plain

interface Case {
  readonly up: Float32Array
  readonly down: Float32Array
  readonly rows: number
  readonly rank: number
  readonly columns: number
}

/** The bits of a product, by one of the kernels. */
const multiply = (
  { memory, wasm }: typeof plain,
  kernel: 'lowRankRows' | 'exactRows',
  { up, down, rows, rank, columns }: Case,
): readonly number[] => {
  const [first, second, out] = [up.length, down.length, rows * columns].map((n) => memory.alloc(4 * n)) as [
    number,
    number,
    number,
  ]
  memory.view(Float32Array, first, up.length).set(up)
  memory.view(Float32Array, second, down.length).set(down)
  const run: MultiplyRows = wasm[kernel]
  run(out, columns, columns, first, rank, second, columns, rows)
  return [...memory.view(Uint32Array, out, rows * columns)]
}

/** The same bits, number by number: every product is rounded, and every sum. */
const multiplyPlainly = ({ up, down, rows, rank, columns }: Case): readonly number[] => {
  const out = new Float32Array(rows * columns)
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) {
      let sum = 0
      for (let r = 0; r < rank; r++) sum = Math.fround(sum + Math.fround(up[i * rank + r]! * down[r * columns + j]!))
      out[i * columns + j] = sum
    }
  return [...new Uint32Array(out.buffer)]
}

const SHAPES = [
  [1, 1, 1],
  [1, 3, 16],
  [2, 32, 17],
  [3, 5, 33],
  [4, 64, 40],
  [5, 7, 15],
  [7, 16, 150],
] as const

const caseOf = (
  [rows, rank, columns]: (typeof SHAPES)[number],
  numbers: (n: number, k1: number) => Float32Array,
): Case => ({ rows, rank, columns, up: numbers(rows * rank, rank), down: numbers(rank * columns, columns + 500) })

const areExact = (x: Float32Array, y: Float32Array): boolean => kernels.areExact(put(x), x.length, put(y), y.length)

const STORED = ['F16', 'BF16', 'F8_E4M3', 'F8_E5M2'] as const satisfies readonly SmallFloat[]

/** Numbers of a dtype, of sizes between 2^-8 and 8. */
const stored =
  (dtype: SmallFloat) =>
  (n: number, k1: number): Float32Array => {
    const words = randomWords(n, k1)
    return decode(
      dtype,
      encode(
        dtype,
        normals(n, k1).map((x, i) => x * 2 ** -(words[i]! % 9)),
      ),
    )
  }

/** Numbers of 24 significant bits. */
const full = (n: number, k1: number): Float32Array => normals(n, k1)

/** Numbers of at most 12 significant bits of all sizes whose products have room. */
const twelve = (n: number, k1: number): Float32Array =>
  Float32Array.from(randomWords(n, k1), (word) => ((word & 0xfff) - 2048) * 2 ** (((word >>> 12) % 107) - 64))

test.each(STORED)('factors stored as %s are multiplied to the same bits by all kernels', (dtype) => {
  for (const shape of SHAPES) {
    const factors = caseOf(shape, stored(dtype))
    expect(areExact(factors.up, factors.down), `${shape}`).toBe(true)
    const expected = multiplyPlainly(factors)
    for (const module of [plain, fused])
      for (const kernel of ['lowRankRows', 'exactRows'] as const)
        expect(multiply(module, kernel, factors), `${kernel}, ${shape}`).toEqual(expected)
  }
})

test('so are factors of 12 bits of nearly every size', () => {
  for (const shape of SHAPES.slice(1)) {
    const factors = caseOf(shape, twelve)
    expect(areExact(factors.up, factors.down), `${shape}`).toBe(true)
    expect(multiply(fused, 'exactRows', factors), `${shape}`).toEqual(multiplyPlainly(factors))
  }
})

test('other factors have other bits where a kernel multiplies and adds at once, and are not called exact', () => {
  const factors = caseOf([7, 16, 150], full)
  expect(areExact(factors.up, factors.down)).toBe(false)
  const expected = multiplyPlainly(factors)
  expect(multiply(plain, 'lowRankRows', factors)).toEqual(expected)
  expect(multiply(plain, 'exactRows', factors)).toEqual(expected)
  expect(multiply(fused, 'lowRankRows', factors)).toEqual(expected)
  // (1 + ε)·(1 − ε) − 1 is −ε²: rounded first, the product is 1.
  const probe = {
    rows: 1,
    rank: 2,
    columns: 16,
    up: Float32Array.of(-1, 1 + 2 ** -20),
    down: new Float32Array(32).fill(1, 0, 16).fill(1 - 2 ** -20, 16),
  }
  const fuses = multiply(fused, 'exactRows', probe)[0] !== 0
  expect(multiply(fused, 'exactRows', factors).some((bits, i) => bits !== expected[i])).toBe(fuses)
})

/** A number of 12 significant bits, all of them 1, in [2^e, 2^(e + 1)). */
const ones = (e: number): number => (2 - 2 ** -11) * 2 ** e

test('products are exact up to the last number that has room', () => {
  const cases: readonly (readonly [x: readonly number[], y: readonly number[], expected: boolean])[] = [
    [[ones(0)], [ones(0)], true],
    [[ones(0) + 2 ** -12], [1], false],
    [[1], [0, 0, 0, 0, 1 + 2 ** -12], false],
    [[65504, 2 ** -24], [-65504, -(2 ** -24)], true],
    // The least bit of the product is 2^-149, and 2^-150.
    [[ones(-63)], [ones(-64)], true],
    [[ones(-63)], [ones(-65)], false],
    [[1, ones(-63)], [8, ones(-64), 4], true],
    // Just below 2^128, and above.
    [[ones(63)], [ones(63)], true],
    [[ones(63)], [ones(64)], false],
    [[2 ** -149], [1], false],
    [[2 ** -137], [1], true],
    [[2 ** -137], [2 ** -1], false],
    [[0, -0, 3], [5, 0], true],
    [[0, -0], [5], false],
    [[], [5], false],
    [[1, Infinity], [2 ** -100], false],
    [[2 ** -100], [1, 2, 3, 4, -Infinity], false],
    [[NaN], [1], false],
    [[1], [1, 1, 1, NaN, 1, 1, 1, 1], false],
  ]
  for (const [x, y, expected] of cases)
    expect(areExact(Float32Array.from(x), Float32Array.from(y)), `${x} times ${y}`).toBe(expected)
})

test('what is called exact is', () => {
  let found = 0
  for (let k = 0; k < 400; k++) {
    const words = randomWords(14, k + 1000)
    // Of 10 to 13 bits, of sizes that are now and then too small or too large for a product.
    const spread = 10 + (words[12]! % 120)
    const lower = -(words[13]! % 140)
    const numbers = Float32Array.from(
      words.subarray(0, 12),
      (word) => ((word % 2 ** (10 + (k % 4))) + 1) * 2 ** (lower + ((word >>> 16) % spread)),
    ).map((x) => (k % 2 === 0 ? x : decode('BF16', encode('BF16', Float32Array.of(x)))[0]!))
    const [x, y] = [numbers.subarray(0, 5), numbers.subarray(5)]
    if (!areExact(x, y)) continue
    found++
    for (const a of x) for (const b of y) expect(Math.fround(a * b), `${a} times ${b}`).toBe(a * b)
  }
  expect(found).toBeGreaterThan(50)
  expect(found).toBeLessThan(350)
})
