import { greatest } from '../../base/lists.js'
import type { ScalarFunction } from '../../graph/expression.js'
import { linearSum, normIn, sumVectors, unitVector, type Coefficients } from '../coefficients.js'
import { defineOperator } from '../define.js'
import { addVectors, differencesOf, pairDots, weigh } from '../gram.js'
import { models, perLayer } from '../params.js'

/** Models closer to each other than this share of the greatest distance are one point. */
const SAME = 2 ** -26
/** Steps shorter than this share of it end the iteration. */
const SETTLED = 1e-13
const MOST_STEPS = 1000
/** A pull this much below a model's weight leaves no doubt that the median is the model. */
const CERTAIN = 1 - 1e-9

interface Point {
  readonly weight: number
  readonly at: Coefficients
}

/** What a place sees of the points: the weight of those that are there, and where the others draw it, how strongly. */
interface View {
  readonly here: number
  readonly target: Coefficients
  readonly pull: number
}

/** The coefficients of the median. Arguments: a weight for each model, and the dot products of the differences. */
const medianOf: ScalarFunction = {
  name: 'geometric-median',
  version: 1,
  evaluate: (numbers) => {
    // k weights and k(k − 1)/2 dot products, since the first model is the origin.
    const count = Math.round((Math.sqrt(1 + 8 * numbers.length) - 1) / 2)
    const size = count - 1
    const norm = normIn(size, numbers.slice(count))
    const distance = (a: Coefficients, b: Coefficients): number => norm(linearSum(1, a, -1, b))
    const points = numbers.slice(0, count).map((weight, i): Point => ({ weight, at: unitVector(size, i - 1) }))
    const extent = greatest(points.map(({ at }) => norm(at)))

    const seenFrom = (place: Coefficients): View => {
      let here = 0
      const others: Point[] = []
      for (const { weight, at } of points) {
        const far = distance(at, place)
        if (far <= SAME * extent) here += weight
        else others.push({ weight: weight / far, at })
      }
      if (others.length === 0) return { here, target: place, pull: 0 }
      const nearness = others.reduce((sum, { weight }) => sum + weight, 0)
      const target = sumVectors(size, others, ({ at }) => at).map((x) => x / nearness)
      return { here, target, pull: nearness * distance(target, place) }
    }

    // Steps only come ever closer to a median that is one of the models, so that is found out first.
    const model = points.find(({ at }) => {
      const { here, pull } = seenFrom(at)
      return pull < CERTAIN * here
    })
    if (model !== undefined) return model.at

    let place = sumVectors(size, points, ({ at }) => at)
    for (let step = 0; step < MOST_STEPS; step++) {
      const { here, target, pull } = seenFrom(place)
      const stay = here === 0 ? 0 : Math.min(1, here / pull)
      const next = linearSum(1 - stay, target, stay, place)
      const moved = distance(next, place)
      place = next
      if (moved <= SETTLED * extent) break
    }
    return place
  },
}

/** The point with the least weighted sum of distances to the models. */
export const geometricMedian = defineOperator({
  id: 'merge.geometric_median',
  aliases: [{ name: 'geometric_median', from: 'sd-mecha' }],
  version: 1,
  summary: 'Gives the point with the least sum of distances to all models, which outliers hardly move.',
  details: [
    'Minimises `Σ wᵢ·‖xᵢ − y‖` over whole tensors. A model that has more than half of the weight is the result itself. Between two models of equal weight all points are equally near, and the result is their average.',
    '',
    'Weiszfeld’s iteration from the weighted average, until it no longer moves; it is on the distances alone, so its steps cost nothing. At most 64 models.',
  ].join('\n'),
  source:
    'Weiszfeld 1937, “Sur le point pour lequel la somme des distances de n points donnés est minimum”; with the step of Vardi and Zhang 2000 where it meets a model',
  output: 'model',
  inputs: {
    models: models('The models. The first gives the result its tensors, and is kept where nothing is merged.', {
      weight: perLayer({ default: 1, min: 0, description: 'How much the distance to this model counts.' }),
    }),
  },
  params: {},
  merges: true,
  exact: true,
  draws: false,
  examples: [
    {
      title: 'the centre of a triangle, from which all corners are seen at the same angle',
      inputs: {
        models: [
          [0, 0],
          [6, 0],
          [3, 3 * Math.sqrt(3)],
        ],
      },
      expect: [3, Math.sqrt(3)],
    },
    {
      title: 'an outlier that does not count',
      inputs: {
        models: [
          [1, 1],
          [1, 1],
          [100, -40],
        ],
      },
      expect: [1, 1],
    },
  ],
  build: (g, { models }, _, subject) => {
    const weighed = weigh(models, true, subject)
    if ('code' in weighed) return weighed
    const { tensors, weights } = weighed
    const differences = differencesOf(g, tensors)
    const args = [...weights, ...pairDots(g, differences)]
    return addVectors(g, tensors[0]!, differences, g.evaluate(medianOf, args, differences.length))
  },
})
