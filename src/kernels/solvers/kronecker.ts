import type { Solver } from '../../graph/expression.js'
import { sizeOf } from '../../tensor/info.js'
import { matrixOf } from './matrix.js'
import { truncatedSvd, truncationBytes } from './svd.js'

/**
 * The best approximation of a matrix [rows, columns, …kernel] by a Kronecker product of two (Van Loan & Pitsianis 1993):
 * with the elements that one number of the first factor multiplies as a row, it has rank 1. Operand: the matrix;
 * settings: the rows and the columns of the first factor, which divide those of the matrix.
 */
export const kroneckerApproximation: Solver = {
  name: 'kronecker-approximation',
  version: 1,
  takes: 'all',
  workspace: (_, shape, [rows = 1, columns = 1]) => {
    const size = sizeOf(shape)
    return 8 * size + truncationBytes(rows * columns, size / (rows * columns), 1)
  },
  solve: ([operand], [rows = 1, columns = 1], shape) => {
    const { values } = operand!
    const [height, width, kernel] = [shape[0]! / rows, shape[1]! / columns, sizeOf(shape.slice(2))]
    const [first, second] = [rows * columns, height * width * kernel]
    /** Calls `visit` with the place of each element in the tensor, and in the matrix of rank 1. */
    const each = (visit: (at: number, row: number, column: number) => void): void => {
      let at = 0
      for (let i = 0; i < rows; i++)
        for (let k = 0; k < height; k++)
          for (let j = 0; j < columns; j++)
            for (let l = 0; l < width * kernel; l++) visit(at++, i * columns + j, k * width * kernel + l)
    }
    const rearranged = new Float64Array(values.length)
    each((at, row, column) => (rearranged[row * second + column] = values[at]!))
    const { u, s, vt } = truncatedSvd(matrixOf(rearranged, first, second), 1)
    const nearest = new Float64Array(values.length)
    // A matrix of zeros has no direction.
    const [value] = s
    if (value === undefined) return nearest
    each((at, row, column) => {
      nearest[at] = value * u.values[u.first + row * u.rowStep]! * vt.values[vt.first + column * vt.columnStep]!
    })
    return nearest
  },
}
