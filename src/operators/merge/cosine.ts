import type { Numbers, Tensor } from '../../graph/expression.js'
import type { Graph } from '../../graph/graph.js'
import { fibersOf } from '../../tensor/block-grid.js'
import { defineOperator, type Example } from '../define.js'
import { blendBy } from '../interpolate.js'
import type { Operator } from '../operator.js'
import { model, perLayer } from '../params.js'

/** Norms below this count as this, so that a vector of zeros resembles nothing. */
const LEAST_NORM = 1e-8

/** The two members differ in which cosines count. */
interface Member {
  readonly id: string
  readonly alias: string
  readonly summary: string
  readonly similarity: string
  readonly whole: boolean
  readonly examples: readonly Example[]
}

const cosine = (g: Graph, dot: (x: Tensor, y: Tensor) => Numbers, a: Tensor, b: Tensor): Numbers => {
  const norm = (x: Tensor) => g.combine('max', g.combine('sqrt', dot(x, x)), LEAST_NORM)
  return g.combine('div', dot(a, b), g.combine('mul', norm(a), norm(b)))
}

const define = ({ id, alias, summary, similarity, whole, examples }: Member): Operator =>
  defineOperator({
    id,
    aliases: [{ name: alias, from: 'sd-mecha', settings: '`keep: 1 − alpha`' }],
    version: 1,
    summary,
    details: `\`a + k·(b − a)\` with \`k = 1 − clamp(s − t, 0, 1)\` and \`t = 1 − keep\`, where s is ${similarity}. A column is what differs in the first index alone; a tensor with one dimension is one column. Columns of zeros resemble nothing (s = 0).`,
    source: `sd-mecha, \`${alias}\``,
    output: 'model',
    inputs: { a: model('The model that is kept where both are alike.'), b: model('The other model.') },
    params: {
      keep: perLayer({
        default: 0.5,
        min: -10,
        max: 10,
        description:
          'How much of `a` stays where both are alike: 1 gives all of `a` to columns that are the same in direction, 0 gives `b`. Columns at right angles are taken from `b`, whatever the number.',
      }),
    },
    merges: true,
    exact: true,
    draws: false,
    examples,
    build: (g, { a, b }, { keep }, { shape }) => {
      if (keep <= 0) return b
      const grid = fibersOf(shape)
      const columns = cosine(g, (x, y) => g.dotBy(x, y, grid), a, b)
      const alike = whole ? g.combine('div', g.combine('add', columns, cosine(g, g.dot, a, b)), 2) : columns
      const shift = g.combine('sub', alike, 1 - keep)
      const share = g.combine('sub', 1, g.combine('min', 1, g.combine('max', 0, shift)))
      return blendBy(g, a, b, g.spread(share, grid))
    },
  })

const MEMBERS: readonly Member[] = [
  {
    id: 'merge.cosine_a',
    alias: 'add_cosine_a',
    summary: 'Keeps `a` in columns that point the same way in both models, and takes the others from `b`.',
    similarity: 'the cosine of the two columns',
    whole: false,
    examples: [
      {
        title: 'the first column agrees, the second does not',
        inputs: {
          a: [
            [3, 0],
            [4, 2],
          ],
          b: [
            [6, 2],
            [8, 0],
          ],
        },
        params: { keep: 1 },
        expect: [3, 2, 4, 0],
      },
    ],
  },
  {
    id: 'merge.cosine_b',
    alias: 'add_cosine_b',
    summary: 'Like `merge.cosine_a`, by the mean of each column’s cosine and that of the whole tensors.',
    similarity: 'the mean of the cosine of the two columns and that of the whole tensors',
    whole: true,
    examples: [
      {
        title: 'the columns agree and disagree, and the whole is at 60°',
        inputs: {
          a: [
            [1, 0],
            [0, 1],
          ],
          b: [
            [1, 1],
            [0, 0],
          ],
        },
        params: { keep: 1 },
        expect: [1, 0.75, 0, 0.25],
      },
    ],
  },
]

/** The operators that blend by the cosine of columns. */
export const cosines: readonly Operator[] = MEMBERS.map(define)
