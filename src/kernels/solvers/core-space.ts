import type { Solver } from '../../graph/expression.js'
import { sizeOf } from '../../tensor/info.js'
import { addProduct, emptyMatrix, matrixOf, part, transposed, type DenseMatrix, type Matrix } from './matrix.js'
import { mergeSingularVectors, withMean } from './subspaces.js'
import { product, svdOf } from './svd.js'

/** How cores are merged, by the number that {@link coreSpace} takes for it. */
export const CORE_METHODS = ['ties', 'tsv', 'sum'] as const

interface Side {
  readonly up: Matrix
  readonly down: Matrix
  readonly strength: number
}

/**
 * The factors of low-rank products merged in the space that they share (Panariello et al. 2025, arXiv 2509.17786): with U
 * the left singular vectors of all `scale·up` next to each other and V the right ones of all downs below each other, the
 * cores `strength·Uᵀ·scale·up·down·V` are merged to one, M, and the result is U·M·Vᵀ as up [rows, ranks of all] and after
 * it down [ranks of all, columns], with the roots of the singular values in each; where its rank is lower the rest is 0.
 * Operands: up and down of each product; settings: the rows, the index of the method, the share of each core that TIES
 * keeps, 1 where all singular values get their mean, then the scale and the strength of each product. With R the sum of
 * the ranks, the number of operations grows with (rows + columns)·R².
 */
export const coreSpace: Solver = {
  name: 'core-space',
  version: 1,
  takes: 'all',
  workspace: (_, shape) => 8 * 8 * sizeOf(shape),
  solve: (operands, [rows = 0, method = 0, density = 1, equal = 0, ...numbers], shape) => {
    const sides = Array.from({ length: operands.length / 2 }, (_, i): Side => {
      const [up, down] = [operands[2 * i]!, operands[2 * i + 1]!]
      const rank = up.values.length / rows
      const scaled = Float64Array.from(up.values, (x) => x * numbers[2 * i]!)
      return {
        up: matrixOf(scaled, rows, rank),
        down: matrixOf(down.values, rank, down.values.length / rank),
        strength: numbers[2 * i + 1]!,
      }
    })
    const total = sides.reduce((n, { down }) => n + down.rows, 0)
    const { columns } = sides[0]!.down
    const packed = new Float64Array(sizeOf(shape))
    const left = svdOf(stacked(sides.map(({ up }) => transposed(up)))).vt
    const right = svdOf(stacked(sides.map(({ down }) => down))).vt
    const size = [Math.min(rows, total), Math.min(columns, total)] as const
    const cores = sides.map((side) => coreOf(side, left, right, size))
    // Ranks of what is not a number would hide it.
    if (!cores.every(({ values }) => values.every(Number.isFinite))) return packed.fill(NaN)
    const merged = mergeCores(cores, CORE_METHODS[method]!, density)
    const { u, s, vt } = svdOf(equal === 1 ? withMean(svdOf(merged), Math.min(size[0], size[1])) : merged)
    const [up, down] = [
      product(transposed(left), part(u, 0, left.rows, 0, s.length)),
      product(part(vt, 0, s.length, 0, right.rows), right),
    ]
    for (const [k, value] of s.entries()) {
      const root = Math.sqrt(value)
      for (let i = 0; i < rows; i++) packed[i * total + k] = root * up.values[i * s.length + k]!
      for (let j = 0; j < columns; j++) packed[rows * total + k * columns + j] = root * down.values[k * columns + j]!
    }
    return packed
  },
}

/** Matrices below each other. */
const stacked = (parts: readonly Matrix[]): Matrix => {
  const all = emptyMatrix(
    parts.reduce((n, { rows }) => n + rows, 0),
    parts[0]!.columns,
  )
  let first = 0
  for (const { values, rows, columns, first: from, rowStep, columnStep } of parts) {
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < columns; j++)
        all.values[(first + i) * columns + j] = values[from + i * rowStep + j * columnStep]!
    first += rows
  }
  return all
}

/** The core of a product, in directions that are rows; what these do not span is 0. */
const coreOf = (
  { up, down, strength }: Side,
  left: Matrix,
  right: Matrix,
  size: readonly [number, number],
): DenseMatrix => {
  const core = emptyMatrix(size[0], size[1])
  const inside = part(core, 0, left.rows, 0, right.rows)
  addProduct(inside, product(left, up), product(down, transposed(right)))
  for (let at = 0; at < core.values.length; at++) core.values[at]! *= strength
  return core
}

const operandOf = ({ values, rows, columns }: DenseMatrix) => ({ values, shape: [rows, columns] })

const mergeCores = (
  cores: readonly DenseMatrix[],
  method: (typeof CORE_METHODS)[number],
  density: number,
): DenseMatrix => {
  const size = [cores[0]!.rows, cores[0]!.columns] as const
  if (method === 'tsv') return mergeSingularVectors(cores.map(operandOf), size)
  const merged = emptyMatrix(size[0], size[1])
  const kept = method === 'ties' ? cores.map(({ values }) => largestOf(values, density)) : cores.map((c) => c.values)
  for (let at = 0; at < merged.values.length; at++) {
    const sum = kept.reduce((n, values) => n + values[at]!, 0)
    merged.values[at] = method === 'sum' ? sum : meanAgreeing(kept, at, Math.sign(sum))
  }
  return merged
}

/** The greatest magnitudes of a share, of equal ones those of the lowest index; the others are 0. */
const largestOf = (values: Float64Array, density: number): Float64Array => {
  const order = Array.from(values.keys()).sort((i, j) => Math.abs(values[j]!) - Math.abs(values[i]!) || i - j)
  const kept = new Float64Array(values.length)
  for (const at of order.slice(0, Math.floor(density * values.length))) kept[at] = values[at]!
  return kept
}

/** The mean of those of the elected sign. Where they cancel none is elected: the signs of directions are chance. */
const meanAgreeing = (all: readonly Float64Array[], at: number, sign: number): number => {
  let [sum, count] = [0, 0]
  for (const values of all)
    if (sign !== 0 && Math.sign(values[at]!) === sign) {
      sum += values[at]!
      count++
    }
  return count === 0 ? 0 : sum / count
}
