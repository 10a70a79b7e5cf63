import type { Solver } from '../../graph/expression.js'
import { sizeOf } from '../../tensor/info.js'

/** Tensors whose rows follow one another in one. */
export const joinedRows: Solver = {
  name: 'joined-rows',
  version: 1,
  takes: 'all',
  workspace: () => 0,
  solve: (operands, _, shape) => {
    const joined = new Float64Array(sizeOf(shape))
    let at = 0
    for (const { values } of operands) {
      joined.set(values, at)
      at += values.length
    }
    return joined
  },
}

/** A tensor with zeros behind its numbers on every axis, up to a shape of as many axes that is nowhere smaller. */
export const padding: Solver = {
  name: 'padding',
  version: 1,
  takes: 'all',
  workspace: () => 0,
  solve: ([operand], _, shape) => {
    const { values, shape: own } = operand!
    const padded = new Float64Array(sizeOf(shape))
    const run = own.at(-1) ?? 1
    for (let from = 0; from < values.length; from += run) {
      let [rest, to, step] = [from / run, 0, shape.at(-1) ?? 1]
      for (let axis = own.length - 2; axis >= 0; axis--) {
        to += (rest % own[axis]!) * step
        rest = Math.floor(rest / own[axis]!)
        step *= shape[axis]!
      }
      padded.set(values.subarray(from, from + run), to)
    }
    return padded
  },
}
