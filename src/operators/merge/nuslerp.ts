import { notTwoModels } from '../../base/catalogue/operators.js'
import { arcShares } from '../arc.js'
import { defineOperator } from '../define.js'
import { OVER, vectorsOf } from '../over.js'
import { choice, models, optionalModel, perLayer } from '../params.js'
import { proportionsOf } from '../weight-sum.js'

/** Above this |cos| float32 cannot tell the arc from a line, and opposite vectors would be scaled up out of rounding. */
const PARALLEL = 1 - 2 ** -24

/** Slerp of two models, or of what they learned beyond a base, over tensors, rows or columns. */
export const nuslerp = defineOperator({
  id: 'merge.nuslerp',
  aliases: [
    {
      name: 'nuslerp',
      from: 'mergekit',
      settings:
        '`over: row` where `nuslerp_flatten` is false, `over: column` where `nuslerp_row_wise` is true as well (of a convolution, mergekit takes single lines along one axis for vectors)',
    },
  ],
  version: 1,
  summary: 'Turns one model, or what it learned, toward another: slerp over tensors, rows or columns.',
  details: [
    'With `t = w₂/(w₁ + w₂)` and θ the angle between two vectors, each vector is `(sin((1−t)θ)·x₁ + sin(tθ)·x₂)/sin θ`. With `base`, the same is done with `xᵢ − base`, and `base` is added. Tensors with one dimension are one vector.',
    '',
    'Parallel and opposite vectors, and those of which one is all zeros, are mixed on a straight line, `(1−t)·x₁ + t·x₂`. (mergekit puts a vector of zeros at a right angle to every other, and so keeps 0.71 of the other at equal weights, where the line keeps half.) Weights that add up to 0 count as equal, as in mergekit. `merge.blend` with `method: slerp` takes a straight line for vectors and for small angles as well.',
  ].join('\n'),
  source: 'NuSLERP as in mergekit; Shoemake 1985, “Animating rotation with quaternion curves”',
  output: 'model',
  inputs: {
    base: optionalModel('What the models were trained from; unless given, the models themselves are turned.'),
    models: models(
      'The two models.',
      { weight: perLayer({ default: 1, description: 'The share of this model; only the proportion of both counts.' }) },
      2,
    ),
  },
  params: { over: choice(OVER, 'tensor', 'What is turned as one vector.') },
  merges: true,
  exact: true,
  draws: false,
  examples: [
    {
      inputs: { models: [[[4, 0]], [[0, 4]]] },
      expect: [4 * Math.SQRT1_2, 4 * Math.SQRT1_2],
    },
    {
      title: 'each row by itself, a third of the way',
      inputs: {
        models: [
          {
            model: [
              [2, 0],
              [0, 6],
            ],
            weight: 2,
          },
          {
            model: [
              [0, 2],
              [0, 3],
            ],
            weight: 1,
          },
        ],
      },
      params: { over: 'row' },
      expect: [Math.sqrt(3), 1, 0, 5],
    },
    {
      title: 'what both learned beyond a base, by column',
      inputs: {
        base: [
          [1, 1],
          [1, 1],
        ],
        models: [
          [
            [3, 1],
            [1, 2],
          ],
          [
            [1, 1],
            [3, 4],
          ],
        ],
      },
      params: { over: 'column' },
      expect: [1 + Math.SQRT2, 1, 1 + Math.SQRT2, 3],
    },
  ],
  build: (g, { base, models }, { over }, { shape, at }) => {
    const [first, second] = models
    if (models.length !== 2) return notTwoModels(at('models'), models.length)
    const { weights, sum } = proportionsOf([first!.weight, second!.weight])
    const t = sum === 0 ? 0.5 : weights[1]! / sum
    if (t === 0 || t === 1) return models[t]!.x
    const [a, b] = base === undefined ? [first!.x, second!.x] : [g.sub(first!.x, base), g.sub(second!.x, base)]
    const { dot, spread } = vectorsOf(g, over, shape)
    const norm = (x: typeof a) => g.combine('sqrt', dot(x, x))
    const [ofA, ofB] = arcShares(g, { norms: [norm(a), norm(b)], dot: dot(a, b) }, t, PARALLEL)
    const turned = g.mul(g.sub(second!.x, first!.x), spread(ofB))
    const longer = g.mul(a, spread(g.combine('sub', g.combine('add', ofA, ofB), 1)))
    // From the first model by two steps that are 0 between equal vectors, which so stay bit for bit what they are.
    return g.add(first!.x, g.add(turned, longer))
  },
})
