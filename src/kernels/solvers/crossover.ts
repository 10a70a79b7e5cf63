import type { Solver } from '../../graph/expression.js'
import { solverKernels } from './matrix.js'
import { alongFirst, placeAxes, planAxes, transformRest, transformRestBack, type PlacedAxes } from './real-axes.js'
import { roomFor } from './room.js'
import { pointAt } from './unit-circle.js'

/** Frequencies this near to the cut are on it. */
const ON_THE_CUT = 1e-9
/** What makes a step of a slope: no two float64 are so near to each other that it is not above 1 between them. */
const STEEP = 2 ** 100

/**
 * `A + D`, D the difference B − A with its frequencies multiplied by a filter, the same for k and −k of each axis. So an
 * axis may have any real basis of which a frequency has two elements: real Fourier transforms along all axes, the filter,
 * and back. In float64 along an axis, rounded to float32 between them: the error of an element is about 2⁻²³ of the root
 * of the mean square of D. Operands: A, B; settings: the share α of B, and the tilt of the filter. About 5·n·log₂n
 * floating-point operations for n elements.
 */
export const crossover: Solver = {
  name: 'crossover',
  version: 2,
  takes: 'all',
  overwrites: true,
  workspace: (_, shape) => planAxes(shape).bytes,
  solve: ([first, second], [alpha = 0.5, tilt = 0], shape) => {
    const [a, d] = [first!, second!].map(({ values }) =>
      values instanceof Float32Array ? values : new Float32Array(values),
    ) as [Float32Array, Float32Array]
    for (let i = 0; i < d.length; i++) d[i]! -= a[i]!
    const plan = planAxes(shape)
    const placed = placeAxes(plan, roomFor(plan.bytes))
    transformRest(d, placed)
    filterFirst(d, placed, shape, filterOf(alpha, tilt))
    transformRestBack(d, placed)
    for (let i = 0; i < d.length; i++) d[i]! += a[i]!
    return d
  },
}

/** The squares of the frequencies along an axis, from 0 to 1. */
const squaresAlong = (n: number): Float64Array =>
  Float64Array.from({ length: n }, (_, k) => (n === 1 ? 0 : (Math.min(k, n - k) / Math.floor(n / 2)) ** 2))

/** Multiplies each frequency by the filter at its distance from 0: the root of the mean of the squares along all axes. */
const filterFirst = (d: Float32Array, placed: PlacedAxes, shape: readonly number[], filter: Filter): void => {
  const kernels = solverKernels()
  const [first, ...others] = placed.shape.map(squaresAlong) as [Float64Array, ...Float64Array[]]
  const sumAt = (column: number): number => {
    let [sum, rest] = [0, column]
    for (let axis = others.length - 1; axis >= 0; axis--) {
      const squares = others[axis]!
      sum += squares[rest % squares.length]!
      rest = Math.floor(rest / squares.length)
    }
    return sum
  }
  alongFirst(d, placed, ({ at, imag }, { n, lines }, column, room) => {
    kernels.view(Float64Array, room, n).set(first)
    const sums = kernels.view(Float64Array, room + 8 * n, 2 * lines)
    for (let j = 0; j < sums.length; j++) sums[j] = sumAt(column + j)
    const { base, slope, cut } = filter
    kernels.filterLines(at, imag, n, lines, room, room + 8 * n, shape.length, base, slope, cut, 1 / d.length)
  })
}

/** The share of B at a frequency f from 0 to 1 is `base + slope·(f − cut)`, kept from 0 to 1. */
interface Filter {
  readonly base: number
  readonly slope: number
  readonly cut: number
}

/**
 * At a tilt of 0 B has what is above 1 − α, near a tilt of 2 what is below α, and at exactly 2 what is below 1 − α, as in
 * sd-mecha; between them the step becomes a slope, and at a tilt of 1 and 3 the share is α everywhere.
 */
const filterOf = (alpha: number, tilt: number): Filter => {
  const turned = tilt - 4 * Math.floor(tilt / 4)
  const [cos, sin] = pointAt(turned, 4)
  if (Math.abs(sin) < ON_THE_CUT)
    return cos > 0
      ? { base: 0, slope: STEEP, cut: 1 - alpha + ON_THE_CUT }
      : { base: 0, slope: -STEEP, cut: 1 - alpha - ON_THE_CUT }
  const slope = turned > 2 ? -cos / sin : cos / sin
  // The slope goes through α at the frequency where the step is.
  return { base: alpha, slope, cut: turned < 1 || turned > 3 ? 1 - alpha : alpha }
}
