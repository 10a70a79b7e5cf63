import { describe, expect, test } from 'vitest'
import { createGraph } from '#src/graph/graph.js'
import { interpret, interpretJobs, type Data } from '#src/graph/interpret.js'
import type { TensorInfo } from '#src/tensor/info.js'

const stored: Readonly<Record<string, readonly number[]>> = {
  p: [1, -4, 2, 2],
  q: [3, -2, 0, 0.5],
  flags: [0, 1, 0.25, 0],
  r: [-3, 4],
}
const info = (name: string): TensorInfo => ({
  name,
  dtype: 'F32',
  shape: [stored[name]!.length],
  file: 'f',
  begin: 0,
  end: 0,
})
const data: Data = {
  read: ({ name }) => Float64Array.from(stored[name]!),
  bernoulli: (stream, n, p) => Uint8Array.from({ length: n }, (_, i) => (i % 2 === stream.draw && p === 0.5 ? 1 : 0)),
  normal: (_stream, n) => Float64Array.from({ length: n }, (_, i) => i - 1),
  uniform: (_stream, n) => Float64Array.from({ length: n }, (_, i) => i / n),
}
const g = createGraph()
const [p, q, r] = [g.read(info('p')), g.read(info('q')), g.read(info('r'))]
const stream = { seed: 0, step: 's', draw: 1, tensor: 'p' }
const evaluate = (root: Parameters<typeof interpret>[0][number], size = 4): unknown => {
  const value = interpret([root], size, data)[0]!
  return typeof value === 'number' ? value : [...value]
}

describe('elements', () => {
  test.each([
    ['add', g.add(p, q), [4, -6, 2, 2.5]],
    ['sub', g.sub(p, 1), [0, -5, 1, 1]],
    ['mul', g.mul(p, q), [3, 8, 0, 1]],
    ['div', g.div(p, 4), [0.25, -1, 0.5, 0.5]],
    ['min', g.min(p, q), [1, -4, 0, 0.5]],
    ['max', g.max(p, q), [3, -2, 2, 2]],
    ['neg', g.neg(q), [-3, 2, -0, -0.5]],
    ['abs', g.abs(p), [1, 4, 2, 2]],
    ['sqrt', g.sqrt(g.abs(p)), [1, 2, Math.SQRT2, Math.SQRT2]],
    ['sign', g.sign(q), [1, -1, 0, 1]],
    ['fill', g.fill(g.sum(p)), [1, 1, 1, 1]],
    ['choose', g.choose(g.compare('less', p, q), p, 9), [1, -4, 9, 9]],
    ['normal', g.normal(stream), [-1, 0, 1, 2]],
    ['uniform', g.uniform(stream), [0, 0.25, 0.5, 0.75]],
  ])('%s', (_op, root, expected) => {
    expect(evaluate(root)).toEqual(expected)
  })
})

describe('masks', () => {
  const [small, odd] = [g.compare('less-equal', p, 1), g.bernoulli(0.5, stream)]
  test.each([
    ['constant', g.constant(true), [1, 1, 1, 1]],
    ['read', g.readMask(info('flags')), [0, 1, 1, 0]],
    ['greater', g.compare('greater', p, 2), [0, 0, 0, 0]],
    ['greater-equal', g.compare('greater-equal', p, 2), [0, 0, 1, 1]],
    ['less-equal', small, [1, 1, 0, 0]],
    ['equal', g.compare('equal', 2, p), [0, 0, 1, 1]],
    ['bernoulli', odd, [0, 1, 0, 1]],
    ['and', g.and(small, odd), [0, 1, 0, 0]],
    ['or', g.or(small, odd), [1, 1, 0, 1]],
    ['xor', g.xor(small, odd), [1, 0, 0, 1]],
    ['not', g.not(small), [0, 0, 1, 1]],
  ])('%s', (_op, root, expected) => {
    expect(evaluate(root)).toEqual(expected)
  })
})

describe('measures', () => {
  test('sum, dot, norm and count are over all elements', () => {
    expect([g.sum(p), g.dot(p, q), g.norm(p), g.count(g.compare('equal', p, 2))].map((root) => evaluate(root))).toEqual(
      [1, 12, 5, 2],
    )
  })

  test('a sum is not rounded to float32', () => {
    expect(evaluate(g.sum(g.add(p, 1e-12)))).toBe(1 + 1e-12 - 4 + 1e-12 + 2 + 1e-12 + 2 + 1e-12)
  })

  test('top keeps exactly so many of the largest magnitudes, of equal ones the first', () => {
    expect(evaluate(g.top(p, 0.5))).toEqual([0, 1, 1, 0])
    expect(evaluate(g.top(p, 0.75))).toEqual([0, 1, 1, 1])
    expect(evaluate(g.top(p, 0.2))).toEqual([0, 0, 0, 0])
  })

  test('top keeps all or none of equal magnitudes that do not all fit, where it is asked to', () => {
    expect(evaluate(g.top(p, 0.5, undefined, 'all'))).toEqual([0, 1, 1, 1])
    expect(evaluate(g.top(p, 0.5, undefined, 'none'))).toEqual([0, 1, 0, 0])
    expect(evaluate(g.top(p, 0.75, undefined, 'none'))).toEqual([0, 1, 1, 1])
  })

  test('quantile is the sample at or above the interpolated position', () => {
    expect([0, 0.1, 0.5, 1].map((at) => evaluate(g.quantile(q, at)))).toEqual([0, 0.5, 2, 3])
  })

  test('a scalar may be computed of measures and meet elements', () => {
    expect(evaluate(g.div(p, g.ifLess(g.norm(p), 6, g.add(g.norm(p), 3), 1)))).toEqual([0.125, -0.5, 0.25, 0.25])
  })
})

describe('measures over a group', () => {
  const jobs = [
    { roots: [g.top(p, 0.5, { group: 'w' }), g.sum(p, { group: 'w' }), g.quantile(p, 0.5, { group: 'w' })], size: 4 },
    { roots: [g.top(r, 0.5, { group: 'w' }), g.sum(r, { group: 'w' }), g.quantile(r, 1, { group: 'w' })], size: 2 },
  ]

  test('see all jobs in their order, as if they were one tensor', () => {
    const plain = interpretJobs(jobs, data).map((values) =>
      values.map((value) => (typeof value === 'number' ? value : [...value])),
    )
    expect(plain).toEqual([
      [[0, 1, 0, 0], 2, 3],
      [[1, 1], 2, 4],
    ])
  })

  test('are told apart by what they ask of the same numbers', () => {
    const [first, second] = [p, r].map((x) => [g.sum(x, { group: 's' }), g.dot(x, x, { group: 's' })])
    const alone = interpretJobs(
      [
        { roots: [first![0]!], size: 4 },
        { roots: [second![0]!], size: 2 },
      ],
      data,
    )
    const together = interpretJobs(
      [
        { roots: first!, size: 4 },
        { roots: second!, size: 2 },
      ],
      data,
    )
    expect(together.map(([sum]) => sum)).toEqual(alone.map(([sum]) => sum))
  })

  test('break ties by the order of the jobs', () => {
    const two = [r, g.neg(r)].map((x) => ({ roots: [g.top(x, 0.75, { group: 't' })], size: 2 }))
    expect(interpretJobs(two, data).map(([mask]) => [...(mask as Uint8Array)])).toEqual([
      [1, 1],
      [0, 1],
    ])
  })

  test('take one operand of each job', () => {
    expect(() =>
      interpretJobs([{ roots: [g.top(p, 0.5, { group: 'w' }), g.top(q, 0.5, { group: 'w' })], size: 4 }], data),
    ).toThrow('two operands')
  })
})
