import { bytesFor, DTYPES } from './dtype.js'
import { sizeOf, type TensorInfo } from './info.js'
import { rowRuns, type RowMap } from './row-map.js'

/**
 * A stored tensor as an expression reads it: all of its numbers or some of them, in the order of `shape`. Element (i,
 * j, …) of the view is
 * number `first + i·strides[0] + j·strides[1] + …` of the tensor. Whatever a view selects, it is known by its tensor's
 * digest and its
 * {@link Selection}, and read as ranges by position.
 */
export interface View {
  readonly tensor: TensorInfo
  /** Outermost dimension first. */
  readonly shape: readonly number[]
  readonly first: number
  /**
   * One for each dimension of `shape`, in numbers of the tensor; undefined where the numbers lie one after the other.
   */
  readonly strides: readonly number[] | undefined
  /** The row of the tensor for each row of the view, where those are chosen one by one; then `first` is 0. */
  readonly rows?: RowMap
}

/** Rows that are chosen one by one: those of a view from row `from` on, of `width` numbers each. */
export interface ChosenRows {
  readonly width: number
  readonly from: number
  readonly rows: Int32Array
}

/**
 * Which numbers of a tensor a view has, in order, whatever its shape: the first, and nested loops of a length and a
 * stride, the outermost first; or rows.
 */
export interface Selection {
  readonly first: number
  readonly loops: readonly (readonly [length: number, stride: number])[]
  readonly chosen?: ChosenRows
}

/** All of a tensor. */
export const wholeOf = (tensor: TensorInfo): View => ({ tensor, shape: tensor.shape, first: 0, strides: undefined })

/**
 * Rows of a tensor as a map says; a whole tensor where they are all of its rows in their order. Throws where a row is
 * none of the tensor.
 */
export const chooseRows = (tensor: TensorInfo, map: RowMap): View => {
  const [rows = 0, ...rest] = tensor.shape
  if (tensor.packed === true || DTYPES[tensor.dtype].bits % 8 !== 0)
    throw new Error(`${tensor.name} holds less than a byte per number, and is only read whole`)
  if (map.last >= rows) throw new Error(`row ${map.last} is none of the ${rows} of ${tensor.name}`)
  return map.ordered === rows && map.rows.length === rows
    ? wholeOf(tensor)
    : { tensor, shape: [map.rows.length, ...rest], first: 0, strides: undefined, rows: map }
}

/** The strides of a view, also of one whose numbers lie one after the other. */
export const stridesOf = ({ shape, strides }: View): readonly number[] =>
  strides ?? shape.map((_, d) => sizeOf(shape.slice(d + 1)))

/** `count` indices of one dimension of a view, from `from` on: rows are dimension 0, columns dimension 1. */
export const sliceOf = (view: View, dimension: number, from: number, count: number): View => {
  const { tensor, shape, first } = view
  if (view.rows !== undefined) throw new Error(`a part of chosen rows of ${tensor.name}`)
  const isPart =
    Number.isInteger(from) &&
    Number.isInteger(count) &&
    from >= 0 &&
    count >= 0 &&
    from + count <= (shape[dimension] ?? 0)
  if (!isPart) throw new Error(`${from} to ${from + count} is no part of dimension ${dimension} of ${tensor.name}`)
  if (tensor.packed === true || DTYPES[tensor.dtype].bits % 8 !== 0)
    throw new Error(`${tensor.name} holds less than a byte per number, and is only read whole`)
  const strides = stridesOf(view)
  return {
    tensor,
    shape: shape.with(dimension, count),
    first: first + from * strides[dimension]!,
    strides: dimension === 0 ? view.strides : strides,
  }
}

/**
 * Dimensions that run on without a gap are one loop, so that views of the same numbers in the same order have the same
 * selection.
 */
export const selectionOf = ({ shape, strides, first, rows }: View): Selection => {
  const size = sizeOf(shape)
  if (rows !== undefined)
    return {
      first: 0,
      loops: [[size, 1]],
      chosen: { width: sizeOf(shape.slice(1)), from: 0, rows: rows.rows },
    }
  if (size === 0 || strides === undefined) return { first: size === 0 ? 0 : first, loops: [[size, 1]] }
  const loops: [length: number, stride: number][] = []
  shape.forEach((length, i) => {
    const [outer, stride] = [loops.at(-1), strides[i]!]
    if (length === 1) return
    if (outer?.[1] === length * stride) loops[loops.length - 1] = [outer[0] * length, stride]
    else loops.push([length, stride])
  })
  return { first, loops: loops.length === 0 ? [[1, 1]] : loops }
}

/** True where the numbers of a selection lie one after the other. */
export const isRun = ({ loops, chosen }: Selection): boolean =>
  chosen === undefined && loops.length === 1 && loops[0]![1] === 1

/** A selection with only those of its chosen rows that elements `from` to `to` are of. */
export const cutChosen = (selection: Selection, from: number, to: number): Selection => {
  const { chosen } = selection
  if (chosen === undefined || chosen.width === 0) return selection
  const { width, rows } = chosen
  const first = Math.floor(from / width)
  return { ...selection, chosen: { width, from: first, rows: rows.slice(first, Math.ceil(to / width)) } }
}

/** True for a view that has all numbers of its tensor in their order. */
export const isWhole = (view: View): boolean => {
  if (view.first !== 0 || view.rows !== undefined) return false
  return (
    (view.shape === view.tensor.shape || sizeOf(view.shape) === sizeOf(view.tensor.shape)) &&
    (view.strides === undefined || isRun(selectionOf(view)))
  )
}

/** What a view selects, as a short text; empty for a whole tensor. Equal for views of one tensor that read the same. */
export const selectionText = (view: View): string => {
  if (isWhole(view)) return ''
  if (view.rows !== undefined) return `[rows ${view.rows.digest}]`
  const { first, loops } = selectionOf(view)
  return `[${first}${loops.map(([length, stride]) => `+${length}*${stride}`).join('')}]`
}

/** A key that identifies a view within a graph. */
export const viewKey = (view: View): string => `${view.tensor.file}\0${view.tensor.name}\0${selectionText(view)}`

/** True where two views have the same key. */
export const isSameView = (x: View, y: View): boolean =>
  x === y ||
  (x.tensor.name === y.tensor.name && x.tensor.file === y.tensor.file && selectionText(x) === selectionText(y))

/** The name of work on a view: its tensor, with the selection if that is not all of it. */
export const viewLabel = (view: View): string => `${view.tensor.name}${selectionText(view)}`

/** Bytes that the numbers of a view take in its file. */
export const viewBytes = ({ tensor, shape, rows }: View): number => {
  if (tensor.packed === true) return tensor.end - tensor.begin
  return bytesFor(rows === undefined ? sizeOf(shape) : rows.stored * sizeOf(shape.slice(1)), tensor.dtype)
}

/**
 * Calls `visit` for every range of adjacent numbers that makes up elements `from` to `to` of a selection, in order. For
 * numbers of rows that are not stored, `first` is the code of such a row.
 */
export const forEachRange = (
  { first, loops, chosen }: Selection,
  from: number,
  to: number,
  visit: (first: number, count: number) => void,
): void => {
  if (chosen !== undefined) return rowRuns(chosen, from, to, visit)
  const [length, stride] = loops.at(-1)!
  const run = stride === 1 ? length : 1
  const inward = loops.toReversed()
  for (let element = from; element < to;) {
    let [rest, position] = [element, first]
    for (const [many, step] of inward) {
      position += (rest % many) * step
      rest = Math.floor(rest / many)
    }
    const count = Math.min(to - element, run - (element % run))
    visit(position, count)
    element += count
  }
}
