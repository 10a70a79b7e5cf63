import { keptCount, rescaleNothing } from '../../base/catalogue/operators.js'
import type { Mask, Scalar, Tensor } from '../../graph/expression.js'
import type { Graph } from '../../graph/graph.js'
import { named } from '../aliases.js'
import { defineOperator } from '../define.js'
import { interpolate, methodParam, methodProblem } from '../interpolate.js'
import { choice, integer, model, number, optionalMasks, optionalModel, perLayer } from '../params.js'

const RESCALE = {
  false: 'adds what is left as it is, as the node pack does',
  true: 'divides it by `1 − drop`, as the DARE paper does',
  l1: 'scales it to the Σ|δ| from before the drop',
} as const

const TIES = {
  off: 'changes go both ways',
  sum: 'the sign of the sum of all differences of the tensor; 0 counts as +',
  count: 'the sign that most differences of the tensor have; a tie counts as +',
} as const

const BLEND = {
  after: 'once, between `a` and the outcome of all iterations',
  each: 'within every iteration, so that it compounds',
} as const

/** The nodes have the same settings, `keep` aside. */
const AS_BLOCK = 'all else as for `DM_DareModelMergerBlock`'

/** Sums of |δ| below this are too small to scale by. */
const LEAST_NORM = 1e-7

/** Moves a random part of one model to another. */
export const dare = defineOperator({
  id: 'merge.dare',
  version: 3,
  summary: 'Moves a random part of `a` to `b`: drop and rescale, for two models.',
  aliases: [
    ...named(
      'ComfyUI-DareMerge',
      ['DM_DareModelMergerBlock', 'Model Merger (Block/DARE)', 'DM_DareModelMerger'],
      '`drop: drop_rate`, `keep` from `weights.block`, `ties: sum` unless the node has another, `blend: each` for any `method` but `comfy`, `unmasked: merge` with a mask',
    ),
    ...named(
      'ComfyUI-DareMerge',
      ['DM_AdvancedDareModelMerger', 'Model Merger (Advanced/DARE)'],
      `the gradient as \`keep\`; ${AS_BLOCK}`,
    ),
    ...named(
      'ComfyUI-DareMerge',
      ['DM_DareModelMergerMBW', 'Model Merger (MBW/DARE)'],
      `\`keep\` from \`weights.mbw\`; ${AS_BLOCK}`,
    ),
    ...named(
      'ComfyUI-DareMerge',
      ['DM_DareModelMergerElement', 'Model Merger (Attention/DARE)'],
      `the product of \`weights.shell\` and \`weights.attention\` as \`keep\`; ${AS_BLOCK}`,
    ),
    ...named(
      'ComfyUI-DareMerge',
      ['DM_DareClipMerger', 'CLIP Merger (DARE)'],
      `\`keep: ratio\`, \`layers: component:clip\`; ${AS_BLOCK}`,
    ),
    ...named(
      'ComfyUI-DareMerge',
      ['DareModelMerger', 'DareModelMergerMBW', 'MagnitudeModelMerger'],
      'the nodes before 22 January 2024: `exclude_a` and `include_b` are masks from `mask.magnitude`, joined by `mask.difference`',
    ),
  ],
  details: [
    'Repeated `iterations` times from the running result `x`, which begins as `a`: `δ = b − x` is dropped number by number with probability `drop`, with new random numbers in each iteration, and the rest is added to `x`.',
    'At the end (`blend: after`) `method` blends between `a` and `x` by `keep`.',
    '',
    'With `ties`, a sign is elected for the whole tensor before anything is dropped, and only differences of that sign are added; differences of 0 have no sign. Where `mask` is false, the running result stays as it is.',
    'With a `base`, `a + (b − base)` takes the place of `b`: what is added is the difference of `b` from `base`. With `rescale: l1`, sums are over where the mask is true.',
    '`drop: 0, keep: 0` without `ties` is `b` exactly; `drop: 1` is `a`.',
    '',
    'The block, MBW, shell and attention nodes of the pack are this operator with per-layer numbers as `keep`.',
  ].join('\n'),
  source: 'ComfyUI-DareMerge; Yu et al. 2023, “Language Models are Super Mario” (DARE), arXiv 2311.03099',
  output: 'model',
  inputs: {
    a: model('The model that is changed.'),
    b: model('The model whose numbers are taken.'),
    base: optionalModel('What the difference of `b` is measured from; `a` unless given.'),
    kept: optionalMasks(
      'Masks to use in place of random draws, one for each iteration: true where the difference is kept. They must cover every tensor that is merged. For repeating a merge made elsewhere.',
    ),
  },
  params: {
    drop: number({
      default: 0.9,
      min: 0,
      max: 1,
      description:
        'The probability that a difference is dropped. Elsewhere the number is often “density”, which is `1 − drop`.',
    }),
    rescale: choice(RESCALE, 'false', 'How the dropped part is compensated.'),
    ties: choice(TIES, 'off', 'Adds only differences of the sign that the tensor elects.'),
    iterations: integer({
      default: 1,
      min: 1,
      max: 100,
      description: 'How often this is repeated, each time from the result so far.',
    }),
    keep: perLayer({
      default: 0,
      min: -10,
      max: 10,
      description:
        'How much of `a` stays in the final blend: 0 takes the whole result, 1 gives `a`. The node pack calls this number “ratio”.',
    }),
    method: methodParam,
    blend: choice(BLEND, 'after', 'When `method` and `keep` are applied.'),
  },
  merges: true,
  masksItself: true,
  exact: true,
  draws: true,
  examples: [
    {
      inputs: { a: [0, 0, 0, 0], b: [1, 2, 3, 4], kept: [[true, false, true, false]] },
      params: { drop: 0.5 },
      expect: [1, 0, 3, 0],
    },
    {
      title: 'rescaled, half of it',
      inputs: { a: [0, 0], b: [1, 2], kept: [[true, false]] },
      params: { drop: 0.5, rescale: true, keep: 0.5 },
      expect: [1, 0],
    },
    {
      title: 'only the sign that the tensor elects',
      inputs: { a: [0, 0, 0], b: [1, -2, 4] },
      params: { drop: 0, ties: 'sum' },
      expect: [1, 0, 4],
    },
    {
      title: 'elected by number, not by size',
      inputs: { a: [0, 0, 0], b: [-1, -2, 4] },
      params: { drop: 0, ties: 'count' },
      expect: [-1, -2, 0],
    },
    {
      title: 'two iterations, blended in each',
      inputs: {
        a: [0, 0, 0],
        b: [4, 4, 4],
        kept: [
          [true, true, false],
          [true, false, false],
        ],
      },
      params: { drop: 0.5, iterations: 2, keep: 0.5, blend: 'each' },
      expect: [3, 2, 0],
    },
    {
      title: 'the sum of changes kept',
      inputs: { a: [0, 0], b: [1, 3], kept: [[true, false]] },
      params: { drop: 0.5, rescale: 'l1' },
      expect: [4, 0],
    },
  ],
  build: (
    g,
    { a, b, base, kept },
    { drop, rescale, ties, iterations, keep, method, blend },
    { mask, shape, stream, at, warn },
  ) => {
    if (kept.length > 0 && kept.length !== iterations) return keptCount(at('kept'), kept.length, iterations)
    const problem = methodProblem(method, keep, at('keep'))
    if (problem !== undefined) return problem
    if (drop === 1) {
      if (rescale !== 'false') warn(rescaleNothing(at('drop')))
      return a
    }
    const target = base === undefined ? b : g.add(a, g.sub(b, base))
    const scale = (delta: Tensor, chosen: Mask): Scalar | number => {
      if (rescale !== 'l1') return rescale === 'true' ? 1 / (1 - drop) : 1
      const magnitude = g.abs(mask === undefined ? delta : g.choose(mask, delta, 0))
      const [before, after] = [g.sum(magnitude), g.sum(g.choose(chosen, magnitude, 0))]
      return g.ifLess(g.min(before, after), LEAST_NORM, 1, g.div(before, after))
    }
    let x = a
    for (let i = 0; i < iterations; i++) {
      const delta = g.sub(target, x)
      const chosen = kept[i] ?? g.bernoulli(1 - drop, stream(i))
      const open = g.and(
        chosen,
        ...(ties === 'off' ? [] : [electorate(g, delta, ties)]),
        ...(mask === undefined ? [] : [mask]),
      )
      const factor = scale(delta, chosen)
      // Without a scale the number is taken over as it is, not by way of a difference that rounds.
      const next = g.choose(open, factor === 1 ? target : g.add(x, g.mul(delta, factor)), x)
      x = blend === 'each' ? interpolate(g, method, x, next, keep, shape) : next
    }
    return blend === 'each' ? x : interpolate(g, method, a, x, keep, shape)
  },
})

/** Where a difference has the sign that the tensor elects. */
const electorate = (g: Graph, delta: Tensor, by: 'sum' | 'count'): Mask => {
  const total = g.sum(by === 'sum' ? delta : g.sign(delta))
  return g.compare('greater', g.mul(delta, g.ifLess(total, 0, -1, 1)), 0)
}
