import type { Solver } from '../../graph/expression.js'
import { addProduct, type Matrix } from './matrix.js'

/**
 * The product of two factors for each expert, [experts, outputs, inputs], or [experts, inputs, outputs]. Operands: down
 * [experts · rank, inputs] and up [outputs, rank · experts]; settings: the number of experts, and 1 for the second order.
 * `ParamWrapper` of PEFT, `lora/layer.py`.
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
      const place = { values, first: e * rows * columns, rows: outputs, columns: inputs }
      const product: Matrix =
        turned === 1 ? { ...place, rowStep: 1, columnStep: columns } : { ...place, rowStep: columns, columnStep: 1 }
      addProduct(
        product,
        { values: up!.values, rows: outputs, columns: rank, first: e, rowStep: all, columnStep: experts },
        { values: down!.values, rows: rank, columns: inputs, first: e * rank * inputs, rowStep: inputs, columnStep: 1 },
      )
    }
    return values
  },
}
