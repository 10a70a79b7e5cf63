import { blockCount, foldAxes, type BlockGrid } from '../tensor/block-grid.js'
import type { TensorInfo } from '../tensor/info.js'
import {
  type Comparison,
  type Expression,
  type Logic,
  type Mask,
  type Numbers,
  type Operand,
  type ReductionGroup,
  type Scalar,
  type ScalarOp,
  type Stream,
  type Tensor,
  type TensorOp,
  type Vector,
} from './expression.js'
import type { Graph, Joined, Same } from './graph-operations.js'
import { selectionText, viewKey, wholeOf, type View } from '../tensor/view.js'
import { describeProduct } from './products.js'
import { createInterning, createTable, createTables } from './interning.js'
import { applyScalar } from './scalar.js'

export type { Graph } from './graph-operations.js'

/** The greatest number of F8_E4M3, and the smallest normal float32: of a block of zeros the scale is 1. */
const [GREATEST, LEAST_SCALE] = [448, 2 ** -126]

/** More expressions than a graph can have: two numbers below it make one that is exact. */
const ID_SPAN = 2 ** 26

/** Tells members of groups apart; the step is that of the group. */
const memberText = (over: ReductionGroup | undefined): string =>
  over === undefined ? '' : over.tensor === undefined ? over.group : `${over.group}\0${over.tensor}`

/**
 * A new, empty graph, whose expressions are numbered from `first`. Expressions of different graphs must not be combined,
 * unless their numbers differ.
 */
export const createGraph = (first = 0): Graph => {
  const interning = createInterning(first)
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
  const storedVector = (from: TensorInfo): Vector =>
    intern(`q${from.file}\0${from.name}`, (id) => ({ kind: 'vector', id, type: 'stored', from }))
  const blockTotals = (
    measure: 'sum' | 'dot' | 'max' | 'peak',
    operands: readonly Tensor[],
    wanted: BlockGrid,
  ): Vector => {
    const grid = foldAxes(wanted)
    return intern(`z${measure}(${ids(operands)})${JSON.stringify(grid)}`, (id) => ({
      kind: 'vector',
      id,
      type: 'block-totals',
      measure,
      operands,
      grid,
      over: undefined,
    }))
  }
  const combine = <N extends Numbers>(op: ScalarOp, ...xs: readonly (N | Scalar | number)[]): N => {
    const args = xs.map((x): Numbers => (typeof x === 'number' ? number(x) : x))
    const made: Numbers = args.some(({ kind }) => kind === 'vector')
      ? intern(`v:${op}(${ids(args)})`, (id) => ({ kind: 'vector', id, type: 'combine', op, args }))
      : compute(op, ...(args as Scalar[]))
    return made as N
  }
  const spread = (vector: Numbers, wanted: BlockGrid): Tensor => {
    if (vector.kind === 'scalar') return fill(vector)
    const grid = foldAxes(wanted)
    return intern(`e${vector.id}${JSON.stringify(grid)}`, (id) => ({
      kind: 'tensor',
      id,
      type: 'spread',
      vector,
      grid,
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
    round: unary('round'),
    twoTo: unary('two-to'),
    exponent: unary('exponent'),
    mantissa: unary('mantissa'),
    sin: (x) => compute('sin', x),
    cos: (x) => compute('cos', x),
    acos: (x) => compute('acos', x),
    ifLess: (x, y, yes, no) => compute('if-less', x, y, yes, no),
    evaluate: (fn, xs, count) => {
      const args = xs.map((x) => lift(x) as Scalar)
      const of = { fn, args }
      return Array.from({ length: count }, (_, index) =>
        intern(`j${fn.name}\0${index}(${ids(args)})`, (id) => ({ kind: 'scalar', id, type: 'result', of, index })),
      )
    },
    sumBy: (x, grid) => blockTotals('sum', [x], grid),
    greatestBy: (x, grid) => blockTotals('max', [x], grid),
    dotBy: (x, y, grid) => blockTotals('dot', [x, y], grid),
    combine,
    spread,
    solve: (solver, operands, settings, shape) =>
      intern(
        `x${solver.name}(${ids(operands.map((o) => o.x))})${JSON.stringify([operands.map((o) => o.shape), settings, shape])}`,
        (id) => ({
          kind: 'tensor',
          id,
          type: 'solve',
          solver,
          operands: operands.map((o) => o.x),
          shapes: operands.map((o) => o.shape),
          settings,
          shape,
          over: undefined,
        }),
      ),
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
        count: undefined,
        over,
      }))
    },
    largest: (operand, count) =>
      intern(`p(${operand.id};${count.id})`, (id) => ({
        kind: 'mask',
        id,
        type: 'top',
        operand,
        density: 1,
        equal: 'first',
        count,
        over: undefined,
      })),
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
      return intern(`l${JSON.stringify(describeProduct(product, viewKey))}`, (id) => ({
        kind: 'tensor',
        id,
        type: 'product',
        product,
      }))
    },
    scaled: (tensor, scale, grid) => mul(read(tensor), spread(storedVector(scale), grid)),
    rescaled: (operand, grid) => {
      const peaks = blockTotals('peak', [operand], grid)
      const scales = combine('if-less', 0, peaks, combine('max', LEAST_SCALE, combine('div', peaks, GREATEST)), 1)
      return {
        stored: binary('div')(operand, spread(scales, grid)),
        scale: spread(scales, { shape: [blockCount(foldAxes(grid))], blocks: [1] }),
      }
    },
    grouped: () => interning.grouped,
    within: interning.within,
    originOf: interning.originOf,
    normal: (stream) => intern(`g${words(stream)}`, (id) => ({ kind: 'tensor', id, type: 'normal', stream })),
    uniform: (stream) => intern(`u${words(stream)}`, (id) => ({ kind: 'tensor', id, type: 'uniform', stream })),
  }
}
