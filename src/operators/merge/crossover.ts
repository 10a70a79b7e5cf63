import { crossover as solver } from '../../kernels/solvers/crossover.js'
import { defineOperator } from '../define.js'
import { interpolate } from '../interpolate.js'
import { model, perLayer } from '../params.js'

/** Takes low frequencies of one tensor and high ones of another. */
export const crossover = defineOperator({
  id: 'merge.crossover',
  version: 2,
  aliases: [{ name: 'crossover', from: 'sd-mecha', settings: '`keep: 1 − alpha`' }],
  summary: 'Takes the low frequencies of one model and the high ones of another.',
  details: [
    'Each tensor is taken as a signal over all of its axes: a Fourier transform, a filter by the distance from frequency 0, and the transform back: in float64 along an axis, rounded to float32 between axes, so that an element is wrong by about 2⁻²³ of the root of the mean square of `b − a`. With `t = 1 − keep` and frequencies from 0 to 1, `tilt: 0` takes from `b` what is above `1 − t`, `tilt: 2` what is below `1 − t` (and tilts near 2 what is below `t`, as in sd-mecha); between them the step becomes a slope, and with `tilt: 1` it is flat, which is `lerp`. Tilts repeat after 4.',
    'A tensor takes 8 bytes of memory for each element while it is transformed, and some megabytes for the lines at work; about `5·n·log₂n` operations for n elements.',
  ].join('\n'),
  source: 'sd-mecha 1.1.5, `crossover`',
  output: 'model',
  inputs: {
    a: model('The model whose low frequencies are kept.'),
    b: model('The model whose high frequencies are taken.'),
  },
  params: {
    keep: perLayer({ default: 0.5, min: 0, max: 1, description: 'How much of `a` stays: 1 is all `a`, 0 is all `b`.' }),
    tilt: perLayer({ default: 0, description: 'How the filter is turned, from 0 to 4.' }),
  },
  merges: true,
  exact: true,
  draws: false,
  examples: [
    {
      title: 'the mean of the first, and what alternates in the second',
      inputs: { a: [2, 2, 4, 4], b: [1, -1, 1, -1] },
      params: { keep: 0.75 },
      expect: [3, 1, 5, 3],
    },
  ],
  build: (g, { a, b }, { keep, tilt }, { shape }) => {
    if (shape.length === 0 || keep === 0 || keep === 1 || ((tilt % 2) + 2) % 2 === 1)
      return interpolate(g, 'lerp', a, b, keep, shape)
    return g.solve(
      solver,
      [
        { x: a, shape },
        { x: b, shape },
      ],
      [1 - keep, tilt],
      shape,
    )
  },
})
