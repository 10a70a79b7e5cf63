import { blockCount, visitRuns } from '../tensor/block-grid.js'
import { sizeOf, type TensorInfo } from '../tensor/info.js'
import { ZERO_ROW } from '../tensor/row-map.js'
import { stridesOf, type View } from '../tensor/view.js'
import {
  cellCount,
  countOf,
  isMeasure,
  operandsOf,
  rankOf,
  type Cells,
  type Comparison,
  type EqualMagnitudes,
  type Expression,
  type Mask,
  type Measure,
  type Scalar,
  type Solve,
  type Stream,
  type Tensor,
  type Vector,
} from './expression.js'
import { familyKey } from './groups.js'
import {
  columnsOfProduct,
  isKronecker,
  rowsOfProduct,
  type LowRankMatrix,
  type Product,
  type StoredMatrix,
} from './products.js'
import { applyScalar, combineVectors } from './scalar.js'
import { walk } from './walk.js'

/** The inputs of the interpreter: the numbers of files and of random streams, `n` at a time. */
export interface Data {
  /** All elements of a stored tensor; of a stored mask, not 0 where it is true. */
  read(tensor: TensorInfo): Float64Array
  /** 1 with probability `p`. */
  bernoulli(stream: Stream, n: number, p: number): Uint8Array
  normal(stream: Stream, n: number): Float64Array
  uniform(stream: Stream, n: number): Float64Array
}

/** The expressions to evaluate for one tensor of `size` elements. */
export interface InterpretedJob {
  readonly roots: readonly Expression[]
  readonly size: number
}

/** A scalar, the elements of a tensor, or 0 and 1 for the elements of a mask. */
export type Interpreted = number | Float64Array | Uint8Array

/**
 * Evaluates expressions of one tensor of `size` elements in float64 throughout: slow, obvious, and the reference for
 * every other implementation. The caller rounds to the output's dtype.
 */
export const interpret = (roots: readonly Expression[], size: number, data: Data): readonly Interpreted[] =>
  interpretJobs([{ roots, size }], data)[0]!

/**
 * Like {@link interpret} for many tensors, whose measures over a group see every job that has one of that group, in the
 * order of the jobs.
 */
export const interpretJobs = (jobs: readonly InterpretedJob[], data: Data): readonly (readonly Interpreted[])[] => {
  const known = jobs.map(() => new Map<Expression, Interpreted>())
  const grouped = jobs.map(({ roots }) => findGrouped(roots))

  const evaluate = (index: number, e: Expression): Interpreted => {
    const memo = known[index]!
    walk([e], {
      enter: (x) => !memo.has(x),
      leave: (x) => void memo.set(x, isMeasure(x) ? measure(index, x) : compute(index, x)),
    })
    return memo.get(e)!
  }
  const numberOf = (index: number, e: Scalar): number => evaluate(index, e) as number
  const elementsOf = (index: number, e: Tensor | Scalar): Float64Array => {
    const value = evaluate(index, e)
    return typeof value === 'number' ? new Float64Array(jobs[index]!.size).fill(value) : (value as Float64Array)
  }
  const bitsOf = (index: number, e: Mask): Uint8Array => evaluate(index, e) as Uint8Array

  /** Every tensor that a measure is taken over: its own, or those of its group. */
  const membersOf = (index: number, e: Measure): readonly { readonly index: number; readonly measure: Measure }[] =>
    e.over === undefined
      ? [{ index, measure: e }]
      : grouped.flatMap((groups, i) => {
          const member = groups.get(familyKey(e))
          return member === undefined ? [] : [{ index: i, measure: member }]
        })

  const measure = (index: number, e: Measure): Interpreted => {
    if (e.type === 'solve') return solved(e, data)
    const members = membersOf(index, e)
    if (e.type === 'block-totals')
      return blockTotalsOf(
        e.operands.map((x) => elementsOf(index, x)),
        e,
      )
    if (e.type === 'tally') return tallyOf(elementsOf(index, e.operand), e.cells, (bound) => numberOf(index, bound))
    if (e.type === 'total' && (e.measure === 'min' || e.measure === 'max')) {
      const numbers = join(members.map((m) => elementsOf(m.index, operandsOf(m.measure)[0]!))).filter(
        (x) => !Number.isNaN(x),
      )
      return numbers.reduce(
        (x, y) => (e.measure === 'min' ? Math.min(x, y) : Math.max(x, y)),
        e.measure === 'min' ? Infinity : -Infinity,
      )
    }
    if (e.type === 'total')
      return members.reduce((sum, m) => sum + totalOf(operandsOf(m.measure).map((x) => elementsOf(m.index, x))), 0)
    const parts = members.map((m) => elementsOf(m.index, operandsOf(m.measure)[0]!).map(Math.abs))
    const magnitudes = join(parts)
    if (e.type === 'quantile') return magnitudes.toSorted()[rankOf(e.q, magnitudes.length)] ?? NaN
    const own = members.findIndex((m) => m.index === index)
    const start = parts.slice(0, own).reduce((n, part) => n + part.length, 0)
    const most = e.count === undefined ? countOf(e.density, magnitudes.length) : Math.floor(numberOf(index, e.count))
    return largest(magnitudes, most, e.equal).slice(start, start + parts[own]!.length)
  }

  const compute = (index: number, e: Exclude<Expression, Measure>): Interpreted => {
    const { size } = jobs[index]!
    switch (e.type) {
      case 'literal':
        return e.value
      case 'compute':
        return applyScalar(
          e.op,
          e.args.map((arg) => numberOf(index, arg)),
        )
      case 'read':
        return look(e.view, data)
      case 'read-mask':
        return Uint8Array.from(look(e.view, data), (x) => (x === 0 ? 0 : 1))
      case 'fill':
        return new Float64Array(size).fill(numberOf(index, e.value))
      case 'normal':
        return data.normal(e.stream, size)
      case 'uniform':
        return data.uniform(e.stream, size)
      case 'position':
        return Float64Array.from({ length: size }, (_, i) => Math.floor(i / e.stride) % e.length)
      case 'product':
        return multiply(e.product, size, data)
      case 'result':
        return e.of.fn.evaluate(e.of.args.map((arg) => numberOf(index, arg)))[e.index]!
      case 'stored':
        return data.read(e.from)
      case 'combine':
        return combineVectors(
          e.op,
          e.args.map((arg) => evaluate(index, arg) as Float64Array | number),
        )
      case 'spread': {
        const numbers = evaluate(index, e.vector) as Float64Array
        const out = new Float64Array(size)
        visitRuns(e.grid, 0, size, (at, length, block) => void out.fill(numbers[block]!, at, at + length))
        return out
      }
      case 'bernoulli':
        return data.bernoulli(e.stream, size, e.p)
      case 'constant':
        return new Uint8Array(size).fill(e.value ? 1 : 0)
      case 'apply': {
        const args = e.args.map((arg) => elementsOf(index, arg))
        return Float64Array.from({ length: size }, (_, i) =>
          applyScalar(
            e.op,
            args.map((x) => x[i]!),
          ),
        )
      }
      case 'choose': {
        const [mask, yes, no] = [bitsOf(index, e.mask), elementsOf(index, e.yes), elementsOf(index, e.no)]
        return yes.map((x, i) => (mask[i] === 1 ? x : no[i]!))
      }
      case 'compare': {
        const [left, right] = [elementsOf(index, e.left), elementsOf(index, e.right)]
        return Uint8Array.from(left, (x, i) => (compare(e.op, x, right[i]!) ? 1 : 0))
      }
      case 'logic': {
        const [first, ...rest] = e.args.map((arg) => bitsOf(index, arg))
        if (e.op === 'not') return first!.map((x) => 1 - x)
        return first!.map((x, i) =>
          rest.reduce((y, mask) => (e.op === 'and' ? y & mask[i]! : e.op === 'or' ? y | mask[i]! : y ^ mask[i]!), x),
        )
      }
    }
  }

  return jobs.map(({ roots }, index) => roots.map((root) => evaluate(index, root)))
}

/** What a solver makes of its operands, each of which has a size of its own; NaN where it has no result. */
const solved = ({ solver, operands, shapes, settings, shape }: Solve, data: Data): Float64Array => {
  const values = operands.map((x, i) => interpret([x], sizeOf(shapes[i]!), data)[0] as Float64Array)
  const result = solver.solve(
    values.map((numbers, i) => ({ shape: shapes[i]!, values: numbers.slice() })),
    settings,
    shape,
  )
  return typeof result === 'string' ? new Float64Array(sizeOf(shape)).fill(NaN) : Float64Array.from(result)
}

/** The elements of a view, each found by its coordinates. */
const look = (view: View, data: Data): Float64Array => {
  const { shape, first, rows } = view
  const all = data.read(view.tensor)
  if (rows !== undefined) {
    const width = sizeOf(shape.slice(1))
    return Float64Array.from({ length: sizeOf(shape) }, (_, i) => {
      const row = rows.rows[Math.floor(i / width)]!
      return row === ZERO_ROW ? 0 : row < 0 ? -0 : all[row * width + (i % width)]!
    })
  }
  const strides = stridesOf(view)
  return Float64Array.from({ length: sizeOf(shape) }, (_, i) => {
    let [rest, position] = [i, first]
    for (let d = shape.length - 1; d >= 0; d--) {
      position += (rest % shape[d]!) * strides[d]!
      rest = Math.floor(rest / shape[d]!)
    }
    return all[position]!
  })
}

/** The elements of a product laid over `size` elements. */
const multiply = (p: Product, size: number, data: Data): Float64Array => {
  const [columns, { count }, elementAt] = [columnsOfProduct(p), rowsOfProduct(p), elementsOfProduct(p, data)]
  return Float64Array.from({ length: size }, (_, i) => {
    const row = Math.floor(i / columns) - p.firstRow
    return row < 0 || row >= count ? 0 : elementAt((row + count - (p.roll ?? 0)) % count, i % columns)
  })
}

type ElementAt = (row: number, column: number) => number

const elementsOfProduct = (p: Product, data: Data): ElementAt => {
  if (!isKronecker(p)) return elementsOfMatrix(p, data)
  const [, b] = p.leftShape
  const [c, d] = p.rightShape
  const [left, right] = [elementsOfStored(p.left, p.turned === true ? p.leftShape[0] : b, data), p.right]
  const inRight = right === undefined ? () => 1 : elementsOfStored(right, p.turned === true ? c : d, data)
  const at = (elements: ElementAt, i: number, j: number): number =>
    p.turned === true ? elements(j, i) : elements(i, j)
  return (row, column) => at(left, Math.floor(row / c), Math.floor(column / d)) * at(inRight, row % c, column % d)
}

/** The elements of a matrix that is stored with so many columns, or by factors. */
const elementsOfStored = (matrix: StoredMatrix, columns: number, data: Data): ElementAt => {
  if (!('tensor' in matrix)) return elementsOfMatrix(matrix, data)
  const values = look(matrix, data)
  return (i, j) => values[i * columns + j]!
}

const elementsOfMatrix = (p: LowRankMatrix, data: Data): ElementAt => {
  const up = look(p.up, data)
  const down = p.mid === undefined ? look(p.down, data) : foldMiddle(p, look(p.mid, data), look(p.down, data))
  const rows = up.length / p.rank
  return (row, column) => {
    let sum = 0
    for (let r = 0; r < p.rank; r++)
      sum +=
        up[p.turned?.up === true ? r * rows + row : row * p.rank + r]! *
        down[p.turned?.down === true ? column * p.rank + r : r * p.columns + column]!
    return sum
  }
}

const foldMiddle = (p: LowRankMatrix, mid: Float64Array, down: Float64Array): Float64Array => {
  const kernel = mid.length / (p.rank * p.rank)
  const inputs = p.columns / kernel
  return Float64Array.from({ length: p.rank * p.columns }, (_, at) => {
    const [k, input, out] = [at % kernel, Math.floor(at / kernel) % inputs, Math.floor(at / p.columns)]
    let sum = 0
    for (let q = 0; q < p.rank; q++) sum += mid[(out * p.rank + q) * kernel + k]! * down[q * inputs + input]!
    return sum
  })
}

const blockTotalsOf = (
  [x, y]: readonly Float64Array[],
  { measure, grid }: Extract<Vector, { type: 'block-totals' }>,
): Float64Array => {
  const found = new Float64Array(blockCount(grid))
  const next = (sofar: number, i: number): number =>
    measure === 'sum'
      ? sofar + x![i]!
      : measure === 'dot'
        ? sofar + x![i]! * y![i]!
        : Number.isFinite(x![i])
          ? Math.max(sofar, Math.abs(x![i]!))
          : sofar
  visitRuns(grid, 0, x!.length, (at, length, block) => {
    for (let i = at; i < at + length; i++) found[block] = next(found[block]!, i)
  })
  return found
}

/** The measures over groups below some roots, by group; a job has one operand in each. */
const findGrouped = (roots: readonly Expression[]): ReadonlyMap<string, Measure> => {
  const groups = new Map<string, Measure>()
  const seen = new Set<Expression>()
  walk(roots, {
    enter: (e) => {
      if (seen.has(e)) return false
      seen.add(e)
      return true
    },
    leave: (e) => {
      if (!isMeasure(e) || e.over === undefined) return
      const other = groups.get(familyKey(e))
      if (other !== undefined && operandsOf(other).some((x, i) => x !== operandsOf(e)[i]))
        throw new Error(`two operands in group ${e.over.group}`)
      groups.set(familyKey(e), e)
    },
  })
  return groups
}

const totalOf = ([x, y]: readonly Float64Array[]): number =>
  x!.reduce((sum, value, i) => sum + (y === undefined ? value : value * y[i]!), 0)

const join = (parts: readonly Float64Array[]): Float64Array => Float64Array.from(parts.flatMap((part) => [...part]))

/** The numbers of a tally, cell by cell. */
const tallyOf = (x: Float64Array, cells: Cells, numberOf: (bound: Scalar) => number): Float64Array => {
  const cellOf = (value: number, i: number): number => {
    if (cells.by === 'place') {
      const [row, column] = [Math.floor(i / cells.columns), i % cells.columns]
      return (
        Math.floor((row * cells.gridRows) / cells.rows) * cells.gridColumns +
        Math.floor((column * cells.gridColumns) / cells.columns)
      )
    }
    const [low, high] = [numberOf(cells.low), numberOf(cells.high)]
    return high > low
      ? Math.min(cells.count - 1, Math.max(0, Math.floor(((value - low) / (high - low)) * cells.count)))
      : 0
  }
  const found = Array.from({ length: cellCount(cells) }, (): number[] => [])
  x.forEach((value, i) => void (Number.isFinite(value) && found[cellOf(value, i)]!.push(value)))
  return Float64Array.from(
    found.flatMap((values) => [
      values.length,
      values.reduce((sum, v) => sum + v, 0),
      values.reduce((sum, v) => sum + v * v, 0),
      values.reduce((x, y) => Math.min(x, y), Infinity),
      values.reduce((x, y) => Math.max(x, y), -Infinity),
    ]),
  )
}

/** 1 at the `count` largest numbers; of equal ones that do not all fit, the first by index are, or all, or none. */
const largest = (x: Float64Array, count: number, equal: EqualMagnitudes): Uint8Array => {
  const order = Array.from(x, (_, i) => i).sort((i, j) => x[j]! - x[i]! || i - j)
  const [last, next] = [x[order[count - 1]!], x[order[count]!]]
  if (last === next && equal !== 'first')
    return Uint8Array.from(x, (y) => Number(equal === 'all' ? y >= last! : y > last!))
  const mask = new Uint8Array(x.length)
  for (const i of order.slice(0, count)) mask[i] = 1
  return mask
}

const compare = (op: Comparison, x: number, y: number): boolean => {
  switch (op) {
    case 'greater':
      return x > y
    case 'greater-equal':
      return x >= y
    case 'less':
      return x < y
    case 'less-equal':
      return x <= y
    case 'equal':
      return x === y
  }
}
