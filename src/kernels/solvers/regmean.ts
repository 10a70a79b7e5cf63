import type { Solver } from '../../graph/expression.js'
import { sizeOf } from '../../tensor/info.js'
import { factorize, solveRows } from './cholesky.js'
import { addProduct, matrixOf } from './matrix.js'

/** Elements of a Gram matrix that differ from their mirror image by more than this share of its diagonal are wrong. */
const ASYMMETRY = 1e-3

/**
 * `(Σ wᵢGᵢWᵢᵀ)(Σ wᵢGᵢ)⁻¹`, transposed, of weights Wᵢ [outputs, inputs] and Gram matrices Gᵢ [inputs, inputs] whose
 * off-diagonal elements are multiplied by alpha. Operands: W₁, G₁, W₂, G₂, …; settings: alpha, w₁, w₂, …. As W₁ and a
 * correction, so that equal weights stay what they are. An input that no example has leaves its weights open: they are
 * averaged by wᵢ. About (2K + 2)·outputs·inputs² + inputs³/3 floating-point operations for K models.
 */
export const regmean: Solver = {
  name: 'regmean',
  version: 1,
  takes: 'all',
  workspace: ([, gram], shape) => 8 * (2 * sizeOf(gram!) + 2 * sizeOf(shape)),
  solve: (operands, [alpha = 1, ...weights], shape) => {
    const [outputs, inputs] = [shape[0]!, sizeOf(shape) / shape[0]!]
    const first = operands[0]!.values
    const total = new Float64Array(inputs * inputs)
    const result = new Float64Array(outputs * inputs)
    const [gram, delta] = [new Float64Array(total.length), new Float64Array(result.length)]
    for (const [i, weight] of weights.entries()) {
      const [w, g] = [operands[2 * i]!.values, operands[2 * i + 1]!.values]
      if (!g.every(Number.isFinite)) return 'not-finite'
      if (isAsymmetric(g, inputs)) return 'asymmetric'
      for (let at = 0; at < gram.length; at++) gram[at] = weight * (at % (inputs + 1) === 0 ? g[at]! : alpha * g[at]!)
      for (let at = 0; at < gram.length; at++) total[at]! += gram[at]!
      if (i === 0) continue
      for (let at = 0; at < delta.length; at++) delta[at] = w[at]! - first[at]!
      addProduct(matrixOf(result, outputs, inputs), matrixOf(delta, outputs, inputs), matrixOf(gram, inputs, inputs))
    }
    const unseen = unseenIn(total, inputs)
    const factor = matrixOf(total, inputs, inputs)
    if (!factorize(factor)) return 'singular'
    solveRows(matrixOf(result, outputs, inputs), factor)
    const sum = weights.reduce((a, b) => a + b, 0)
    for (const input of unseen) {
      for (let at = input; at < result.length; at += inputs) {
        let change = 0
        for (const [i, weight] of weights.entries()) change += weight * (operands[2 * i]!.values[at]! - first[at]!)
        result[at] = change / sum
      }
    }
    for (let at = 0; at < result.length; at++) result[at]! += first[at]!
    return result
  },
}

/** The inputs that are 0 in every example; their place on the diagonal is filled, so that they do not hinder the others. */
const unseenIn = (total: Float64Array, n: number): readonly number[] => {
  const diagonal = Array.from({ length: n }, (_, i) => total[i * (n + 1)]!)
  const unseen = diagonal.flatMap((sum, i) => (sum === 0 ? [i] : []))
  const greatest = diagonal.reduce((a, b) => Math.max(a, b), 0)
  for (const i of unseen) total[i * (n + 1)] = greatest === 0 ? 1 : greatest
  return unseen
}

const isAsymmetric = (g: Float32Array | Float64Array, n: number): boolean => {
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < i; j++) {
      const scale = Math.max(Math.abs(g[i * (n + 1)]!), Math.abs(g[j * (n + 1)]!))
      if (Math.abs(g[i * n + j]! - g[j * n + i]!) > ASYMMETRY * scale) return true
    }
  }
  return false
}
