import type { Solver } from '../../graph/expression.js'
import { sizeOf } from '../../tensor/info.js'
import { solveColumns } from './lu.js'
import { addProduct, emptyMatrix, matrixOf, part, transposed, type DenseMatrix, type Matrix } from './matrix.js'

/**
 * Some rows W of a tensor, turned by PEFT's OFT or BOFT: W·Rᵀ, where R has blocks of turns along its diagonal. Operands:
 * the tensor, and the blocks: the upper triangles of skew matrices [number, size · (size − 1) / 2] for OFT, one for all
 * places if there is one; [levels, number, size, size] for BOFT, whose skew part S = (B − Bᵀ) / 2 counts. Settings: the
 * first row; the number of rows; 1 where W is stored with its rows as columns; 1 for W·R; the degree of the series that
 * stands for a turn, -1 for the turn itself, (I − S)(I + S)⁻¹; the last coefficient of the series, whose others are 1 and
 * then 2; and the greatest norm of a block, 0 for any. `oft/layer.py` and `boft/layer.py` of PEFT.
 */
export const inputRotation: Solver = {
  name: 'input-rotation',
  version: 1,
  takes: 'all',
  workspace: ([shape = [], blocks = []]) => {
    const { size } = blocksOf(blocks)
    const lines = Math.max(shape[0] ?? 1, sizeOf(shape) / (shape[0] ?? 1))
    return 8 * (2 * size * lines + 6 * size * size)
  },
  solve: ([operand, blocks], [first = 0, rows = 0, stands = 0, back = 0, degree = -1, last = 1, most = 0], shape) => {
    const values = Float64Array.from(operand!.values)
    const [height, width] = [shape[0] ?? 1, sizeOf(shape) / (shape[0] ?? 1)]
    const stored = matrixOf(values, height, width)
    const own = stands === 1 ? transposed(stored) : part(stored, first, rows, 0, width)
    const { size, number, levels, packed } = blocksOf(blocks!.shape)
    const series = degree >= 0 ? { degree, last } : undefined
    const turnOf = (index: number): DenseMatrix | undefined => {
      const skew = packed ? unpacked(blocks!.values, index, size) : skewPart(blocks!.values, index, size)
      return shrink(skew, most) ? turn(skew, series) : undefined
    }
    const places = own.columns / size
    let known: DenseMatrix | undefined
    for (let level = 0; level < levels; level++)
      for (let block = 0; block < places; block++) {
        if (known === undefined || number > 1) known = turnOf(level * number + (number > 1 ? block : 0))
        if (known === undefined) return 'not-finite'
        turnColumns(own, back === 1 ? known : transposed(known), columnsOf(block, size, level))
      }
    return values
  },
}

/** What the shape of the blocks says. */
const blocksOf = (shape: readonly number[]) =>
  shape.length === 2
    ? { size: Math.round((1 + Math.sqrt(1 + 8 * shape[1]!)) / 2), number: shape[0]!, levels: 1, packed: true }
    : { size: shape[2] ?? 1, number: shape[1] ?? 1, levels: shape[0] ?? 1, packed: false }

/** A skew matrix of its upper triangle, row by row. */
const unpacked = (values: Matrix['values'], index: number, size: number): DenseMatrix => {
  const skew = emptyMatrix(size, size)
  let at = (index * size * (size - 1)) / 2
  for (let i = 0; i < size; i++)
    for (let j = i + 1; j < size; j++) {
      skew.values[i * size + j] = values[at]!
      skew.values[j * size + i] = -values[at++]!
    }
  return skew
}

const skewPart = (values: Matrix['values'], index: number, size: number): DenseMatrix => {
  const skew = emptyMatrix(size, size)
  const start = index * size * size
  for (let i = 0; i < size; i++)
    for (let j = 0; j < size; j++)
      skew.values[i * size + j] = 0.5 * (values[start + i * size + j]! - values[start + j * size + i]!)
  return skew
}

/** Brings the norm of a matrix down to the greatest one; false where it is not finite. */
const shrink = ({ values }: DenseMatrix, most: number): boolean => {
  const norm = Math.sqrt(values.reduce((sum, x) => sum + x * x, 0))
  if (most > 0 && norm > most) for (let i = 0; i < values.length; i++) values[i]! *= most / norm
  return Number.isFinite(norm)
}

/** (I − S)(I + S)⁻¹, whose factors commute, or I + 2S + 2S² + … + last · S^degree. */
const turn = (
  skew: DenseMatrix,
  series: { readonly degree: number; readonly last: number } | undefined,
): DenseMatrix | undefined => {
  const size = skew.rows
  const result = emptyMatrix(size, size)
  const one = (i: number): number => (i % (size + 1) === 0 ? 1 : 0)
  if (series === undefined) {
    const left = emptyMatrix(size, size)
    for (let i = 0; i < skew.values.length; i++) {
      left.values[i] = one(i) + skew.values[i]!
      result.values[i] = one(i) - skew.values[i]!
    }
    return solveColumns(left, result) ? result : undefined
  }
  let power = skew
  for (let i = 0; i < skew.values.length; i++) result.values[i] = one(i)
  for (let k = 1; k <= series.degree; k++) {
    if (k > 1) {
      const next = emptyMatrix(size, size)
      addProduct(next, power, skew)
      power = next
    }
    const by = k === series.degree ? series.last : 2
    for (let i = 0; i < power.values.length; i++) result.values[i]! += by * power.values[i]!
  }
  return result
}

/**
 * The columns of a block at a level: in groups of 2^level blocks, halves of blocks are exchanged so that the first half of the
 * group gives each block its first half, and the second half its second.
 */
const columnsOf = (block: number, size: number, level: number): readonly number[] => {
  if (level === 0) return Array.from({ length: size }, (_, i) => block * size + i)
  const many = 2 ** level
  const [group, within, half] = [Math.floor(block / many), block % many, size / 2]
  return Array.from({ length: size }, (_, i) => {
    const piece = i < half ? within : many + within
    return group * many * size + piece * half + (i % half)
  })
}

/** Replaces some columns of a matrix by sums of them, whose coefficients are the columns of another. */
const turnColumns = (m: Matrix, by: Matrix, columns: readonly number[]): void => {
  const [before, after] = [emptyMatrix(m.rows, columns.length), emptyMatrix(m.rows, columns.length)]
  const move = (visit: (inside: number, outside: number) => void): void => {
    for (let i = 0; i < m.rows; i++)
      for (let j = 0; j < columns.length; j++)
        visit(i * columns.length + j, m.first + i * m.rowStep + columns[j]! * m.columnStep)
  }
  move((inside, outside) => (before.values[inside] = m.values[outside]!))
  addProduct(after, before, by)
  move((inside, outside) => (m.values[outside] = after.values[inside]!))
}
