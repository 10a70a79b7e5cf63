import { partitionParts, partitionShares } from '../../base/catalogue/operators.js'
import { named } from '../aliases.js'
import { defineOperator } from '../define.js'
import { integer, model, numbers } from '../params.js'

/** Sums of shares this near to 1 are 1 up to the rounding of the numbers a person writes. */
const ROUNDING = 1e-6
const PARTS = 4

/** How many parts a step has, by its parameters as the recipe gives them. */
const countParts = (parts: unknown, shares: unknown): number =>
  Array.isArray(shares) ? shares.length : typeof parts === 'number' ? parts : PARTS

/** Masks that together are true once everywhere. */
export const partition = defineOperator({
  id: 'mask.partition',
  version: 1,
  summary: 'Splits the parameters among several masks at random.',
  aliases: [...named('ComfyUI-DareMerge', ['DM_QuadMasker', 'Quad Masker'])],
  details: [
    'Every parameter is true in exactly one of the masks; one random number decides which. The results are `step.1`, `step.2` and so on.',
    'With four masks and four models, each model gives a random quarter.',
  ].join('\n'),
  source: 'ComfyUI-DareMerge, quad masker',
  output: 'mask',
  results: ({ parts, shares }) => countParts(parts, shares),
  inputs: { like: model('A model whose tensors the masks are for; its numbers are not read.', 'any') },
  params: {
    parts: integer({
      min: 2,
      max: 64,
      description: `The number of masks; as many as there are \`shares\`, or ${PARTS}.`,
    }),
    shares: numbers({
      required: false,
      min: 0,
      max: 1,
      description: 'The share of each mask; together 1. Equal unless given.',
    }),
  },
  merges: false,
  exact: true,
  draws: true,
  examples: [
    {
      title: 'the first of two masks that takes everything',
      inputs: { like: [1, 2] },
      params: { shares: [1, 0] },
      expect: [true, true],
    },
    {
      title: 'the first of three masks that takes nothing',
      inputs: { like: [1, 2] },
      params: { parts: 3, shares: [0, 0.5, 0.5] },
      expect: [false, false],
    },
  ],
  build: (g, _inputs, { parts, shares }, { stream, at }) => {
    const count = countParts(parts, shares)
    if (parts !== undefined && parts !== count) return partitionParts(at('shares'), parts, count)
    const given = shares ?? Array.from({ length: count }, () => 1 / count)
    const sum = given.reduce((x, y) => x + y, 0)
    if (Math.abs(sum - 1) > ROUNDING) return partitionShares(at('shares'), sum)
    const draw = g.uniform(stream(0))
    const bounds = given.reduce<number[]>((ends, share) => [...ends, (ends.at(-1) ?? 0) + share], [])
    // Draws lie below 1; the last part with a share takes what rounding leaves under it.
    const below = bounds.map((end) => (end > 1 - ROUNDING ? g.constant(true) : g.compare('less', draw, end)))
    return below.map((mask, i) => (i === 0 ? mask : g.and(mask, g.not(below[i - 1]!))))
  },
})
