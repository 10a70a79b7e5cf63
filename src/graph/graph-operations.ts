import type { BlockGrid } from '../tensor/block-grid.js'
import type { TensorInfo } from '../tensor/info.js'
import type { View } from '../tensor/view.js'
import type {
  Cells,
  Comparison,
  EqualMagnitudes,
  Expression,
  Mask,
  Measure,
  Numbers,
  Operand,
  Origin,
  ReductionGroup,
  Scalar,
  ScalarFunction,
  ScalarOp,
  Solver,
  Stream,
  Tally,
  Tensor,
  Vector,
} from './expression.js'
import type { Product } from './products.js'

/** A tensor where one of two operands is one, else a scalar. */
export type Joined<X extends Operand, Y extends Operand> = X extends Tensor
  ? Tensor
  : Y extends Tensor
    ? Tensor
    : Scalar
/** A tensor for a tensor, else a scalar. */
export type Same<X extends Operand> = X extends Tensor ? Tensor : Scalar

/**
 * Builds expressions, each distinct one once. Elements are float32 (every operation rounds once), scalars float64; a
 * scalar is rounded to float32 where it is combined with elements, and a tensor of one repeated number counts as that
 * number. Constants are folded, and multiplying by 0 gives 0, so a tensor with a weight of 0 is not read.
 */
export interface Graph {
  number(value: number): Scalar
  /** The numbers of a stored tensor, or of a view of one, whatever float dtype holds them. */
  read(stored: TensorInfo | View): Tensor
  /** A stored mask, or a view of one: true where the value is not 0; any dtype. */
  readMask(stored: TensorInfo | View): Mask
  /** The same number for every element. */
  fill(value: Scalar | number): Tensor
  add<X extends Operand, Y extends Operand>(x: X, y: Y): Joined<X, Y>
  sub<X extends Operand, Y extends Operand>(x: X, y: Y): Joined<X, Y>
  mul<X extends Operand, Y extends Operand>(x: X, y: Y): Joined<X, Y>
  div<X extends Operand, Y extends Operand>(x: X, y: Y): Joined<X, Y>
  min<X extends Operand, Y extends Operand>(x: X, y: Y): Joined<X, Y>
  max<X extends Operand, Y extends Operand>(x: X, y: Y): Joined<X, Y>
  neg<X extends Operand>(x: X): Same<X>
  abs<X extends Operand>(x: X): Same<X>
  sqrt<X extends Operand>(x: X): Same<X>
  /** −1, 0 or 1. */
  sign<X extends Operand>(x: X): Same<X>
  /** The nearest whole number of |x| < 2²²; a half becomes the even one. A zero may lose its sign. */
  round(x: Tensor): Tensor
  /** 2ˣ of a whole x from −126 to 126, exactly; of x beyond, that of the nearer bound. */
  twoTo(x: Tensor): Tensor
  /**
   * x from 2⁻¹²⁶ to 1 as mantissa·2^exponent, exactly, with a whole exponent and a mantissa from √½ to √2. What is
   * beyond counts as the nearer bound, and NaN as 1.
   */
  exponent(x: Tensor): Tensor
  mantissa(x: Tensor): Tensor
  /**
   * On scalars only: elements never meet a library's transcendental function, whose bits differ between machines. What
   * they need is in `elementary.ts`. Radians.
   */
  sin(x: Scalar | number): Scalar
  cos(x: Scalar | number): Scalar
  /** The argument is clamped to −1..1 first. */
  acos(x: Scalar | number): Scalar
  /** `x < y ? yes : no` on scalars. */
  ifLess(x: Scalar | number, y: Scalar | number, yes: Scalar | number, no: Scalar | number): Scalar
  /** The first `count` results of a function of numbers. */
  evaluate(fn: ScalarFunction, args: readonly (Scalar | number)[], count: number): readonly Scalar[]
  /** The sum of x, or of xy, over each block of a grid, in float64. */
  sumBy(x: Tensor, grid: BlockGrid): Vector
  dotBy(x: Tensor, y: Tensor, grid: BlockGrid): Vector
  /** An operation on numbers: block by block where one of the arguments is a vector, else once. */
  combine<N extends Numbers>(op: ScalarOp, ...args: readonly (N | Scalar | number)[]): N
  /** For each element the number of its block, or of the whole tensor, rounded to float32. */
  spread(numbers: Numbers, grid: BlockGrid): Tensor
  /** What a solver makes of operands of the given shapes: a tensor of `shape`. */
  solve(
    solver: Solver,
    operands: readonly { readonly x: Tensor; readonly shape: readonly number[] }[],
    settings: readonly number[],
    shape: readonly number[],
  ): Tensor
  compare(op: Comparison, left: Operand, right: Operand): Mask
  constant(value: boolean): Mask
  and(...masks: readonly Mask[]): Mask
  or(...masks: readonly Mask[]): Mask
  xor(...masks: readonly Mask[]): Mask
  not(mask: Mask): Mask
  /**
   * `mask ? yes : no`, element by element, exactly, with two exceptions: a zero may lose its sign, and if `no` is the
   * number 0, a NaN or infinity of `yes` gives NaN even where it is not chosen.
   */
  choose(mask: Mask, yes: Operand, no: Operand): Tensor
  /** Σx in float64. */
  sum(x: Tensor, over?: ReductionGroup): Scalar
  /** Σxy in float64; each product is exact. */
  dot(x: Tensor, y: Tensor, over?: ReductionGroup): Scalar
  /** √Σx². */
  norm(x: Tensor, over?: ReductionGroup): Scalar
  /** The least x that is a number; ∞ where there is none. */
  least(x: Tensor, over?: ReductionGroup): Scalar
  /** The greatest x that is a number; −∞ where there is none. */
  greatest(x: Tensor, over?: ReductionGroup): Scalar
  /** Count, sum, sum of squares, least and greatest of x in each of some cells. */
  tally(x: Tensor, cells: Cells): Tally
  /** How many elements are true. */
  count(mask: Mask, over?: ReductionGroup): Scalar
  /** True on the ⌊density·n⌋ largest |x|, and on exactly so many unless `equal` says otherwise. */
  top(x: Tensor, density: number, over?: ReductionGroup, equal?: EqualMagnitudes): Mask
  /** True on exactly the ⌊count⌋ largest |x|, of equal ones those of lower index; the count may be measured. */
  largest(x: Tensor, count: Scalar): Mask
  /**
   * The sample |x| at position ⌈q(n − 1)⌉ in ascending order. Comparing |x| ≥ it equals comparing with the interpolated
   * quantile.
   */
  quantile(x: Tensor, q: number, over?: ReductionGroup): Scalar
  /** True with probability p, element by element, independently. */
  bernoulli(p: number, stream: Stream): Mask
  /** Standard normal numbers. */
  normal(stream: Stream): Tensor
  /** Uniform in 0 ≤ u < 1, 24 bits. */
  uniform(stream: Stream): Tensor
  /** The coordinate ⌊index / stride⌋ mod length of each element; below 2^24, which float32 holds exactly. */
  position(stride: number, length: number): Tensor
  /**
   * A matrix of small factors over rows of the tensor, in float32, the ranks added in order: the same bits on every
   * machine.
   */
  product(product: Product): Tensor
  /** A stored tensor times the stored factor of the block that each element lies in, rounded to float32. */
  scaled(tensor: TensorInfo, scale: TensorInfo, grid: BlockGrid): Tensor
  /**
   * A tensor as it is stored with scales: each element divided by the scale of its block, and the scales, one for each
   * block.
   */
  rescaled(x: Tensor, grid: BlockGrid): { readonly stored: Tensor; readonly scale: Tensor }
  /**
   * Every measure over several tensors that was built: all members of a group count, even those that no output uses.
   */
  grouped(): readonly Measure[]
  /** Runs `make`; expressions that it builds first get this origin, so that time can be reported by step. */
  within<T>(origin: Origin, make: () => T): T
  /** The step that first built an expression; undefined if none did. */
  originOf(e: Expression): Origin | undefined
}
