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
