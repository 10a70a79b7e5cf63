import { blockCount, foldAxes, type BlockGrid } from '../tensor/block-grid.js'
import type { TensorInfo } from '../tensor/info.js'
import {
  type Cells,
  type Comparison,
  type EqualMagnitudes,
  type Expression,
  type Logic,
  type Mask,
  type Measure,
  type Operand,
  type Origin,
  type ReductionGroup,
  type Peaks,
  type LowRankFactors,
  type Scalar,
  type ScalarOp,
  type Stream,
  type Tally,
  type Tensor,
  type TensorOp,
} from './expression.js'
import { selectionText, viewKey, wholeOf, type View } from '../tensor/view.js'
import { createInterning, createTable, createTables } from './interning.js'
import { applyScalar } from './scalar.js'

type Joined<X extends Operand, Y extends Operand> = X extends Tensor ? Tensor : Y extends Tensor ? Tensor : Scalar
type Same<X extends Operand> = X extends Tensor ? Tensor : Scalar

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
  /** On scalars only: elements never meet a transcendental function, whose bits differ between machines. Radians. */
  sin(x: Scalar | number): Scalar
  cos(x: Scalar | number): Scalar
  /** The argument is clamped to −1..1 first. */
  acos(x: Scalar | number): Scalar
  /** `x < y ? yes : no` on scalars. */
  ifLess(x: Scalar | number, y: Scalar | number, yes: Scalar | number, no: Scalar | number): Scalar
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
   * A low-rank matrix over rows of the tensor, in float32, the ranks added in order: the same bits on every machine.
   */
  product(product: LowRankFactors): Tensor
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

/** More expressions than a graph can have: two numbers below it make one that is exact. */
const ID_SPAN = 2 ** 26

/** Tells members of groups apart; the step is that of the group. */
const memberText = (over: ReductionGroup | undefined): string =>
  over === undefined ? '' : over.tensor === undefined ? over.group : `${over.group}\0${over.tensor}`

/** A new, empty graph. Expressions of different graphs must not be combined. */
export const createGraph = (): Graph => {
  const interning = createInterning()
  const { intern, internIn } = interning
  const numbers = createTable()
  const [applied, compared, stored] = [createTables<TensorOp>(), createTables<Comparison>(), createTables<string>()]
  const quantiles = createTables<number>()
  const readings = new Map<TensorInfo | View, Tensor>()
  const ids = (args: readonly Expression[]): string => args.map((a) => a.id).join(',')
  const words = (s: Stream): string => JSON.stringify([s.seed, s.step, s.draw, s.tensor])

  const number = (value: number): Scalar =>
    internIn(numbers, Object.is(value, -0) ? '-0' : value, (id) => ({ kind: 'scalar', id, type: 'literal', value }))
  const look = (stored: TensorInfo | View): View => ('tensor' in stored ? stored : wholeOf(stored))
  /** What views of tensors of one file have in common that read the same numbers of theirs. */
  const placeOf = (view: View): string => `${view.tensor.file}\0${selectionText(view)}`
  const lift = (x: Operand): Tensor | Scalar => (typeof x === 'number' ? number(x) : x)
  const isNumber = (x: Tensor | Scalar, value: number): boolean => x.type === 'literal' && x.value === value

  const compute = (op: ScalarOp, ...xs: readonly (Scalar | number)[]): Scalar => {
    const args = xs.map((x) => lift(x) as Scalar)
    const values = args.map((a) => (a.type === 'literal' ? a.value : undefined))
    if (!values.includes(undefined)) return number(applyScalar(op, values as number[]))
    return intern(`s:${op}(${ids(args)})`, (id) => ({ kind: 'scalar', id, type: 'compute', op, args }))
  }
  const apply = (op: TensorOp, ...args: readonly (Tensor | Scalar)[]): Tensor => {
    const scalars = args.map((a) => (a.kind === 'scalar' ? a : a.type === 'fill' ? a.value : undefined))
    if (!scalars.includes(undefined)) return fill(compute(op, ...(scalars as Scalar[])))
    const [x, y] = args
    return internIn(applied(op), x!.id * ID_SPAN + (y?.id ?? 0), (id) => ({
      kind: 'tensor',
      id,
      type: 'apply',
      op,
      args,
    }))
  }
  const fill = (value: Scalar | number): Tensor => {
    const scalar = lift(value) as Scalar
    return intern(`f(${scalar.id})`, (id) => ({ kind: 'tensor', id, type: 'fill', value: scalar }))
  }
  /** Constant folding: numbers that the plan knows cost nothing at run time. */
  const simplify = (op: TensorOp, x: Tensor | Scalar, y: Tensor | Scalar): Tensor | Scalar | undefined => {
    if (op === 'add') return isNumber(x, 0) ? y : isNumber(y, 0) ? x : undefined
    if (op === 'sub') return isNumber(y, 0) ? x : undefined
    if (op === 'div') return isNumber(y, 1) ? x : undefined
    if (op !== 'mul') return undefined
    if (isNumber(x, 1)) return y
    if (isNumber(y, 1)) return x
    return isNumber(x, 0) || isNumber(y, 0) ? number(0) : undefined
  }
  const unfilled = (x: Tensor | Scalar): Tensor | Scalar => (x.kind === 'tensor' && x.type === 'fill' ? x.value : x)
  const binary =
    (op: TensorOp) =>
    <X extends Operand, Y extends Operand>(left: X, right: Y): Joined<X, Y> => {
      const [x, y] = [lift(left), lift(right)]
      const simple = simplify(op, unfilled(x), unfilled(y))
      const elements = x.kind === 'tensor' || y.kind === 'tensor'
      const result =
        simple !== undefined
          ? elements && simple.kind === 'scalar'
            ? fill(simple)
            : simple
          : elements
            ? apply(op, x, y)
            : compute(op, x as Scalar, y as Scalar)
      return result as Joined<X, Y>
    }
  const unary =
    (op: TensorOp) =>
    <X extends Operand>(arg: X): Same<X> => {
      const x = lift(arg)
      return (x.kind === 'tensor' ? apply(op, x) : compute(op, x)) as Same<X>
    }

  const constant = (value: boolean): Mask =>
    intern(`c${value}`, (id) => ({ kind: 'mask', id, type: 'constant', value }))
  const logic = (op: Logic, ...args: readonly Mask[]): Mask =>
    intern(`l:${op}(${ids(args)})`, (id) => ({ kind: 'mask', id, type: 'logic', op, args }))
  const not = (mask: Mask): Mask => {
    if (mask.type === 'constant') return constant(!mask.value)
    return mask.type === 'logic' && mask.op === 'not' ? mask.args[0]! : logic('not', mask)
  }
  const fold = (op: 'and' | 'or' | 'xor', masks: readonly Mask[]): Mask =>
    masks.reduce((x, y) => {
      if (x.type === 'constant') return foldConstant(op, x.value, y)
      if (y.type === 'constant') return foldConstant(op, y.value, x)
      if (x.id === y.id) return op === 'xor' ? constant(false) : x
      return logic(op, x, y)
    })
  const foldConstant = (op: 'and' | 'or' | 'xor', value: boolean, other: Mask): Mask => {
    if (op === 'xor') return value ? not(other) : other
    return (op === 'and') === value ? other : constant(value)
  }
  const total = (
    measure: 'sum' | 'dot' | 'min' | 'max',
    operands: readonly Tensor[],
    over: ReductionGroup | undefined,
  ): Scalar =>
    intern(`m:${measure}(${ids(operands)})${memberText(over)}`, (id) => ({
      kind: 'scalar',
      id,
      type: 'total',
      measure,
      operands,
      over,
    }))
  const read = (from: TensorInfo | View): Tensor => {
    const known = readings.get(from)
    if (known !== undefined) return known
    const view = look(from)
    const made = internIn(stored(`r${placeOf(view)}`), view.tensor.name, (id): Tensor => ({
      kind: 'tensor',
      id,
      type: 'read',
      view,
    }))
    readings.set(from, made)
    return made
  }
  const blockScale = (from: TensorInfo | Peaks, wanted: BlockGrid): Tensor => {
    const grid = foldAxes(wanted)
    const source = 'kind' in from ? from.id : `${from.file}\0${from.name}`
    return intern(`e${source}\0${JSON.stringify(grid)}`, (id) => ({
      kind: 'tensor',
      id,
      type: 'block-scale',
      scales: { from, grid },
    }))
  }
  const sqrt = unary('sqrt')
  const mul = binary('mul')
  const choose = (mask: Mask, yes: Operand, no: Operand): Tensor => {
    const [x, y] = [unfilled(lift(yes)), unfilled(lift(no))]
    const picked = mask.type === 'constant' ? (mask.value ? x : y) : x.id === y.id ? x : undefined
    if (picked !== undefined) return picked.kind === 'tensor' ? picked : fill(picked)
    return intern(`w(${mask.id},${x.id},${y.id})`, (id) => ({
      kind: 'tensor',
      id,
      type: 'choose',
      mask,
      yes: x,
      no: y,
    }))
  }

  return {
    number,
    fill,
    choose,
    constant,
    not,
    sqrt,
    read,
    readMask: (from) => {
      const view = look(from)
      return internIn(stored(`k${placeOf(view)}`), view.tensor.name, (id) => ({
        kind: 'mask',
        id,
        type: 'read-mask',
        view,
      }))
    },
    add: binary('add'),
    mul,
    sub: binary('sub'),
    div: binary('div'),
    min: binary('min'),
    max: binary('max'),
    neg: unary('neg'),
    abs: unary('abs'),
    sign: unary('sign'),
    sin: (x) => compute('sin', x),
    cos: (x) => compute('cos', x),
    acos: (x) => compute('acos', x),
    ifLess: (x, y, yes, no) => compute('if-less', x, y, yes, no),
    compare: (op, l, r) => {
      const [left, right] = [lift(l), lift(r)]
      return internIn(compared(op), left.id * ID_SPAN + right.id, (id) => ({
        kind: 'mask',
        id,
        type: 'compare',
        op,
        left,
        right,
      }))
    },
    and: (...masks) => fold('and', masks),
    or: (...masks) => fold('or', masks),
    xor: (...masks) => fold('xor', masks),
    sum: (x, over) => total('sum', [x], over),
    dot: (x, y, over) => total('dot', [x, y], over),
    norm: (x, over) => sqrt(total('dot', [x, x], over)),
    least: (x, over) => total('min', [x], over),
    greatest: (x, over) => total('max', [x], over),
    tally: (operand, cells) => {
      const key =
        cells.by === 'place'
          ? [cells.rows, cells.columns, cells.gridRows, cells.gridColumns]
          : [cells.low.id, cells.high.id, cells.count, 'value']
      return intern(`y(${operand.id})${key.join()}`, (id) => ({
        kind: 'tally',
        id,
        type: 'tally',
        operand,
        cells,
        over: undefined,
      }))
    },
    count: (mask, over) => total('sum', [choose(mask, 1, 0)], over),
    top: (x, density, over, equal = 'first') => {
      if (density >= 1) return constant(true)
      if (density <= 0) return constant(false)
      return intern(`p(${x.id},${density},${equal})${memberText(over)}`, (id) => ({
        kind: 'mask',
        id,
        type: 'top',
        operand: x,
        density,
        equal,
        over,
      }))
    },
    quantile: (x, q, over) => {
      const make = (id: number): Scalar => ({ kind: 'scalar', id, type: 'quantile', operand: x, q, over })
      return over === undefined
        ? internIn(quantiles(q), x.id, make)
        : intern(`o(${x.id},${q})${memberText(over)}`, make)
    },
    bernoulli: (p, stream) =>
      p <= 0
        ? constant(false)
        : p >= 1
          ? constant(true)
          : intern(`b${p}${words(stream)}`, (id) => ({ kind: 'mask', id, type: 'bernoulli', p, stream })),
    position: (stride, length) =>
      intern(`i${stride},${length}`, (id) => ({ kind: 'tensor', id, type: 'position', stride, length })),
    product: (product) => {
      const factors = [product.up, product.down, product.mid].map((view) => (view === undefined ? '' : viewKey(view)))
      return intern(`l${JSON.stringify([factors, product.firstRow, product.columns])}`, (id) => ({
        kind: 'tensor',
        id,
        type: 'product',
        product,
      }))
    },
    scaled: (tensor, scale, grid) => mul(read(tensor), blockScale(scale, grid)),
    rescaled: (operand, wanted) => {
      const grid = foldAxes(wanted)
      const peaks: Peaks = intern(`z(${operand.id})${JSON.stringify(grid)}`, (id) => ({
        kind: 'peaks',
        id,
        type: 'peaks',
        operand,
        grid,
        over: undefined,
      }))
      return {
        stored: binary('div')(operand, blockScale(peaks, grid)),
        scale: blockScale(peaks, { shape: [blockCount(grid)], blocks: [1] }),
      }
    },
    grouped: () => interning.grouped,
    within: interning.within,
    originOf: interning.originOf,
    normal: (stream) => intern(`g${words(stream)}`, (id) => ({ kind: 'tensor', id, type: 'normal', stream })),
    uniform: (stream) => intern(`u${words(stream)}`, (id) => ({ kind: 'tensor', id, type: 'uniform', stream })),
  }
}
