import type { Solver } from '../../graph/expression.js'
import { byRows } from './rows.js'

/**
 * How much the change of each parameter from `base` matters: |x − base| times the divergence of the softmax of its row
 * along the last axis, KL(softmax(x) ‖ softmax(base)). About 80 floating-point operations for each.
 */
export const importance: Solver = {
  name: 'importance',
  version: 1,
  takes: 'rows',
  ...byRows(2, {
    piece: 1 << 13,
    bytes: 24,
    widthOf: (shape) => shape.at(-1) ?? 1,
    run: (kernels, [x, base], rows, width, out, room) => kernels.importanceOfRows(x!, base!, rows, width, out, room),
  }),
}
