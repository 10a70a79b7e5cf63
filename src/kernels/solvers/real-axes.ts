import { greatest } from '../../base/lists.js'
import { sizeOf } from '../../tensor/info.js'
import { exchanged, fourierOf, type Fourier, type Lines, type Transform } from './fourier.js'
import { solverKernels } from './matrix.js'

/** The last axes are transformed together if they have at most so many elements: four rows of them stay in the cache. */
const MOST_INNER = 1 << 15
/** Complex lines along another axis at a time: real and imaginary parts fill a line of the cache. */
const MOST_LINES = 8
/** Elements of them, which stay in the cache, where two lines do not have more. */
const MOST_ELEMENTS = 1 << 15
/** Rows that are transformed together, as two complex ones. */
const ROWS = 4

/** An axis of the last ones, by itself: so many blocks of n elements, each of `count` complex numbers. */
interface InnerAxis {
  readonly blocks: number
  readonly n: number
  readonly count: number
}

/** The last axes, of `inner` elements together. */
export interface Group {
  readonly rows: number
  readonly inner: number
  readonly axes: readonly InnerAxis[]
}

/** Another axis: `outer` blocks of n rows of `inner` elements, so many complex lines at a time. */
export interface Axis {
  readonly outer: number
  readonly n: number
  readonly inner: number
  readonly lines: number
}

/** How the axes of a tensor are transformed. */
export interface AxesPlan {
  /** Without axes of one element, unless there is no other. */
  readonly shape: readonly number[]
  /** Undefined where there is only one axis. */
  readonly group: Group | undefined
  /** The others in their order: the first is always among them. */
  readonly axes: readonly [Axis, ...Axis[]]
  /** For each length but 3. */
  readonly fouriers: ReadonlyMap<number, Fourier>
  /** Bytes of the kernels' memory that it takes. */
  readonly bytes: number
}

const axisOf = (shape: readonly number[], at: number): Axis => {
  const [n, inner] = [shape[at]!, sizeOf(shape.slice(at + 1))]
  const most = Math.min(MOST_LINES, 2 * Math.floor(MOST_ELEMENTS / n / 2), 2 * Math.ceil(inner / 4))
  return { outer: sizeOf(shape.slice(0, at)), n, inner, lines: Math.max(2, most) }
}

const groupOf = (shape: readonly number[], first: number): Group | undefined =>
  first === shape.length
    ? undefined
    : {
        rows: sizeOf(shape.slice(0, first)),
        inner: sizeOf(shape.slice(first)),
        axes: shape
          .slice(first)
          .map((n, i) => ({
            blocks: sizeOf(shape.slice(first, first + i)),
            n,
            count: (ROWS / 2) * sizeOf(shape.slice(first + i + 1)),
          }))
          .toReversed(),
      }

/** How to transform a tensor along its axes. */
export const planAxes = (whole: readonly number[]): AxesPlan => {
  const long = whole.filter((n) => n > 1)
  const shape = long.length === 0 ? [1] : long
  let first = shape.length
  while (first > 1 && sizeOf(shape.slice(first - 1)) <= MOST_INNER) first -= 1
  const group = groupOf(shape, first)
  const axes = shape.slice(0, first).map((_, at) => axisOf(shape, at)) as [Axis, ...Axis[]]
  const uses = [
    ...(group?.axes ?? []).filter(({ n }) => n !== 3).map(({ n, count }) => [n, count] as const),
    ...axes.map(({ n, lines }) => [n, lines] as const),
  ]
  const most = new Map<number, number>()
  for (const [n, count] of uses) most.set(n, Math.max(count, most.get(n) ?? 0))
  const fouriers = new Map([...most].map(([n, count]) => [n, fourierOf(n, count)]))
  const rooms = axes.map(({ n, lines }) => 32 * n * lines + 8 * n + 16 * lines)
  if (group !== undefined) rooms.push((16 * ROWS + 4 * ROWS) * group.inner)
  const tables = [...fouriers.values()].reduce((bytes, fourier) => bytes + fourier.bytes, 0)
  return { shape, group, axes, fouriers, bytes: tables + greatest(rooms) }
}

/** A plan whose tables are in the kernels' memory, where its lines begin behind them. */
export interface PlacedAxes extends AxesPlan {
  readonly transforms: ReadonlyMap<number, Transform>
  readonly room: number
}

/** Writes the tables of a plan, for which there is room at `at`. */
export const placeAxes = (plan: AxesPlan, at: number): PlacedAxes => {
  let room = at
  const transforms = new Map<number, Transform>()
  for (const [n, fourier] of plan.fouriers) {
    transforms.set(n, fourier.place(room))
    room += fourier.bytes
  }
  return { ...plan, transforms, room }
}

/** Replaces a tensor along all axes but the first by real transforms: of frequency k two elements have the two parts. */
export const transformRest = (x: Float32Array, placed: PlacedAxes): void => {
  if (placed.group !== undefined) eachRows(x, placed, placed.group, (lines) => forward(lines, placed, placed.group!))
  for (const axis of placed.axes.slice(1).toReversed())
    eachColumns(x, placed, axis, (lines) => {
      const found = placed.transforms.get(axis.n)!(lines, 1, axis.lines)
      solverKernels().splitLines(found.at, found.imag, 1, axis.n, axis.lines)
      return found
    })
}

/** Undoes {@link transformRest}, but for a factor of the number of elements. */
export const transformRestBack = (x: Float32Array, placed: PlacedAxes): void => {
  for (const axis of placed.axes.slice(1))
    eachColumns(x, placed, axis, (lines) => {
      solverKernels().joinLines(lines.at, lines.imag, 1, axis.n, axis.lines)
      return exchanged(placed.transforms.get(axis.n)!(exchanged(lines), 1, axis.lines))
    })
  if (placed.group !== undefined) eachRows(x, placed, placed.group, (lines) => back(lines, placed, placed.group!))
}

/**
 * Transforms complex lines along the first axis, has `work` change them, and transforms them back, but for a factor of n.
 * Real and imaginary parts are lines of their own, of columns from `column` on. There is room for a float64 for each
 * element of a line and two for each line.
 */
export const alongFirst = (
  x: Float32Array,
  placed: PlacedAxes,
  work: (lines: Lines, axis: Axis, column: number, room: number) => void,
): void => {
  const [axis] = placed.axes
  const transform = placed.transforms.get(axis.n)!
  eachColumns(x, placed, axis, (lines, column) => {
    const found = transform(lines, 1, axis.lines)
    work(found, axis, column, placed.room + 32 * axis.n * axis.lines)
    return exchanged(transform(exchanged(found), 1, axis.lines))
  })
}

const forward = (lines: Lines, { transforms }: PlacedAxes, { axes }: Group): Lines => {
  const kernels = solverKernels()
  let own = lines
  for (const { blocks, n, count } of axes) {
    if (n === 3) for (const part of [own.at, own.at + own.imag]) kernels.realBy3(part, blocks, count)
    else {
      own = transforms.get(n)!(own, blocks, count)
      kernels.splitLines(own.at, own.imag, blocks, n, count)
    }
  }
  return own
}

const back = (lines: Lines, { transforms }: PlacedAxes, { axes }: Group): Lines => {
  const kernels = solverKernels()
  let own = lines
  for (const { blocks, n, count } of axes.toReversed()) {
    if (n === 3) for (const part of [own.at, own.at + own.imag]) kernels.realFrom3(part, blocks, count)
    else {
      kernels.joinLines(own.at, own.imag, blocks, n, count)
      own = exchanged(transforms.get(n)!(exchanged(own), blocks, count))
    }
  }
  return own
}

/** Works on some rows of the last axes at a time; those that are not there are 0. */
const eachRows = (
  x: Float32Array,
  { room }: PlacedAxes,
  { rows, inner }: Group,
  work: (lines: Lines) => Lines,
): void => {
  const kernels = solverKernels()
  const plane = 4 * ROWS * inner
  const [at, stored] = [room, room + 4 * plane]
  for (let row = 0; row < rows; row += ROWS) {
    const own = x.subarray(row * inner, (row + ROWS) * inner)
    const numbers = kernels.view(Float32Array, stored, ROWS * inner)
    numbers.set(own)
    numbers.fill(0, own.length)
    kernels.interleave(at, plane, stored, inner, inner)
    const found = work({ at, imag: plane, spare: at + 2 * plane })
    kernels.separate(stored, found.at, found.imag, inner, inner)
    own.set(numbers.subarray(0, own.length))
  }
}

/** Works on some columns at a time along an axis; those that are not there are 0. */
const eachColumns = (
  x: Float32Array,
  { room: at }: PlacedAxes,
  { outer, n, inner, lines }: Axis,
  work: (lines: Lines, column: number) => Lines,
): void => {
  const kernels = solverKernels()
  const plane = 8 * n * lines
  const own: Lines = { at, imag: plane, spare: at + 2 * plane }
  /** Real parts are columns next to each other, and imaginary ones the columns after them. */
  const partsOf = (there: Lines): readonly Float64Array[] =>
    [there.at, there.at + there.imag].map((part) => kernels.view(Float64Array, part, n * lines))
  for (let block = 0; block < outer; block++) {
    for (let column = 0; column < inner; column += 2 * lines) {
      const start = block * n * inner + column
      const widths = [0, lines].map((first) => Math.max(0, Math.min(lines, inner - column - first)))
      partsOf(own).forEach((part, i) => {
        const width = widths[i]!
        if (width < lines) part.fill(0)
        for (let k = 0, to = 0, from = start + i * lines; k < n; k++, to += lines, from += inner)
          for (let j = 0; j < width; j++) part[to + j] = x[from + j]!
      })
      partsOf(work(own, column)).forEach((part, i) => {
        const width = widths[i]!
        for (let k = 0, from = 0, to = start + i * lines; k < n; k++, from += lines, to += inner)
          for (let j = 0; j < width; j++) x[to + j] = part[from + j]!
      })
    }
  }
}
