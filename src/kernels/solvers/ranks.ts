import type { Solver } from '../../graph/expression.js'
import { sizeOf } from '../../tensor/info.js'
import { byRows } from './rows.js'

/**
 * The rank of each element's magnitude within its row, from 0 for the least to n − 1 for the greatest; equal ones by
 * index. A tensor of one dimension is one row; what has more is taken as a matrix with the first dimension as its rows.
 */
export const ranks: Solver = {
  name: 'ranks',
  version: 1,
  takes: 'rows',
  ...byRows(1, {
    piece: 1 << 16,
    bytes: 16,
    widthOf: (shape) => (shape.length < 2 ? sizeOf(shape) : sizeOf(shape.slice(1))),
    run: (kernels, [x], rows, width, out, room) => kernels.rankRows(x!, rows, width, out, room),
  }),
}
