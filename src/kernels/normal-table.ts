/** Segments per octave of the tail probability; the kernel and its twin cut the same way. */
const PIECES = 32
const OCTAVES = 31
const ORDER = 12

// Where the walk starts: z(2^-32) and its slope per segment, -sqrt(2 pi) exp(z^2 / 2) / 2^37.
// A test checks both: the walk has to arrive at z(1/2) = 0.
const START = { value: 6.230260137989043, slope: -0.0048955117940788695 }

/**
 * Taylor coefficients of z(t), from z' = g and g' = z g^2: the law of the inverse normal distribution in any linear
 * scale of probability.
 */
const expand = (value: number, slope: number): readonly number[] => {
  const z = [value]
  const g = [slope]
  const square: number[] = []
  for (let k = 0; k < ORDER; k++) {
    square.push(convolve(g, g, k))
    z.push(g[k]! / (k + 1))
    g.push(convolve(z, square, k) / (k + 1))
  }
  return z
}

const convolve = (a: readonly number[], b: readonly number[], k: number): number => {
  let sum = 0
  for (let i = 0; i <= k; i++) sum += a[i]! * b[k - i]!
  return sum
}

/** The value and the slope half a segment further. */
const step = (series: readonly number[]): { value: number; slope: number } => {
  let value = 0
  let slope = 0
  for (let k = ORDER; k >= 0; k--) {
    slope = slope * 0.5 + value
    value = value * 0.5 + series[k]!
  }
  return { value, slope }
}

/**
 * The best cubic on [-1/2, 1/2]: the fourth and fifth powers replaced by what their Chebyshev polynomials leave of
 * them.
 */
const toCubic = (series: readonly number[]): readonly number[] => {
  const [c0, c1, c2, c3, c4, c5] = series as readonly [number, number, number, number, number, number]
  return [c0 - c4 / 128, c1 - (c5 * 5) / 256, c2 + c4 / 4, c3 + (c5 * 5) / 16]
}

/**
 * The walk from the far tail to the middle: the table, and where it arrived (0 and -sqrt(2 pi) / 64, but for rounding).
 */
export const walkNormal = (): {
  readonly table: Float32Array
  readonly end: { readonly value: number; readonly slope: number }
} => {
  // One segment more than is walked: its zeros are the value of a probability that rounds to 1/2.
  const table = new Float32Array(NORMAL_TABLE_LENGTH)
  let edge = START
  for (let segment = 0; segment < OCTAVES * PIECES; segment++) {
    const middle = step(expand(edge.value, edge.slope))
    const series = expand(middle.value, middle.slope)
    table.set(toCubic(series), 4 * segment)
    edge = step(series)
    if ((segment + 1) % PIECES === 0) edge = { value: edge.value, slope: edge.slope * 2 }
  }
  return { table, end: edge }
}

/** Float32 numbers in the table: four for each segment, and for the one after the last. */
export const NORMAL_TABLE_LENGTH = 4 * (OCTAVES * PIECES + 1)

let known: Float32Array | undefined

/**
 * Four float32 per segment, lowest power first: the upper-tail inverse of the normal distribution over w in [1, 2^31],
 * q = w / 2^32,
 * each octave cut into 32 segments, each with t in [-1/2, 1/2) around its middle. Made with + - * / alone, so it is the
 * same everywhere, and made when it is first needed, since few builds draw normal numbers.
 */
export const normalTable = (): Float32Array => (known ??= walkNormal().table)
