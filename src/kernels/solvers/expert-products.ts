import type { Solver } from '../../graph/expression.js'
import { multiplyFactors } from './low-rank.js'
import { matrixOf, part, transposed } from './matrix.js'

/**
 * The product of two factors for each expert in float32, [experts, outputs, inputs], or [experts, inputs, outputs].
 * Operands: down [experts · rank, inputs] and up [outputs, rank · experts]; settings: the number of experts, and 1 for
 * the second order. `ParamWrapper` of PEFT, `lora/layer.py`.
 */
export const expertProducts: Solver = {
  name: 'expert-products',
  version: 1,
  takes: 'all',
  workspace: () => 0,
  solve: ([down, up], [experts = 1, turned = 0], [, rows = 1, columns = 1]) => {
    const values = new Float32Array(experts * rows * columns)
    const [all, inputs] = down!.shape as [number, number]
    const outputs = up!.shape[0]!
    const rank = all / experts
    for (let e = 0; e < experts; e++) {
      const own = { values: up!.values, first: e, rows: outputs, columns: rank, rowStep: all, columnStep: experts }
      const lower = part(matrixOf(down!.values, all, inputs), e * rank, rank, 0, inputs)
      const factors = turned === 1 ? ([transposed(lower), transposed(own)] as const) : ([own, lower] as const)
      multiplyFactors(...factors, (row, column, numbers) => values.set(numbers, (e * rows + row) * columns + column))
    }
    return values
  },
}

/**
 * The products of pairs of factors in float32, each at some outputs of one expert of [experts, outputs, inputs], or
 * [experts, inputs, outputs]; what no pair is for is 0. Operands: down [rank, inputs] and up [outputs, rank] of each pair;
 * settings: 1 for the second order, and for each pair its expert, its first output, and the number it is multiplied by.
 */
export const stackedExperts: Solver = {
  name: 'stacked-experts',
  version: 1,
  takes: 'all',
  workspace: () => 0,
  solve: (operands, [turned = 0, ...places], [experts = 1, rows = 1, columns = 1]) => {
    const values = new Float32Array(experts * rows * columns)
    for (let i = 0; 3 * i < places.length; i++) {
      const [down, up] = [operands[2 * i]!, operands[2 * i + 1]!]
      const [expert, first, scale] = [places[3 * i]!, places[3 * i + 1]!, places[3 * i + 2]!]
      const upper = matrixOf(
        scale === 1 ? up.values : Float64Array.from(up.values, (x) => scale * x),
        up.shape[0]!,
        up.shape[1]!,
      )
      const lower = matrixOf(down.values, down.shape[0]!, down.shape[1]!)
      const factors = turned === 1 ? ([transposed(lower), transposed(upper)] as const) : ([upper, lower] as const)
      const [row, column] = turned === 1 ? [0, first] : [first, 0]
      multiplyFactors(...factors, (r, c, numbers) =>
        values.set(numbers, (expert * rows + row + r) * columns + column + c),
      )
    }
    return values
  },
}
