import { defineOperator } from '../define.js'
import { weigh } from '../gram.js'
import { integer, models, perLayer } from '../params.js'
import { sphericalMean } from '../sphere.js'

/** The Riemannian mean of directions, as long as the models are on average. */
export const karcher = defineOperator({
  id: 'merge.karcher',
  aliases: [{ name: 'karcher', from: 'mergekit', settings: '`iterations` is its `max_iter` (10)' }],
  version: 2,
  summary: 'Gives the direction with the least squared angles to those of all models, and their mean length.',
  details: [
    'The Karcher mean of `xᵢ/‖xᵢ‖` over whole tensors, times `Σ wᵢ·‖xᵢ‖ / Σ wᵢ`. It begins at the normalised mean of these unit vectors and moves along the sphere by the mean of the arcs to all of them, until they balance.',
    '',
    'A tensor of zeros counts in the length alone. Where the directions cancel out, as those of two opposite models do, there is no such mean, and the result is the average of the models. A model that is opposite to the mean, to which all ways are equally long, does not move it. At most 64 models.',
  ].join('\n'),
  source: 'Karcher 1977, “Riemannian center of mass and mollifier smoothing”; of models: arXiv 2603.04972',
  output: 'model',
  inputs: {
    models: models('The models. The first gives the result its tensors, and is kept where nothing is merged.', {
      weight: perLayer({ default: 1, min: 0, description: 'The share of this model.' }),
    }),
  },
  params: {
    iterations: integer({
      default: 100,
      min: 0,
      max: 1000,
      description:
        'The most steps. Models that point the same way need a few; 0 is `merge.slerp_many`. They cost nothing: steps are taken on the angles alone.',
    }),
  },
  merges: true,
  exact: true,
  draws: false,
  examples: [
    {
      title: 'three directions on a quarter of a circle',
      inputs: {
        models: [
          [2, 0],
          [0, 2],
          [0, 2],
        ],
      },
      expect: [1, Math.sqrt(3)],
    },
    {
      title: 'one of them opposite to the others',
      inputs: {
        models: [
          { model: [0.375], weight: 1 },
          { model: [0.125], weight: 2 },
          { model: [-0.125], weight: 1 },
        ],
      },
      expect: [0.1875],
    },
  ],
  build: (g, { models }, { iterations }, subject) => {
    const weighed = weigh(models, true, subject)
    return 'code' in weighed ? weighed : sphericalMean(g, weighed, undefined, iterations)
  },
})
