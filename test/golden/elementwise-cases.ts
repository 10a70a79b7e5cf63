import { runOf, type PlainFile, type PlainTensor, type RecipeRun } from '../support/recipe-run.js'
import { files, fileOf, number, numbered, tensorOf, zeros, type GoldenCase } from './case.js'

type Mapping = (c: GoldenCase) => RecipeRun

const run = (
  c: GoldenCase,
  inputs: Readonly<Record<string, PlainFile>>,
  steps: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
  more: { readonly delta?: boolean } = {},
  expected = fileOf(c.expected, 'result'),
): RecipeRun => runOf(inputs, steps, expected, { ...more, tolerance: c.tolerance })

/** The factors of a case are seen by what they make of the difference that they are for. */
const trainDifference =
  (method: string): Mapping =>
  (c) => {
    const [a, b, x] = ['a', 'b', 'c'].map((role) => tensorOf(c.inputs[role]).values)
    const factors = tensorOf(c.expected['result'])
    const expected: PlainTensor = {
      ...factors,
      values: factors.values.map((factor, i) => a![i]! + factor * (b![i]! - x![i]!)),
    }
    return run(
      c,
      files(c, 'a', 'b', 'c'),
      {
        result: { op: 'merge.train_difference', a: 'a', b: 'b', c: 'c', strength: number(c, 'scale'), method },
      },
      {},
      { x: expected },
    )
  }

/** The component is what the merge adds to the first model, over a base of zeros. */
const perpendicular: Mapping = (c) =>
  run(
    c,
    { ...files(c, 'a', 'b'), zero: zeros(fileOf(c.inputs, 'a')) },
    {
      merged: { op: 'merge.perpendicular', a: 'a', b: 'b', base: 'zero' },
      result: { op: 'model.subtract', a: 'merged', b: 'a' },
    },
    { delta: true },
  )

/** A single bound is refused here; listed twice it says the same. */
const clamp: Mapping = (c) => {
  const bounds = numbered(c.inputs, 'bound_')
  return run(c, files(c, 'a', ...bounds), {
    result: {
      op: 'merge.clamp',
      a: 'a',
      bounds: bounds.length === 1 ? [...bounds, ...bounds] : bounds,
      stiffness: number(c, 'stiffness'),
    },
  })
}

const multiplyQuotient: Mapping = (c) =>
  run(c, files(c, 'a', 'b', 'c'), {
    result: { op: 'merge.multiply_quotient', a: 'a', b: 'b', c: 'c', strength: number(c, 'scale') },
  })

const nearswap: Mapping = (c) =>
  run(c, files(c, 'base', 'm1'), {
    result: { op: 'merge.nearswap', base: 'base', model: 'm1', threshold: number(c, 't') },
  })

/** A width above 1 is refused here; to the cases it is 1. */
const copyRows: Mapping = (c) =>
  run(c, files(c, 'a', 'b'), {
    result: {
      op: 'merge.tensor_sum',
      a: 'a',
      b: 'b',
      width: Math.min(1, number(c, 'width')),
      offset: number(c, 'offset'),
    },
  })

/** How cases that combine two or three models, parameter by parameter, become recipes. */
export const ELEMENTWISE: Readonly<Record<string, Mapping>> = {
  add_opposite_mask: trainDifference('opposite'),
  add_strict_opposite_mask: trainDifference('strict_opposite'),
  clamp,
  copy_rows: copyRows,
  multiply_quotient: multiplyQuotient,
  nearswap,
  perpendicular_component: perpendicular,
  procrustes_rotate: (c) =>
    run(c, files(c, 'a', 'b'), {
      result: {
        op: 'merge.rotate',
        a: 'a',
        b: 'b',
        alignment: number(c, 'alignment'),
        centralization: number(c, 'centralization'),
      },
    }),
  train_difference_mask: trainDifference('distance'),
  arcee_fusion: (c) =>
    run(c, files(c, 'base', 'm1'), { result: { op: 'merge.arcee_fusion', base: 'base', model: 'm1' } }),
  crossover: (c) => {
    return run(c, files(c, 'a', 'b'), {
      result: { op: 'merge.crossover', a: 'a', b: 'b', keep: 1 - number(c, 'alpha'), tilt: number(c, 'tilt') },
    })
  },
  topk_redistribute: (c) =>
    run(c, files(c, 'a', 'b'), {
      result: {
        op: 'merge.top_k_sum',
        a: 'a',
        b: 'b',
        width: Math.min(1, number(c, 'width')),
        offset: number(c, 'offset'),
      },
    }),
}
