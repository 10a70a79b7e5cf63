import { sizeOf } from '../tensor/info.js'
import { viewKey, type View } from '../tensor/view.js'

/** Where the rows of a product stand in the tensor that it is laid over; other rows are 0. */
interface Placed {
  readonly firstRow: number
  /** Row i stands at `firstRow` + (i + `roll`) mod the number of rows; 0 unless given. */
  readonly roll?: number
}

/** A matrix of low rank: up [rows, rank] times down [rank, columns], apart from further axes of 1. */
export interface LowRankMatrix {
  readonly up: View
  readonly down: View
  /**
   * A core [rank, rank, …kernel]: `down` is then [rank, inputs] and becomes Σ_q mid[p, q, kernel]·down[q, input], ordered
   * by input, then kernel.
   */
  readonly mid: View | undefined
  readonly rank: number
  readonly columns: number
  /** Which of the factors are stored with their rows as columns. */
  readonly turned?: { readonly up?: true; readonly down?: true }
}

/** A low-rank matrix, placed at some rows of a tensor, which is taken as a matrix of `columns` columns. */
export interface LowRankFactors extends LowRankMatrix, Placed {}

/** A matrix by its numbers, or by its factors. */
export type StoredMatrix = View | LowRankMatrix

/**
 * A Kronecker product at some rows of a tensor: element (i·c + k, j·d + l) is left[i, j]·right[k, l], with left [a, b]
 * and right [c, d]. Without `right`, it is left[i, j] alone: one number for a block of c rows and d columns.
 */
export interface KroneckerFactors extends Placed {
  readonly left: StoredMatrix
  readonly right: StoredMatrix | undefined
  readonly leftShape: readonly [rows: number, columns: number]
  readonly rightShape: readonly [rows: number, columns: number]
  /** True where both are stored with their rows as columns; the shapes are those after that is undone. */
  readonly turned?: true
}

/** A matrix that is computed from small stored ones, a few rows at a time. */
export type Product = LowRankFactors | KroneckerFactors

/** True for a Kronecker product. */
export const isKronecker = (product: Product): product is KroneckerFactors => 'left' in product

const viewsOfMatrix = (matrix: StoredMatrix): readonly View[] =>
  'tensor' in matrix ? [matrix] : [matrix.up, matrix.down, ...(matrix.mid === undefined ? [] : [matrix.mid])]

/** The stored matrices that a product is made of. */
export const viewsOf = (product: Product): readonly View[] =>
  isKronecker(product)
    ? [product.left, ...(product.right === undefined ? [] : [product.right])].flatMap(viewsOfMatrix)
    : viewsOfMatrix(product)

/** The rows of the tensor that a product can change. */
export const rowsOfProduct = (product: Product): { readonly first: number; readonly count: number } => ({
  first: product.firstRow,
  count: isKronecker(product) ? product.leftShape[0] * product.rightShape[0] : sizeOf(product.up.shape) / product.rank,
})

/** The columns of the tensor that a product is laid over. */
export const columnsOfProduct = (product: Product): number =>
  isKronecker(product) ? product.leftShape[1] * product.rightShape[1] : product.columns

/** Numbers that are kept of a product beside those that are stored: both matrices of a Kronecker product. */
export const keptNumbers = (product: Product): number =>
  isKronecker(product)
    ? product.leftShape[0] * product.leftShape[1] +
      (product.right === undefined
        ? product.leftShape[1] * product.rightShape[1]
        : product.rightShape[0] * product.rightShape[1])
    : 0

/** Everything about a product but where it is placed, for a text; `name` says what stands for a view. */
const describeMatrix = (matrix: StoredMatrix, name: (view: View) => string): readonly unknown[] =>
  'tensor' in matrix
    ? [name(matrix)]
    : [
        name(matrix.up),
        name(matrix.down),
        matrix.mid === undefined ? null : name(matrix.mid),
        matrix.rank,
        matrix.columns,
        ...(matrix.turned === undefined ? [] : [matrix.turned]),
      ]

const describePlace = ({ firstRow, roll }: Placed): readonly unknown[] =>
  roll === undefined ? [firstRow] : [firstRow, { roll }]

/** What tells products apart, in a list that becomes a text; `name` says what stands for a view. */
export const describeProduct = (product: Product, name: (view: View) => string): readonly unknown[] => {
  if (!isKronecker(product)) return [...describeMatrix(product, name), ...describePlace(product)]
  const { left, right, leftShape, rightShape, turned } = product
  return [
    'kronecker',
    describeMatrix(left, name),
    right === undefined ? null : describeMatrix(right, name),
    leftShape,
    rightShape,
    turned ?? false,
    ...describePlace(product),
  ]
}

/** Equal for products of the same matrices, wherever they are placed. */
export const matricesKey = (product: Product): string =>
  JSON.stringify(describeProduct({ ...product, firstRow: 0, roll: 0 }, viewKey))
