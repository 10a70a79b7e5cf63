import { least } from '../../base/lists.js'
import { lowRankApproximation } from '../../kernels/solvers/low-rank.js'
import { sizeOf } from '../../tensor/info.js'
import { defineOperator } from '../define.js'
import { model as modelInput, perLayer } from '../params.js'

/** The best approximation of a rank. */
export const truncateRank = defineOperator({
  id: 'model.truncate_rank',
  version: 1,
  summary: 'Keeps the strongest directions of each matrix, so that it has a low rank.',
  aliases: [
    { name: 'truncate_rank', from: 'sd-mecha', settings: '`rank` is a number, not a share' },
    { name: 'low-rank approximation', from: 'common usage' },
  ],
  details:
    'Replaces each matrix by the best approximation of the given rank (truncated singular value decomposition); of convolutions, the matrix of filters. Meant for differences: what `adapter.extract` would keep of them. Vectors and matrices of no higher rank stay as they are, and with rank 0 a matrix becomes 0. The error is within 1 % of the least that is possible.',
  source: 'sd-mecha 1.1.5, `truncate_rank`',
  output: 'model',
  inputs: { model: modelInput('The model or difference.', 'any') },
  params: { rank: perLayer({ required: true, min: 0, description: 'The rank, a whole number.' }) },
  merges: true,
  exact: true,
  draws: false,
  examples: [
    {
      inputs: {
        model: [
          [4, 0],
          [0, 1],
        ],
      },
      params: { rank: 1 },
      expect: [4, 0, 0, 0],
    },
  ],
  build: (g, { model }, { rank }, { shape }) => {
    const wanted = Math.round(rank)
    if (shape.length < 2 || wanted >= least([shape[0]!, sizeOf(shape.slice(1))])) return model
    return wanted === 0 ? g.fill(0) : g.solve(lowRankApproximation, [{ x: model, shape }], [wanted], shape)
  },
})
