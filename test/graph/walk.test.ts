import { expect, test } from 'vitest'
import { argumentsOf, type Expression, type Scalar, type Tensor } from '#src/graph/expression.js'
import { createGraph, type Graph } from '#src/graph/graph.js'
import { interpret, type Data } from '#src/graph/interpret.js'
import { cutPasses, measuresOf } from '#src/graph/passes.js'
import { createEvaluator } from '#src/graph/scalar.js'
import { createIdSet, walk, walked } from '#src/graph/walk.js'
import { createFingerprints, subjectOf } from '#src/plan/fingerprint.js'
import type { TensorInfo } from '#src/tensor/info.js'

const info = (name: string): TensorInfo => ({ name, dtype: 'F32', shape: [2], file: 'a', begin: 0, end: 8 })
const DATA = { read: () => Float64Array.of(1, 2) } as unknown as Data
/** Deeper than the stack of any of the functions below was. */
const DEEP = 20_000

/** x + 1 − 1 + 1 − 1 …, which no folding shortens. */
const chain = (g: Graph, depth: number, x: Tensor = g.read(info('x'))): Tensor => {
  let value = x
  for (let i = 0; i < depth; i++) value = i % 2 === 0 ? g.add(value, 1) : g.sub(value, 1)
  return value
}

/** How many expressions are entered by some work. */
const entered = (work: () => void): number => {
  const before = walked.expressions
  work()
  return walked.expressions - before
}

test('a walk enters what is above first and leaves what is below first, each once', () => {
  const g = createGraph()
  const [x, y] = [g.read(info('x')), g.read(info('y'))]
  const sum = g.add(x, y)
  const seen = new Set<number>()
  const [entering, leaving]: [Expression[], Expression[]] = [[], []]
  walk([g.mul(sum, x), y], {
    enter: (e) => {
      if (seen.has(e.id)) return false
      seen.add(e.id)
      entering.push(e)
      return true
    },
    leave: (e) => leaving.push(e),
  })
  expect(entering).toEqual([g.mul(sum, x), sum, x, y])
  expect(leaving).toEqual([x, y, sum, g.mul(sum, x)])
})

test('a walk keeps its order however deep it goes', () => {
  const g = createGraph()
  let value: Tensor = g.read(info('x'))
  for (let i = 0; i < 200; i++) value = g.mul(g.add(value, g.read(info(`y${i}`))), 2 + i)
  const seen = new Set<number>()
  const [entering, leaving]: [Expression[], Expression[]] = [[], []]
  walk([value], {
    enter: (e) => !seen.has(e.id) && entering.push(e) > 0 && Boolean(seen.add(e.id)),
    leave: (e) => leaving.push(e),
  })
  const recursive: [Expression[], Expression[]] = [[], []]
  const visited = new Set<number>()
  const visit = (e: Expression): void => {
    if (visited.has(e.id)) return
    visited.add(e.id)
    recursive[0].push(e)
    argumentsOf(e).forEach(visit)
    recursive[1].push(e)
  }
  visit(value)
  expect([entering, leaving]).toEqual(recursive)
})

test('a set of numbers has what was added, however large', () => {
  const ids = createIdSet()
  ids.add(5)
  ids.add(1_000_000)
  expect([4, 5, 6, 999_999, 1_000_000, 2_000_000].map((id) => ids.has(id))).toEqual([
    false,
    true,
    false,
    false,
    true,
    false,
  ])
})

test('expressions deeper than the stack are cut into passes, interpreted, evaluated and fingerprinted', () => {
  const g = createGraph()
  const deep = chain(g, DEEP)
  const { passes } = cutPasses([{ value: g.mul(deep, g.sum(deep)), dtype: 'F32' }])
  expect(passes.map((p) => [p.takes.length, p.program.instructions.length])).toEqual([
    [1, DEEP],
    [0, DEEP + 1],
  ])
  expect([...(interpret([deep], 2, DATA)[0] as Float64Array)]).toEqual([1, 2])
  expect(subjectOf(deep)?.tensor.name).toBe('x')

  let scalar: Scalar = g.sum(g.read(info('x')))
  for (let i = 0; i < DEEP; i++) scalar = g.add(scalar, 1)
  expect(createEvaluator({ number: () => 3, blocks: () => new Float64Array() }).scalar(scalar)).toBe(DEEP + 3)
  expect(
    createFingerprints(g.grouped, () => 'content').of(g.mul(deep, scalar), {
      elements: 2,
      dtype: 'F32',
      allowNonFinite: false,
    }),
  ).toMatch(/^[0-9a-f]{32}$/)
})

test('a scalar that is made of another twice, and that of another twice, is looked through once', () => {
  const g = createGraph()
  let scalar: Scalar = g.sum(g.read(info('x')))
  // Without a memory, two to the sixtieth.
  for (let i = 0; i < 60; i++) scalar = g.div(g.add(scalar, g.sin(scalar)), 2)
  const evaluate = createEvaluator({ number: () => 1, blocks: () => new Float64Array() }).scalar
  expect(entered(() => evaluate(scalar))).toBeLessThan(4 * 60)
  expect(entered(() => evaluate(scalar))).toBe(0)
  expect(entered(() => cutPasses([{ value: g.mul(g.read(info('x')), scalar), dtype: 'F32' }]))).toBeLessThan(2000)
})

test('of a chain of masks every one is fingerprinted, in proportion to its length', () => {
  const work = (length: number): number => {
    const g = createGraph()
    let value: Tensor = g.read(info('x'))
    const masks = Array.from({ length }, () => {
      const mask = g.top(value, 0.5)
      value = g.add(g.mul(value, 0.5), g.choose(mask, value, 0))
      return mask
    })
    const prints = createFingerprints(g.grouped, () => 'content')
    return entered(() =>
      masks.forEach((mask) => prints.of(mask, { elements: 2, dtype: 'BOOL', allowNonFinite: false })),
    )
  }
  expect(work(2000)).toBeLessThan(2.2 * work(1000))
})

test('measures that were found before are not looked for again', () => {
  const g = createGraph()
  const deep = chain(g, 1000)
  const seen = createIdSet()
  expect(measuresOf([g.sum(deep)], () => false, seen).length).toBe(1)
  expect(entered(() => measuresOf([g.sum(g.abs(deep))], () => false, seen))).toBe(2)
})
