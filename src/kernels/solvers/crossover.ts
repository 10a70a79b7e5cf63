import { greatest } from '../../base/lists.js'
import type { Solver } from '../../graph/expression.js'
import { sizeOf } from '../../tensor/info.js'
import { createTransform, zeros, type Complex } from './fourier.js'
import { pointAt } from './unit-circle.js'

/** Elements that are transformed at a time, in lines next to each other. */
const BATCH = 1 << 16
/** The least number of lines at a time: those next to each other share lines of the cache. */
const LEAST_LINES = 8

/** Frequencies this near to the cut are on it. */
const ON_THE_CUT = 1e-9

/**
 * `A + D`, D the difference B − A with its frequencies multiplied by a filter that is real and even: a Fourier transform
 * over all axes, of which the last has half of its frequencies, and back. Operands: A, B; settings: the share α of B, and
 * the tilt of the filter.
 */
export const crossover: Solver = {
  name: 'crossover',
  version: 1,
  takes: 'all',
  workspace: (_, shape) => {
    const [size, n] = [sizeOf(shape), shape.at(-1)!]
    const spectrum = 16 * (size / n) * (Math.floor(n / 2) + 1)
    // Lines and as much again, and for a convolution twice to four times as much.
    return spectrum + greatest(shape.map((d) => 160 * Math.min(size, d * linesOf(d))))
  },
  solve: ([first, second], [alpha = 0.5, tilt = 0], shape) => {
    const [a, b] = [first!.values, second!.values]
    const spectrum = rowsToSpectrum(a, b, shape)
    const halved = [...shape.slice(0, -1), Math.floor(shape.at(-1)! / 2) + 1]
    for (let axis = 0; axis < shape.length - 1; axis++) transformAxis(spectrum, halved, axis)
    applyFilter(spectrum, shape, filterOf(alpha, tilt))
    const exchanged = { re: spectrum.im, im: spectrum.re }
    for (let axis = 0; axis < shape.length - 1; axis++) transformAxis(exchanged, halved, axis)
    return addRows(a, spectrum, shape)
  },
}

const linesOf = (n: number): number => Math.max(LEAST_LINES, Math.floor(BATCH / n))

/** Transforms so many lines of n elements, some at a time: `load` fills them, `store` takes them. */
const inBatches = (
  n: number,
  lines: number,
  load: (z: Complex, first: number, count: number) => void,
  store: (z: Complex, first: number, count: number) => void,
): void => {
  const most = Math.min(lines, linesOf(n))
  const transform = createTransform(n)
  const z = zeros(n * most)
  for (let first = 0; first < lines; first += most) {
    const count = Math.min(most, lines - first)
    load(z, first, count)
    transform(z, count)
    store(z, first, count)
  }
}

/** The real parts of the lines are even rows, the imaginary parts odd ones: `work` has each row of a batch. */
const eachRow = (
  z: Complex,
  rows: number,
  first: number,
  count: number,
  work: (line: Float64Array, v: number, row: number) => void,
): void => {
  for (let v = 0; v < count; v++) {
    const row = 2 * (first + v)
    work(z.re, v, row)
    if (row + 1 < rows) work(z.im, v, row + 1)
  }
}

/** The spectra of the rows of b − a. Two rows are transformed as one of complex numbers. */
const rowsToSpectrum = (a: ArrayLike<number>, b: ArrayLike<number>, shape: readonly number[]): Complex => {
  const n = shape.at(-1)!
  const half = Math.floor(n / 2) + 1
  const rows = sizeOf(shape) / n
  const spectrum = zeros(rows * half)
  inBatches(
    n,
    Math.ceil(rows / 2),
    (z, first, count) => {
      z.im.fill(0)
      eachRow(z, rows, first, count, (line, v, row) => {
        for (let i = 0; i < n; i++) line[i * count + v] = b[row * n + i]! - a[row * n + i]!
      })
    },
    ({ re, im }, first, count) => {
      for (let v = 0; v < count; v++) {
        const row = 2 * (first + v)
        for (let k = 0; k < half; k++) {
          const at = k * count + v
          const mirrored = ((n - k) % n) * count + v
          spectrum.re[row * half + k] = (re[at]! + re[mirrored]!) / 2
          spectrum.im[row * half + k] = (im[at]! - im[mirrored]!) / 2
          if (row + 1 === rows) continue
          spectrum.re[(row + 1) * half + k] = (im[at]! + im[mirrored]!) / 2
          spectrum.im[(row + 1) * half + k] = (re[mirrored]! - re[at]!) / 2
        }
      }
    },
  )
  return spectrum
}

/** Adds to a what its rows' spectra are the transforms of, but for the number of elements. */
const addRows = (a: ArrayLike<number>, { re, im }: Complex, shape: readonly number[]): Float32Array => {
  const n = shape.at(-1)!
  const size = sizeOf(shape)
  const half = Math.floor(n / 2) + 1
  const rows = size / n
  const result = new Float32Array(size)
  inBatches(
    n,
    Math.ceil(rows / 2),
    (z, first, count) => {
      for (let v = 0; v < count; v++) {
        const own = 2 * (first + v) * half
        const isPair = own + half < re.length
        for (let k = 0; k < n; k++) {
          // The other half of a real row's frequencies is conjugate.
          const sign = k < half ? 1 : -1
          const at = own + (k < half ? k : n - k)
          // Parts are exchanged, for the inverse.
          z.im[k * count + v] = re[at]! - (isPair ? sign * im[at + half]! : 0)
          z.re[k * count + v] = sign * im[at]! + (isPair ? re[at + half]! : 0)
        }
      }
    },
    (z, first, count) =>
      eachRow({ re: z.im, im: z.re }, rows, first, count, (line, v, row) => {
        for (let i = 0; i < n; i++) result[row * n + i] = a[row * n + i]! + line[i * count + v]! / size
      }),
  )
  return result
}

/** Transforms all lines along an axis that is not the last. */
const transformAxis = ({ re, im }: Complex, shape: readonly number[], axis: number): void => {
  const n = shape[axis]!
  if (n === 1) return
  const inner = sizeOf(shape.slice(axis + 1))
  const startOf = (line: number): number => Math.floor(line / inner) * n * inner + (line % inner)
  inBatches(
    n,
    re.length / n,
    (z, first, count) => {
      for (let v = 0; v < count; v++) {
        const start = startOf(first + v)
        for (let i = 0; i < n; i++) {
          z.re[i * count + v] = re[start + i * inner]!
          z.im[i * count + v] = im[start + i * inner]!
        }
      }
    },
    (z, first, count) => {
      for (let v = 0; v < count; v++) {
        const start = startOf(first + v)
        for (let i = 0; i < n; i++) {
          re[start + i * inner] = z.re[i * count + v]!
          im[start + i * inner] = z.im[i * count + v]!
        }
      }
    },
  )
}

/** The squares of the frequencies along an axis, from 0 to 1. */
const squaresAlong = (n: number): Float64Array =>
  Float64Array.from({ length: n }, (_, k) => (n === 1 ? 0 : (Math.min(k, n - k) / Math.floor(n / 2)) ** 2))

/** Multiplies each frequency by the filter at its distance from 0: the root of the mean of the squares along all axes. */
const applyFilter = ({ re, im }: Complex, shape: readonly number[], filter: (frequency: number) => number): void => {
  const half = Math.floor(shape.at(-1)! / 2) + 1
  const squares = shape.map(squaresAlong)
  const last = squares.at(-1)!
  for (let [row, start] = [0, 0]; start < re.length; row++, start += half) {
    let [sum, rest] = [0, row]
    for (let axis = shape.length - 2; axis >= 0; axis--) {
      sum += squares[axis]![rest % shape[axis]!]!
      rest = Math.floor(rest / shape[axis]!)
    }
    for (let k = 0; k < half; k++) {
      const share = filter(Math.sqrt((sum + last[k]!) / shape.length))
      re[start + k]! *= share
      im[start + k]! *= share
    }
  }
}

/**
 * The share of B at a frequency from 0 to 1. At a tilt of 0 B has what is above 1 − α, near a tilt of 2 what is below α, and
 * at exactly 2 what is below 1 − α, as in sd-mecha; between them the step becomes a slope, and at a tilt of 1 and 3 the
 * share is α everywhere.
 */
export const filterOf = (alpha: number, tilt: number): ((frequency: number) => number) => {
  const turned = tilt - 4 * Math.floor(tilt / 4)
  const [cos, sin] = pointAt(turned, 4)
  if (Math.abs(sin) < ON_THE_CUT)
    return cos > 0
      ? (frequency) => (frequency - (1 - alpha) > ON_THE_CUT ? 1 : 0)
      : (frequency) => (1 - alpha - frequency > ON_THE_CUT ? 1 : 0)
  const slope = cos / sin
  // The slope goes through α at the frequency where the step is.
  const cut = turned < 1 || turned > 3 ? 1 - alpha : alpha
  const sign = turned > 2 ? -1 : 1
  return (frequency) => Math.min(1, Math.max(0, alpha + sign * slope * (frequency - cut)))
}
