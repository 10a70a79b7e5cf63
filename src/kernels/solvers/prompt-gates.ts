import type { Solver, SolverOperand } from '../../graph/expression.js'
import { sizeOf } from '../../tensor/info.js'

/** A norm below it counts as this, so that an expert whose prompts cancel out gets a router of zeros. */
const LEAST_NORM = 1e-8

/** Brings a vector to length 1. */
const normalize = (x: Float64Array): Float64Array => {
  let squares = 0
  for (const value of x) squares += value * value
  const norm = Math.max(LEAST_NORM, Math.sqrt(squares))
  return x.map((value) => value / norm)
}

/** Rows of several matrices, numbered through. */
const rowsOf = (
  operands: readonly SolverOperand[],
  columns: number,
): ((row: number) => Float32Array | Float64Array) => {
  const firsts: number[] = []
  let count = 0
  for (const { values } of operands) {
    firsts.push(count)
    count += values.length / columns
  }
  return (row) => {
    const at = firsts.findLastIndex((first) => first <= row)
    const from = (row - firsts[at]!) * columns
    return operands[at]!.values.subarray(from, from + columns)
  }
}

/**
 * Routers from embeddings, [experts, hidden]: for each expert the sum of the rows of its prompts’ tokens, of length 1;
 * with negative prompts, less theirs, and again of length 1. Operands: matrices with the rows; settings: for each
 * expert a number of tokens and their rows, and the same of its negative prompts. As `cheap_embed` of mergekit-moe.
 */
export const promptGates: Solver = {
  name: 'prompt-gates',
  version: 1,
  takes: 'all',
  workspace: () => 0,
  solve: (operands, settings, shape) => {
    const [experts, columns] = [shape[0]!, shape[1]!]
    const row = rowsOf(operands, columns)
    const gates = new Float64Array(sizeOf(shape))
    let at = 0
    const direction = (): Float64Array | undefined => {
      const count = settings[at++]!
      if (count === 0) return undefined
      const sum = new Float64Array(columns)
      for (const end = at + count; at < end; at++) {
        const own = row(settings[at]!)
        for (let i = 0; i < columns; i++) sum[i]! += own[i]!
      }
      return normalize(sum)
    }
    for (let expert = 0; expert < experts; expert++) {
      const [towards, away] = [direction() ?? new Float64Array(columns), direction()]
      gates.set(away === undefined ? towards : normalize(towards.map((x, i) => x - away[i]!)), expert * columns)
    }
    return gates
  },
}
