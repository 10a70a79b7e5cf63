import { redistribution } from '../../kernels/solvers/redistribution.js'
import { sizeOf } from '../../tensor/info.js'
import { defineOperator } from '../define.js'
import { model, perLayer } from '../params.js'
import { regionOf } from '../region.js'

/** Gives the numbers of one tensor the order of another's. */
export const topKSum = defineOperator({
  id: 'merge.top_k_sum',
  version: 1,
  aliases: [{ name: 'top_k_tensor_sum', from: 'sd-mecha' }],
  summary: 'Gives the parameters of a model the order that another model has, within a region of magnitudes.',
  details: [
    'Over the flattened tensor, the parameter that is the r-th least of `b` gets the r-th least number of `a`, if the magnitude of that number lies in the region; all others keep `a`. Magnitudes of `a` are numbered in ascending order, and the region covers the share `width` of them from the share `offset` on; where it goes beyond the last, it goes on at the first. As in sd-mecha, the numbers at both of its ends belong to it; where it goes on at the first, they do not. Equal numbers are in the order of their positions.',
    'Tensors of f16, bf16 and f8 are ordered by counting and take 8 bytes of memory for each element; others are sorted, which takes 32 bytes and 25 times as long.',
  ].join('\n'),
  source: 'sd-mecha 1.1.5, `top_k_tensor_sum`',
  output: 'model',
  inputs: { a: model('The model whose numbers are used.'), b: model('The model whose order is used.') },
  params: {
    width: perLayer({ default: 1, min: -1, max: 1, description: 'The share of the magnitudes that is reordered.' }),
    offset: perLayer({
      default: 0,
      min: -1,
      max: 1,
      description: 'Where the region begins, as a share of the magnitudes.',
    }),
  },
  merges: true,
  exact: true,
  draws: false,
  examples: [{ inputs: { a: [1, 2, 3], b: [9, 7, 8] }, expect: [3, 1, 2] }],
  build: (g, { a, b }, { width, offset }, { shape }) => {
    const { from, to, inside } = regionOf(width, offset, sizeOf(shape))
    return g.solve(
      redistribution,
      [
        { x: a, shape },
        { x: b, shape },
      ],
      [from, to, inside ? 1 : 0],
      shape,
    )
  },
})
