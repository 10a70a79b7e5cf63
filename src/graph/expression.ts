import type { BlockGrid } from '../tensor/block-grid.js'
import type { Dtype } from '../tensor/dtype.js'
import type { TensorInfo } from '../tensor/info.js'
import type { View } from '../tensor/view.js'
import type { Product } from './products.js'

/** What a stream of random numbers is derived from: two streams are equal only if all four values are. */
export interface Stream {
  readonly seed: number | string
  readonly step: string | number
  readonly draw: number
  readonly tensor: string
}

/** The tensors that a measure covers as if they were one long tensor, in the order of their names. */
export interface ReductionGroup {
  /** Equal for all members. */
  readonly group: string
  /** The member's name, which is that of the result: the tensors it is computed from may have other names. */
  readonly tensor?: string
  /** The step that uses it, for messages. */
  readonly step?: string
}

/**
 * A function of a few numbers, such as an iteration over the coefficients of a merge: evaluated once, between passes, in
 * float64. The name and the version identify it: the version is raised when equal arguments give other results.
 */
export interface ScalarFunction {
  readonly name: string
  readonly version: number
  evaluate(args: readonly number[]): readonly number[]
}

/** An operand of a solver: its elements in the order of memory. */
export interface SolverOperand {
  readonly shape: readonly number[]
  readonly values: Float32Array | Float64Array
}

/** Why a solver has no result. */
export type SolverProblem = 'singular' | 'asymmetric' | 'not-finite' | 'singular-rotation' | 'half-turn'

/**
 * Computes a tensor of whole tensors at once, in float64 with a fixed order of operations: a solution of equations, a
 * rotation, ranks. The name and the version identify it, as they do a {@link ScalarFunction}; workers find it by name.
 */
export interface Solver {
  readonly name: string
  readonly version: number
  /** `rows`: any rows of the result are computed from the same rows of all operands, which have its shape. */
  readonly takes: 'rows' | 'all'
  /** True for one whose result takes the place of an operand, both in float32. */
  readonly overwrites?: true
  /** The result, of `shape`; `settings` are the numbers that the expression gives it. Operands may be overwritten. */
  solve(
    operands: readonly SolverOperand[],
    settings: readonly number[],
    shape: readonly number[],
  ): Float32Array | Float64Array | SolverProblem
  /**
   * Bytes it takes besides its operands and its result; of an operand that is read as it is stored the dtype is known, of
   * others it is F32.
   */
  workspace(
    operands: readonly (readonly number[])[],
    shape: readonly number[],
    settings: readonly number[],
    dtypes: readonly Dtype[],
  ): number
}

/** A function and its arguments. */
export interface Evaluation {
  readonly fn: ScalarFunction
  readonly args: readonly Scalar[]
}

/** What powers of two are made of, and taken from numbers with: see `Graph`. */
export type PowerOp = 'round' | 'two-to' | 'exponent' | 'mantissa'
export type ScalarOp =
  | PowerOp
  | 'add'
  | 'sub'
  | 'mul'
  | 'div'
  | 'neg'
  | 'abs'
  | 'sqrt'
  | 'min'
  | 'max'
  | 'sign'
  | 'sin'
  | 'cos'
  | 'acos'
  | 'if-less'
export type TensorOp = 'add' | 'sub' | 'mul' | 'div' | 'neg' | 'abs' | 'sqrt' | 'min' | 'max' | 'sign' | PowerOp
export type Comparison = 'greater' | 'greater-equal' | 'less' | 'less-equal' | 'equal'
export type Logic = 'and' | 'or' | 'xor' | 'not'

/** One number for a whole tensor, in float64, computed between passes. */
export type Scalar = { readonly kind: 'scalar'; readonly id: number } & (
  | { readonly type: 'literal'; readonly value: number }
  | { readonly type: 'compute'; readonly op: ScalarOp; readonly args: readonly Scalar[] }
  /**
   * Σx or Σxy in float64, blocks of fixed size in fixed order; or the least or greatest x, ignoring NaN (an infinity if
   * there is no number).
   */
  | {
      readonly type: 'total'
      readonly measure: 'sum' | 'dot' | 'min' | 'max'
      readonly operands: readonly Tensor[]
      readonly over: ReductionGroup | undefined
    }
  /** The |x| at position ⌈q(n − 1)⌉ of the magnitudes in ascending order; exact. */
  | {
      readonly type: 'quantile'
      readonly operand: Tensor
      readonly q: number
      readonly over: ReductionGroup | undefined
    }
  /** One of the results of a function. */
  | { readonly type: 'result'; readonly of: Evaluation; readonly index: number }
)

/**
 * One number for each block of a tensor: a row, a column, or any other block of a grid. Float64, computed between
 * passes; rounded to float32 where it meets elements.
 */
export type Vector = { readonly kind: 'vector'; readonly id: number } & (
  | { readonly type: 'stored'; readonly from: TensorInfo }
  | { readonly type: 'combine'; readonly op: ScalarOp; readonly args: readonly (Vector | Scalar)[] }
  /**
   * Σx or Σxy of each block, added in order in float64; or its greatest finite |x| (0 where there is none).
   */
  | {
      readonly type: 'block-totals'
      readonly measure: 'sum' | 'dot' | 'peak'
      readonly operands: readonly Tensor[]
      readonly grid: BlockGrid
      readonly over: undefined
    }
)

/** A number of a whole tensor, or one for each of its blocks. */
export type Numbers = Scalar | Vector

/** One float32 per element. */
export type Tensor = { readonly kind: 'tensor'; readonly id: number } & (
  | { readonly type: 'read'; readonly view: View }
  | { readonly type: 'fill'; readonly value: Scalar }
  | { readonly type: 'apply'; readonly op: TensorOp; readonly args: readonly (Tensor | Scalar)[] }
  | { readonly type: 'choose'; readonly mask: Mask; readonly yes: Tensor | Scalar; readonly no: Tensor | Scalar }
  | { readonly type: 'normal'; readonly stream: Stream }
  | { readonly type: 'uniform'; readonly stream: Stream }
  /** ⌊index / stride⌋ mod length: the row, column or other coordinate of an element. */
  | { readonly type: 'position'; readonly stride: number; readonly length: number }
  | { readonly type: 'product'; readonly product: Product }
  /** What a solver makes of whole tensors. */
  | {
      readonly type: 'solve'
      readonly solver: Solver
      readonly operands: readonly Tensor[]
      /** The shapes of the operands. */
      readonly shapes: readonly (readonly number[])[]
      readonly settings: readonly number[]
      readonly shape: readonly number[]
      readonly over: undefined
    }
  /** The number of the block that an element is in. */
  | { readonly type: 'spread'; readonly vector: Vector; readonly grid: BlockGrid }
)

/** One boolean per element. */
export type Mask = { readonly kind: 'mask'; readonly id: number } & (
  | { readonly type: 'constant'; readonly value: boolean }
  /** A mask from a file: true where the stored value is not 0. */
  | { readonly type: 'read-mask'; readonly view: View }
  | {
      readonly type: 'compare'
      readonly op: Comparison
      readonly left: Tensor | Scalar
      readonly right: Tensor | Scalar
    }
  | { readonly type: 'logic'; readonly op: Logic; readonly args: readonly Mask[] }
  | { readonly type: 'bernoulli'; readonly p: number; readonly stream: Stream }
  /** The ⌊density·n⌋ largest |x|, or the ⌊count⌋ largest where a count is given. */
  | {
      readonly type: 'top'
      readonly operand: Tensor
      readonly density: number
      readonly count: Scalar | undefined
      readonly equal: EqualMagnitudes
      readonly over: ReductionGroup | undefined
    }
)

/**
 * Which of several equal |x| are among the largest where not all of them fit: those of the lowest indexes, so that the
 * count is exact, or all, or none of them.
 */
export type EqualMagnitudes = 'first' | 'all' | 'none'

/**
 * How a tally sorts elements into cells: by their place in a matrix of `rows` × `columns`, divided into a grid; or by
 * their value, in `count` equal steps from `low` to `high`. Cells are numbered row by row.
 */
export type Cells<Bound = Scalar> =
  | {
      readonly by: 'place'
      readonly rows: number
      readonly columns: number
      readonly gridRows: number
      readonly gridColumns: number
    }
  | { readonly by: 'value'; readonly low: Bound; readonly high: Bound; readonly count: number }

/**
 * Count, sum, sum of squares, minimum and maximum of the elements of each cell, in this order, in float64. NaN and
 * infinities are ignored.
 */
export interface Tally {
  readonly kind: 'tally'
  readonly id: number
  readonly type: 'tally'
  readonly operand: Tensor
  readonly cells: Cells
  readonly over: undefined
}

/** Numbers that a tally holds for each cell. */
export const TALLY_FIELDS = 5

/** How many cells a tally has. */
export const cellCount = (cells: Cells<unknown>): number =>
  cells.by === 'place' ? cells.gridRows * cells.gridColumns : cells.count

/** The step of the recipe that first asked for an expression, and the setting of the params under which it did. */
export interface Origin {
  readonly step: string
  readonly setting: number
}

export type Expression = Scalar | Vector | Tensor | Mask | Tally
export type Operand = Tensor | Scalar | number

/** A tensor that a solver makes; it is written to a scratch file that later passes read. */
export type Solve = Extract<Tensor, { type: 'solve' }>

/** The measures, which are reductions or need whole tensors: a pass over all elements computes one before another pass can use it. */
export type Measure =
  | Extract<Scalar, { type: 'total' | 'quantile' }>
  | Extract<Mask, { type: 'top' }>
  | Extract<Vector, { type: 'block-totals' }>
  | Solve
  | Tally

/** True for the expressions that need a pass of their own. */
export const isMeasure = (e: Expression): e is Measure =>
  e.type === 'total' ||
  e.type === 'quantile' ||
  e.type === 'top' ||
  e.type === 'tally' ||
  e.type === 'block-totals' ||
  e.type === 'solve'

/** The tensors that a measure reduces, element by element. */
export const operandsOf = (m: Measure): readonly Tensor[] => ('operands' in m ? m.operands : [m.operand])

const NONE: readonly never[] = []

/** The operands of an expression. What most expressions are comes first: the cases are tried one by one. */
export const argumentsOf = (e: Expression): readonly Expression[] => {
  switch (e.type) {
    case 'apply':
      return e.args
    case 'read':
    case 'literal':
      return NONE
    case 'choose':
      return [e.mask, e.yes, e.no]
    case 'compare':
      return [e.left, e.right]
    case 'normal':
    case 'uniform':
    case 'position':
    case 'product':
    case 'constant':
    case 'read-mask':
    case 'bernoulli':
    case 'stored':
      return NONE
    case 'fill':
      return [e.value]
    case 'compute':
    case 'combine':
    case 'logic':
      return e.args
    case 'result':
      return e.of.args
    case 'total':
    case 'block-totals':
    case 'solve':
      return e.operands
    case 'quantile':
      return [e.operand]
    case 'top':
      return e.count === undefined ? [e.operand] : [e.operand, e.count]
    case 'spread':
      return [e.vector]
    case 'tally':
      return e.cells.by === 'value' ? [e.operand, e.cells.low, e.cells.high] : [e.operand]
  }
}

/** ⌊density·n⌋, where a product within rounding error of a whole number counts as that number. */
export const countOf = (density: number, n: number): number => {
  const product = density * n
  const whole = Math.round(product)
  return Math.min(n, Math.max(0, Math.abs(product - whole) <= 1e-9 * Math.max(1, whole) ? whole : Math.floor(product)))
}

/** ⌈q(n − 1)⌉ with the same tolerance: the least sample not below the interpolated quantile. */
export const rankOf = (q: number, n: number): number => {
  const position = q * (n - 1)
  const whole = Math.round(position)
  return Math.min(
    n - 1,
    Math.max(0, Math.abs(position - whole) <= 1e-9 * Math.max(1, whole) ? whole : Math.ceil(position)),
  )
}
