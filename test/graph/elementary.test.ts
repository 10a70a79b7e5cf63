import { describe, expect, test } from 'vitest'
import { createAssembler } from '#src/graph/assemble.js'
import { cosPi, exp2, geometricMean, log2, tanh } from '#src/graph/elementary.js'
import type { Tensor } from '#src/graph/expression.js'
import { createGraph, type Graph } from '#src/graph/graph.js'
import { interpret, type Data } from '#src/graph/interpret.js'
import { feedsOf, runCompiled, runOnnx, runPlainly } from '../support/run-program.js'

type Make = (g: Graph, x: Tensor, y: Tensor) => Tensor
interface Computed {
  /** By every engine that works in float32. */
  readonly single: Float32Array
  /** By the interpreter, of one number in {@link EVERY} where there are many. */
  readonly double: Float64Array
}

/** Of how many numbers one is given to the slow engines as well. */
const EVERY = 50

/** What a function makes of columns of numbers, compiled; all engines have to agree in every bit, where they are asked. */
const compute = async (make: Make, x: Float32Array, y: Float32Array = x): Promise<Computed> => {
  const g = createGraph()
  const info = (name: string) => ({ name, dtype: 'F32', shape: [x.length], file: 'f', begin: 0, end: 0 }) as const
  const value = make(g, g.read(info('x')), g.read(info('y')))
  const assembly = createAssembler()([{ value, dtype: 'F32' }])
  const compiledOn = (columns: Columns): Float32Array =>
    new Float32Array(
      runCompiled(assembly.program, feedsOf(assembly, columns, columns.x.length), columns.x.length)[0]!.slice().buffer,
    )
  const few: Columns = { x: thinned(x), y: thinned(y) }
  const [n, feeds] = [few.x.length, feedsOf(assembly, few, few.x.length)]
  const compiled = new Uint8Array(compiledOn(few).buffer)
  expect(compiled).toEqual(runPlainly(assembly.program, feeds, n)[0])
  expect(compiled).toEqual((await runOnnx(assembly.program, feeds, n))[0])
  const data = { read: ({ name }: { name: 'x' | 'y' }) => Float64Array.from(few[name]) } as unknown as Data
  return { single: compiledOn({ x, y }), double: interpret([value], n, data)[0] as Float64Array }
}
type Columns = Readonly<Record<'x' | 'y', Float32Array>>
const thinned = (numbers: Float32Array): Float32Array =>
  numbers.length < 1000 ? numbers : numbers.filter((_, i) => i % EVERY === 0)

/** The distance of a float32 from the next one further from 0. */
const ulp = (x: number): number =>
  x === 0 ? 2 ** -149 : Math.max(2 ** -149, 2 ** (Math.floor(Math.log2(Math.abs(x))) - 23))
/** The greatest distance of what was computed from what is true, in some unit. */
const worst = (found: ArrayLike<number>, truth: (i: number) => number, unit: (x: number) => number): number => {
  let most = 0
  for (let i = 0; i < found.length; i++) {
    const x = truth(i)
    const error = Object.is(found[i], x) || found[i] === x ? 0 : Math.abs(found[i]! - x) / unit(x)
    if (!(error <= most)) most = error
  }
  return most
}
const sweep = (from: number, to: number, n = 200_000): Float32Array =>
  Float32Array.from({ length: n + 1 }, (_, i) => from + ((to - from) * i) / n)
/** Float32 numbers of every size from 0 to 1, subnormal ones among them. */
const ofEverySize = (): Float32Array => {
  const words = Uint32Array.from({ length: 150_000 }, (_, i) => Math.floor((i / 149_999) * 0x3f80_0000))
  return new Float32Array(words.buffer)
}
const relative = (x: number): number => Math.abs(x)

describe('2ˣ', () => {
  const make: Make = (g, x) => exp2(g, x)
  test.each([
    ['small numbers', sweep(-2, 0)],
    ['all whose power is not 0', sweep(-152, 0)],
  ])('is within 2 ulp: %s', async (_, x) => {
    const { single, double } = await compute(make, x)
    expect(worst(single, (i) => 2 ** x[i]!, ulp)).toBeLessThan(2)
    const few = thinned(x)
    expect(worst(double, (i) => 2 ** few[i]!, relative)).toBeLessThan(1.3e-8)
  })

  test('is exact for whole numbers, and 0 beyond the least float32', async () => {
    const whole = Float32Array.from({ length: 151 }, (_, i) => -i)
    expect([...(await compute(make, whole)).single]).toEqual([...whole].map((x) => Math.fround(2 ** x)))
    const special = Float32Array.of(-0, 0, -(2 ** -149), -160, -1e30, -3.4e38, -Infinity, NaN)
    expect([...(await compute(make, special)).single]).toEqual([1, 1, 1, 0, 0, 0, 0, NaN])
  })
})

describe('log₂x', () => {
  const make: Make = (g, x) => log2(g, x)
  test.each([
    ['numbers of every size', ofEverySize()],
    ['numbers near 1', sweep(0.4, 1)],
  ])('is within 3 ulp: %s', async (_, x) => {
    const { single, double } = await compute(make, x)
    expect(worst(single, (i) => Math.log2(x[i]!), ulp)).toBeLessThan(3)
    const few = thinned(x)
    expect(worst(double, (i) => Math.log2(few[i]!), relative)).toBeLessThan(1e-9)
  })

  test('is exact for powers of two, and −∞ for 0', async () => {
    const powers = Float32Array.from({ length: 150 }, (_, i) => 2 ** -i)
    expect([...(await compute(make, powers)).single].map((x) => x + 0)).toEqual([...powers].map((_, i) => 0 - i))
    const { single } = await compute(make, Float32Array.of(0, -0, NaN))
    expect([...single]).toEqual([-Infinity, -Infinity, NaN])
  })
})

describe('tanh x', () => {
  const make: Make = (g, x) => tanh(g, x)
  test.each([
    ['numbers of every size', ofEverySize()],
    ['all that are not 1', sweep(-10, 10)],
  ])('is within 3 ulp: %s', async (_, x) => {
    const { single, double } = await compute(make, x)
    expect(worst(single, (i) => Math.tanh(x[i]!), ulp)).toBeLessThan(3)
    const few = thinned(x)
    expect(worst(double, (i) => Math.tanh(few[i]!), relative)).toBeLessThan(3e-8)
  })

  test('is 1 or −1 beyond what float32 tells from it, and keeps the smallest numbers', async () => {
    const special = Float32Array.of(0, 2 ** -149, -(2 ** -130), 20, -1e30, Infinity, -Infinity, NaN)
    const { single } = await compute(make, special)
    expect([...single]).toEqual([0, 2 ** -149, -(2 ** -130), 1, -1, 1, -1, NaN])
  })
})

describe('cos πx', () => {
  test.each([0.3, 1, 1.5, 2, 7, 10])('is within 2⁻²¹ up to %d', async (most) => {
    const x = sweep(-most, most)
    const { single, double } = await compute((g, y) => cosPi(g, y, most), x)
    expect(
      worst(
        single,
        (i) => Math.cos(Math.PI * x[i]!),
        () => 2 ** -21,
      ),
    ).toBeLessThan(1)
    const few = thinned(x)
    expect(
      worst(
        double,
        (i) => Math.cos(Math.PI * few[i]!),
        () => 1,
      ),
    ).toBeLessThan(1e-8)
  })

  test('is exact for multiples of ½', async () => {
    const halves = Float32Array.from({ length: 41 }, (_, i) => (i - 20) / 2)
    const { single } = await compute((g, x) => cosPi(g, x, 10), halves)
    expect([...single].map((x) => x + 0)).toEqual([...halves].map((x) => (x % 1 !== 0 ? 0 : x % 2 === 0 ? 1 : -1)))
  })
})

describe('the geometric mean', () => {
  const mean = (t: number, x: Float32Array, y: Float32Array): Promise<Computed> =>
    compute((g, a, b) => geometricMean(g, a, b, t), x, y)

  test.each([0.5, 0.25, 0.3, 0.49, 0.999])('of numbers of like size is within 4 ulp, with t = %d', async (t) => {
    const x = sweep(0.5, 4)
    const y = x.map((_, i) => 0.5 + ((i * 7919) % 1000) / 250)
    const { single, double } = await mean(t, x, y)
    const truth =
      (a: Float32Array, b: Float32Array) =>
      (i: number): number =>
        a[i]! ** (1 - t) * b[i]! ** t
    expect(worst(single, truth(x, y), ulp)).toBeLessThan(4)
    expect(worst(double, truth(thinned(x), thinned(y)), relative)).toBeLessThan(2e-8)
  })

  test.each([0.3, 0.49])('of numbers of any sizes is within 4 ulp, with t = %d', async (t) => {
    const x = ofEverySize().map((small) => Math.max(small, 2 ** -124))
    const { single } = await mean(
      t,
      x,
      x.map(() => 3),
    )
    expect(worst(single, (i) => x[i]! ** (1 - t) * 3 ** t, ulp)).toBeLessThan(4)
  })

  test('of equal numbers is that number, of 0 is 0, and neither overflows nor needs both where one has no share', async () => {
    const [x, y] = [
      [2 ** -149, 0.1, 3.4e38, 0, 5, 0, 3e38, 3e38],
      [2 ** -149, 0.1, 3.4e38, 7, 0, 0, 2 ** -140, 3e38],
    ].map((numbers) => Float32Array.from(numbers)) as [Float32Array, Float32Array]
    const { single } = await mean(0.5, x, y)
    expect([...single.slice(0, 6)]).toEqual([x[0], x[1], x[2], 0, 0, 0])
    expect(single.every(Number.isFinite)).toBe(true)
    expect((await mean(0, x, y)).single).toEqual(x)
    expect((await mean(1, x, y)).single).toEqual(y)
    expect((await mean(1e-50, x, y)).single).toEqual(x)
  })
})
