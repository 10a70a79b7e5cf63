import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import type { Measure } from '#src/graph/expression.js'
import { createGraph } from '#src/graph/graph.js'
import { toPairs } from '#src/kernels/reference.js'
import { RANGE } from '#src/kernels/selection.js'
import { createMeasures, INFINITY, limitOf, type Measures } from '#src/run/measures.js'
import { baseOf } from '#src/run/reductions.js'
import type { Magnitudes } from '#src/run/unit.js'

const g = createGraph()
const x = g.read({ name: 'x', dtype: 'F32', shape: [8], file: 'f', begin: 0, end: 32 })
const y = g.read({ name: 'y', dtype: 'F32', shape: [8], file: 'f', begin: 32, end: 64 })
const asMeasure = (e: unknown): Measure => e as Measure

const bitsOf = (value: number): number => new Uint32Array(Float32Array.of(Math.abs(value)).buffer)[0]!
const histogram = (values: readonly number[], bin: (bits: number) => number | undefined): Uint32Array<ArrayBuffer> => {
  const dense = new Uint32Array(RANGE * 32768)
  for (const value of values) {
    const at = bin(bitsOf(value))
    if (at !== undefined) dense[at]! += 1
  }
  return toPairs(dense) as Uint32Array<ArrayBuffer>
}
/** What a segment finds of all its magnitudes, with the low bits of one bin if that is known to be the one. */
const high = (values: readonly number[], bin?: number): Magnitudes => ({
  type: 'all',
  high: histogram(values, (bits) => bits >>> 15),
  low: bin === undefined ? undefined : { bin, pairs: low(values, bin) },
})
/** What a segment finds in the seven bins from `base` on. */
const range = (values: readonly number[], base: number): Magnitudes => ({
  type: 'range',
  base,
  below: values.filter((v) => bitsOf(v) >>> 15 < base).length,
  pairs: histogram(values, (bits) =>
    bits >>> 15 >= base && bits >>> 15 < base + RANGE ? bits - base * 32768 : undefined,
  ),
  finite: values.every(Number.isFinite),
})
const low = (values: readonly number[], bin: number) =>
  histogram(values, (bits) => (bits >>> 15 === bin ? bits & 0x7fff : undefined))

interface Part {
  readonly job: number
  readonly tensor: string
  readonly measure: Measure
  readonly segments: readonly (readonly number[])[]
}

const orders = (n: number): readonly (readonly number[])[] => [
  Array.from({ length: n }, (_, i) => i),
  Array.from({ length: n }, (_, i) => n - 1 - i),
  Array.from({ length: n }, (_, i) => (i * 5 + 3) % n),
]

/** Announces the parts, records both stages in an order, and answers a search if there is one. */
const select = (
  parts: readonly Part[],
  order: readonly number[],
): { readonly measures: Measures; readonly searches: readonly unknown[] } => {
  const measures = createMeasures()
  const units = parts.flatMap((part) => part.segments.map((values, segment) => ({ ...part, values, segment })))
  for (const { job, tensor, measure, segments } of parts)
    measures.announce(job, tensor, measure, segments.flat().length, segments.length)
  const shuffled = order.map((i) => units[i]!)
  const searches: unknown[] = []
  for (const { job, measure, segment, values } of shuffled) measures.record(job, measure, 'high', segment, high(values))
  const bin = measures.bin(parts[0]!.measure)!
  for (const { job, measure, segment, values } of shuffled) {
    const search = measures.record(job, measure, 'low', segment, low(values, bin))
    if (typeof search === 'string') continue
    const { bits, nth } = search
    searches.push({ job: search.job, segment: search.segment, nth })
    const segments = parts.find((p) => p.job === search.job)!.segments
    const start = segments.slice(0, search.segment).flat().length
    const found = segments[search.segment]!.flatMap((v, i) => (bitsOf(v) === bits ? [start + i] : []))[nth - 1]!
    measures.record(search.job, search.measure, 'locate', search.segment, found)
  }
  return { measures, searches }
}

describe('sums', () => {
  test('are added in the order of the elements, whatever the order of arrival', () => {
    const measure = asMeasure(g.sum(x))
    const parts = [1e16, 1, -1e16, 1, 0.1, 3, 1e-9]
    const totals = orders(parts.length).map((order) => {
      const measures = createMeasures()
      measures.announce(0, 'x', measure, 7, 7)
      for (const [i, segment] of order.entries()) {
        expect(measures.outcome(measure), `${i} of 7 came`).toBeUndefined()
        measures.record(0, measure, 'sum', segment, parts[segment]!)
      }
      return (measures.outcome(measure) as { value: number }).value
    })
    expect(new Set(totals)).toEqual(new Set([parts.reduce((a, b) => a + b, 0)]))
    expect(totals[0]).not.toBe(parts.toSorted().reduce((a, b) => a + b, 0))
  })

  test('over several tensors are added by name, whatever the order of the jobs', () => {
    const [first, second] = [asMeasure(g.sum(x, { group: 'step/sum' })), asMeasure(g.sum(y, { group: 'step/sum' }))]
    const measures = createMeasures()
    measures.announce(0, 'y', second, 1, 1)
    measures.announce(1, 'x', first, 2, 2)
    measures.record(0, second, 'sum', 0, -1e16)
    measures.record(1, first, 'sum', 1, 1)
    measures.record(1, first, 'sum', 0, 1e16)
    expect(measures.outcome(first)).toEqual({ type: 'number', value: 1e16 + 1 - 1e16 })
    expect(measures.outcome(second)).toBe(measures.outcome(first))
  })
})

describe('quantiles', () => {
  const values = [3, -1, 2, 2, 0.5, -7, 4, 2]

  test.each([
    [0.01, 1],
    [0.5, 2],
    [0.75, 4],
    [0.99, 7],
  ])('are exact: %d of them', (q, expected) => {
    const measure = asMeasure(g.quantile(x, q))
    for (const order of orders(2)) {
      const { measures } = select(
        [{ job: 0, tensor: 'x', measure, segments: [values.slice(0, 3), values.slice(3)] }],
        order,
      )
      expect(measures.outcome(measure)).toEqual({ type: 'number', value: expected })
    }
  })
})

describe('trims', () => {
  test('keep the largest; where equal ones must be told apart, the one to cut at is searched for', () => {
    const measure = asMeasure(g.top(x, 0.5))
    const segments = [
      [1, -2, 2],
      [5, 2, 2, 0, 1],
    ]
    for (const order of orders(2)) {
      const { measures, searches } = select([{ job: 0, tensor: 'x', measure, segments }], order)
      // Of 8 the 4 largest: 5, and three of the four 2s.
      expect(searches).toEqual([{ job: 0, segment: 1, nth: 1 }])
      expect(measures.outcome(measure)).toEqual({ type: 'top', bits: bitsOf(2), cut: { at: 5 } })
    }
  })

  test('need no search where all equal ones are kept', () => {
    const measure = asMeasure(g.top(x, 0.25))
    const { measures, searches } = select(
      [{ job: 0, tensor: 'x', measure, segments: [[1, 3, -3, 0, 2, 2, 2, 2]] }],
      [0],
    )
    expect(searches).toEqual([])
    expect(measures.outcome(measure)).toEqual({ type: 'top', bits: bitsOf(3), cut: 'all' })
  })

  test.each(['all', 'none'] as const)('need no search where %s of the equal ones are to be kept', (equal) => {
    const measure = asMeasure(g.top(x, 0.5, undefined, equal))
    const { measures, searches } = select([{ job: 0, tensor: 'x', measure, segments: [[1, 2, 2, 5]] }], [0])
    expect(searches).toEqual([])
    expect(measures.outcome(measure)).toEqual({ type: 'top', bits: bitsOf(2), cut: equal })
  })

  test('of nothing keep nothing, and late stages of theirs do no harm', () => {
    const measure = asMeasure(g.top(x, 0.05))
    const { measures, searches } = select([{ job: 0, tensor: 'x', measure, segments: [[1, 2, 3, 4, 5, 6, 7, 8]] }], [0])
    expect(searches).toEqual([])
    expect(measures.outcome(measure)).toEqual({ type: 'top', bits: INFINITY, cut: 'none' })
  })

  test('over a model cut equal numbers by name: tensors before keep all of theirs, tensors after none', () => {
    const [first, second, third] = [x, y, g.neg(x)].map((t) => asMeasure(g.top(t, 0.5, { group: 'step/trim' }))) as [
      Measure,
      Measure,
      Measure,
    ]
    const parts: readonly Part[] = [
      { job: 0, tensor: 'c', measure: third, segments: [[2, 2]] },
      { job: 1, tensor: 'a', measure: first, segments: [[2, 9]] },
      { job: 2, tensor: 'b', measure: second, segments: [[0], [0, 2, 2]] },
    ]
    for (const order of orders(4)) {
      const { measures, searches } = select(parts, order)
      expect(searches).toEqual([{ job: 2, segment: 1, nth: 2 }])
      expect(measures.outcome(first)).toEqual({ type: 'top', bits: bitsOf(2), cut: { tensor: 'b', at: 4 } })
    }
  })
})

test.each([
  ['all', 'b', Infinity],
  ['none', 'b', 0],
  [{ at: 4 }, 'a', 4],
  [{ tensor: 'b', at: 4 }, 'a', Infinity],
  [{ tensor: 'b', at: 4 }, 'b', 4],
  [{ tensor: 'b', at: 4 }, 'c', 0],
] as const)('the cut %j lets equal magnitudes of tensor %s in up to element %d', (cut, tensor, limit) =>
  expect(limitOf(cut, tensor)).toBe(limit),
)

test('what is known beforehand is not announced, and not told as taken', () => {
  const [known, other] = [asMeasure(g.quantile(x, 0.25)), asMeasure(g.sum(y))]
  const measures = createMeasures(new Map([[known, { type: 'number', value: 3 }]]))
  expect(measures.outcome(known)).toEqual({ type: 'number', value: 3 })
  measures.announce(0, 'y', other, 2, 1)
  expect([...measures.taken()]).toEqual([])
  measures.record(0, other, 'sum', 0, 5)
  expect([...measures.taken()]).toEqual([[other, { type: 'number', value: 5 }]])
})

test.each([NaN, Infinity, -Infinity])(
  '%d among magnitudes is refused, since it has no place in their order',
  (value) => {
    const measure = asMeasure(g.quantile(x, 0.3))
    const measures = createMeasures()
    measures.announce(0, 'x', measure, 2, 1)
    expect(measures.record(0, measure, 'high', 0, high([1, value]))).toBe('non-finite')
    expect(measures.record(0, measure, 'high', 0, range([1, value], 0))).toBe('non-finite')
  },
)

test('counts are let go once they are settled, so that thousands of tensors take no more room than a few', () => {
  const measures = createMeasures()
  const before = process.memoryUsage().arrayBuffers
  for (let job = 0; job < 400; job++) {
    const measure = asMeasure(g.quantile(g.mul(x, job + 2), 0.5))
    measures.announce(job, `${job}`, measure, 3, 1)
    measures.record(job, measure, 'high', 0, high([1, 2, 3]))
    measures.record(job, measure, 'low', 0, low([1, 2, 3], measures.bin(measure)!))
    expect(measures.outcome(measure)).toEqual({ type: 'number', value: 2 })
  }
  setFlagsFromString('--expose-gc')
  ;(runInNewContext('gc') as () => void)()
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100e6)
})

const binOf = (value: number): number => bitsOf(value) >>> 15

test('low bits counted in advance leave nothing for a second stage, unless they are of another bin', () => {
  for (const [bin, done] of [
    [binOf(1), true],
    [binOf(9), false],
  ] as const) {
    const measure = asMeasure(g.quantile(x, 0.25))
    const measures = createMeasures()
    measures.announce(0, 'x', measure, 4, 1)
    measures.record(0, measure, 'high', 0, high([1, 1.0001, 5, 9], bin))
    expect(measures.lowDone(measure)).toBe(done)
    if (!done) measures.record(0, measure, 'low', 0, low([1, 1.0001, 5, 9], measures.bin(measure)!))
    expect(measures.outcome(measure)).toEqual({ type: 'number', value: Math.fround(1.0001) })
  }
})

describe('magnitudes counted where the answer is expected', () => {
  const measure = asMeasure(g.quantile(x, 0.5))
  const segments = [
    [1, 1.0001, 5, 9],
    [1.0002, 1.0003, 0.5, 7],
  ]
  const announced = (): Measures => {
    const measures = createMeasures()
    measures.announce(0, 'x', measure, 8, 2)
    return measures
  }

  test.each([0, 3, 6])('give it at once, %d bins from the first on', (before) => {
    const measures = announced()
    const base = binOf(1) - before
    expect(measures.record(0, measure, 'high', 0, range(segments[0]!, base))).toBe('known')
    expect(baseOf(measures.guess(measure)!)).toBe(base)
    expect(measures.record(0, measure, 'high', 1, range(segments[1]!, base))).toBe('known')
    expect([measures.missed(measure), measures.lowDone(measure)]).toEqual([false, true])
    expect(measures.outcome(measure)).toEqual({ type: 'number', value: Math.fround(1.0003) })
  })

  test.each([binOf(9), binOf(0.5), binOf(1) - RANGE, binOf(1) + 1])(
    'do not hold it from bin %d on, and all are counted then',
    (base) => {
      const measures = announced()
      measures.record(0, measure, 'high', 0, range(segments[0]!, base))
      expect(measures.record(0, measure, 'high', 1, range(segments[1]!, base))).toBe('more')
      expect([measures.missed(measure), measures.bin(measure)]).toEqual([true, undefined])
      segments.forEach((values, segment) => measures.record(0, measure, 'high', segment, high(values)))
      expect([measures.missed(measure), measures.lowDone(measure)]).toEqual([false, false])
      // Another measure of the pass was missed: what is known stays as it is.
      expect(measures.record(0, measure, 'high', 0, high(segments[0]!))).toBe('more')
      segments.forEach((values, segment) =>
        measures.record(0, measure, 'low', segment, low(values, measures.bin(measure)!)),
      )
      expect(measures.outcome(measure)).toEqual({ type: 'number', value: Math.fround(1.0003) })
    },
  )
})
