import type { Solver } from '../../graph/expression.js'
import { sizeOf } from '../../tensor/info.js'
import { solverKernels } from './matrix.js'

/** Elements that are ranked at a time, where rows are not longer. */
const PIECE = 1 << 16

/** Bytes of each element of a piece: the number, its rank, and twice its key with its index. */
const BYTES = 24

interface Room {
  readonly elements: number
  readonly x: number
  readonly out: number
  readonly rest: number
}
let room: Room | undefined

/** Memory for a piece of so many elements: that of the largest so far, or twice as much as of it. */
const roomFor = (elements: number): Room => {
  if (room === undefined || room.elements < elements) {
    const kernels = solverKernels()
    const most = room === undefined ? elements : Math.max(elements, 2 * room.elements)
    const [x, out] = [kernels.alloc(4 * most), kernels.alloc(4 * most)]
    room = { elements: most, x, out, rest: kernels.alloc(kernels.ranksRoom(most)) }
  }
  return room
}

/**
 * The rank of each element's magnitude within its row, from 0 for the least to n − 1 for the greatest; equal ones by
 * index. A tensor of one dimension is one row; what has more is taken as a matrix with the first dimension as its rows.
 */
export const ranks: Solver = {
  name: 'ranks',
  version: 1,
  takes: 'rows',
  // Of a tensor that is ranked in several calls, this is the share of one.
  workspace: (_, shape) => BYTES * (widthOf(shape) < PIECE ? Math.max(PIECE, sizeOf(shape) / 16) : 2 * sizeOf(shape)),
  solve: ([operand], _, shape) => {
    const given = operand!.values
    const values = given instanceof Float32Array ? given : new Float32Array(given)
    const width = widthOf(shape)
    const result = new Float32Array(values.length)
    if (width === 0) return result
    const piece = width * Math.max(1, Math.floor(PIECE / width))
    const [kernels, { x, out, rest }] = [solverKernels(), roomFor(Math.max(PIECE, width))]
    for (let start = 0; start < values.length; start += piece) {
      const n = Math.min(piece, values.length - start)
      kernels.view(Float32Array, x, n).set(values.subarray(start, start + n))
      kernels.rankRows(x, n / width, width, out, rest)
      result.set(kernels.view(Float32Array, out, n), start)
    }
    return result
  },
}

const widthOf = (shape: readonly number[]): number => (shape.length < 2 ? sizeOf(shape) : sizeOf(shape.slice(1)))
