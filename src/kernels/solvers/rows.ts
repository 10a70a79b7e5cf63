import type { Solver, SolverOperand } from '../../graph/expression.js'
import { sizeOf } from '../../tensor/info.js'
import type { Kernels } from '../kernels.js'
import { solverKernels } from './matrix.js'

/** A kernel that makes rows of a result of the same rows of its operands. */
export interface RowKernel {
  /** Elements that it is given at a time, where rows are not longer. */
  readonly piece: number
  /** Bytes that it needs for an element besides its operands and its result. */
  readonly bytes: number
  /** How many numbers a row has, in a tensor of some shape. */
  widthOf(shape: readonly number[]): number
  /** Computes rows of operands at some places of the memory; `room` has what it needs for so many elements. */
  run(kernels: Kernels, operands: readonly number[], rows: number, width: number, out: number, room: number): void
}

interface Room {
  readonly elements: number
  readonly operands: readonly number[]
  readonly out: number
  readonly rest: number
}

/** Bytes by which what a kernel needs may exceed that for its elements. */
const EXTRA = 1 << 17

const singles = ({ values }: SolverOperand): Float32Array =>
  values instanceof Float32Array ? values : new Float32Array(values)

/** Has a kernel compute rows piece by piece, in memory that each thread takes once. */
export const byRows = (
  operands: number,
  { piece, bytes, widthOf, run }: RowKernel,
): Pick<Solver, 'solve' | 'workspace'> => {
  let room: Room | undefined
  /** That of the longest piece so far, or twice as much. */
  const roomFor = (kernels: Kernels, elements: number): Room => {
    if (room !== undefined && room.elements >= elements) return room
    const most = room === undefined ? elements : Math.max(elements, 2 * room.elements)
    const place = (): number => kernels.alloc(4 * most)
    room = {
      elements: most,
      operands: Array.from({ length: operands }, place),
      out: place(),
      rest: kernels.alloc(bytes * most + EXTRA),
    }
    return room
  }
  return {
    workspace: (_, shape) => {
      const each = 4 * (operands + 1) + bytes
      // Of a tensor that is computed in several calls, this is the share of one.
      return widthOf(shape) < piece
        ? EXTRA + each * Math.max(piece, sizeOf(shape) / 16)
        : EXTRA + 2 * each * sizeOf(shape)
    },
    solve: (given, _, shape) => {
      const width = widthOf(shape)
      const all = given.map(singles)
      const result = new Float32Array(sizeOf(shape))
      if (result.length === 0) return result
      const step = width * Math.max(1, Math.floor(piece / width))
      const kernels = solverKernels()
      const places = roomFor(kernels, Math.max(piece, width))
      for (let start = 0; start < result.length; start += step) {
        const n = Math.min(step, result.length - start)
        all.forEach((x, i) => kernels.view(Float32Array, places.operands[i]!, n).set(x.subarray(start, start + n)))
        run(kernels, places.operands, n / width, width, places.out, places.rest)
        result.set(kernels.view(Float32Array, places.out, n), start)
      }
      return result
    },
  }
}
