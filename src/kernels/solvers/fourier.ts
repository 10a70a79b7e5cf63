import { pointAt } from './unit-circle.js'

/** Complex numbers: their real and imaginary parts. */
export interface Complex {
  readonly re: Float64Array
  readonly im: Float64Array
}

/**
 * Replaces the complex vectors of one length by their discrete Fourier transforms, `count` at a time: element i of vector
 * v is at `i·count + v`. Exchanging real and imaginary parts before and after makes it the inverse, but for a factor of n.
 */
export type Transform = (x: Complex, count: number) => void

/** Prime factors up to this are transformed directly, in time proportional to them; a length with a greater one is a convolution. */
const GREATEST_RADIX = 64

/** The transform of vectors of n elements: by mixed radices (Stockham), or as a convolution (Bluestein). */
export const createTransform = (n: number): Transform => {
  const radices = radicesOf(n)
  return radices === undefined ? byConvolution(n) : byRadices(n, radices)
}

/** Factors that are 4 or prime; undefined if one is too great. */
const radicesOf = (n: number): readonly number[] | undefined => {
  const radices: number[] = []
  let rest = n
  for (let radix = 4; rest > 1; radix = radix === 4 ? 2 : radix === 2 ? 3 : radix + 2) {
    if (radix > GREATEST_RADIX) return undefined
    for (; rest % radix === 0; rest /= radix) radices.push(radix)
  }
  return radices
}

/** Complex zeros. */
export const zeros = (n: number): Complex => ({ re: new Float64Array(n), im: new Float64Array(n) })

/** The numbers e^(−2πik/n). */
const rootsOf = (n: number): Complex => {
  const roots = zeros(n)
  for (let k = 0; k < n; k++) {
    const [cos, sin] = pointAt(k, n)
    roots.re[k] = cos
    roots.im[k] = -sin
  }
  return roots
}

const byRadices = (n: number, radices: readonly number[]): Transform => {
  const roots = rootsOf(n)
  let spare = zeros(0)
  return (x, count) => {
    if (spare.re.length < n * count) spare = zeros(n * count)
    let [from, to, stride] = [x, spare, count]
    for (const radix of radices) {
      const step = radix === 4 ? stepBy4 : radix === 2 ? stepBy2 : stepByOdd
      // Of what is left of the length, all roots are among those of n.
      step(from, to, n * count, stride, stride / count, roots, radix)
      ;[from, to] = [to, from]
      stride *= radix
    }
    if (from === x) return
    x.re.set(from.re.subarray(0, n * count))
    x.im.set(from.im.subarray(0, n * count))
  }
}

/**
 * One step by a radix r: of r elements that are a share of the length apart, the sums weighted by the powers of the r-th
 * root of unity, times a power of a root of what is left of the length, next to each other. `size` numbers in all, of which
 * `stride` after each other are treated alike; `every` picks the roots of what is left from those of the length.
 */
type Step = (
  from: Complex,
  to: Complex,
  size: number,
  stride: number,
  every: number,
  roots: Complex,
  radix: number,
) => void

const stepBy2: Step = ({ re, im }, { re: toRe, im: toIm }, size, stride, every, roots) => {
  const apart = size / 2
  for (let [at, k] = [0, 0]; at < apart; at += stride, k += every) {
    const wr = roots.re[k]!
    const wi = roots.im[k]!
    for (let q = 0; q < stride; q++) {
      const i = at + q
      const out = 2 * at + q
      const ar = re[i]!
      const ai = im[i]!
      const br = re[i + apart]!
      const bi = im[i + apart]!
      toRe[out] = ar + br
      toIm[out] = ai + bi
      toRe[out + stride] = (ar - br) * wr - (ai - bi) * wi
      toIm[out + stride] = (ar - br) * wi + (ai - bi) * wr
    }
  }
}

const stepBy4: Step = ({ re, im }, { re: toRe, im: toIm }, size, stride, every, roots) => {
  const apart = size / 4
  for (let [at, k] = [0, 0]; at < apart; at += stride, k += every) {
    const ur = roots.re[k]!
    const ui = roots.im[k]!
    const vr = roots.re[2 * k]!
    const vi = roots.im[2 * k]!
    const wr = roots.re[3 * k]!
    const wi = roots.im[3 * k]!
    for (let q = 0; q < stride; q++) {
      const i = at + q
      const out = 4 * at + q
      const ar = re[i]!
      const ai = im[i]!
      const br = re[i + apart]!
      const bi = im[i + apart]!
      const cr = re[i + 2 * apart]!
      const ci = im[i + 2 * apart]!
      const dr = re[i + 3 * apart]!
      const di = im[i + 3 * apart]!
      const sr = ar + cr
      const si = ai + ci
      const tr = ar - cr
      const ti = ai - ci
      const xr = br + dr
      const xi = bi + di
      const yr = br - dr
      const yi = bi - di
      toRe[out] = sr + xr
      toIm[out] = si + xi
      const er = tr + yi
      const ei = ti - yr
      const fr = sr - xr
      const fi = si - xi
      toRe[out + stride] = er * ur - ei * ui
      toIm[out + stride] = er * ui + ei * ur
      toRe[out + 2 * stride] = fr * vr - fi * vi
      toIm[out + 2 * stride] = fr * vi + fi * vr
      const gr = tr - yi
      const gi = ti + yr
      toRe[out + 3 * stride] = gr * wr - gi * wi
      toIm[out + 3 * stride] = gr * wi + gi * wr
    }
  }
}

/** Elements that are as far from the first as from the last have conjugate weights: their sums and differences are enough. */
const stepByOdd: Step = ({ re, im }, { re: toRe, im: toIm }, size, stride, every, roots, radix) => {
  const apart = size / radix
  const pairs = (radix - 1) / 2
  const own = rootsOf(radix)
  const sums = zeros(pairs + 1)
  const differences = zeros(pairs + 1)
  const put = (to: number, k: number, xr: number, xi: number): void => {
    const wr = roots.re[k]!
    const wi = roots.im[k]!
    toRe[to] = xr * wr - xi * wi
    toIm[to] = xr * wi + xi * wr
  }
  for (let [at, k] = [0, 0]; at < apart; at += stride, k += every) {
    for (let q = 0; q < stride; q++) {
      const i = at + q
      const out = radix * at + q
      const ar = re[i]!
      const ai = im[i]!
      let allRe = ar
      let allIm = ai
      for (let j = 1; j <= pairs; j++) {
        const x = i + j * apart
        const y = i + (radix - j) * apart
        allRe += sums.re[j] = re[x]! + re[y]!
        allIm += sums.im[j] = im[x]! + im[y]!
        differences.re[j] = re[x]! - re[y]!
        differences.im[j] = im[x]! - im[y]!
      }
      toRe[out] = allRe
      toIm[out] = allIm
      for (let t = 1; t <= pairs; t++) {
        let [cr, ci, sr, si] = [ar, ai, 0, 0]
        for (let j = 1; j <= pairs; j++) {
          const at = (j * t) % radix
          const cos = own.re[at]!
          const sin = own.im[at]!
          cr += cos * sums.re[j]!
          ci += cos * sums.im[j]!
          sr -= sin * differences.im[j]!
          si += sin * differences.re[j]!
        }
        put(out + t * stride, t * k, cr + sr, ci + si)
        put(out + (radix - t) * stride, (radix - t) * k, cr - sr, ci - si)
      }
    }
  }
}

/** Since 2jk = j² + k² − (k − j)², a transform is a convolution with e^(πi·j²/n), which powers of 2 can compute. */
const byConvolution = (n: number): Transform => {
  const length = 2 ** Math.ceil(Math.log2(2 * n - 1))
  const transform = createTransform(length)
  const [chirp, kernel] = [zeros(n), zeros(length)]
  for (let j = 0; j < n; j++) {
    const [cos, sin] = pointAt((j * j) % (2 * n), 2 * n)
    chirp.re[j] = cos
    chirp.im[j] = -sin
    for (const at of [j, (length - j) % length]) {
      kernel.re[at] = cos / length
      kernel.im[at] = sin / length
    }
  }
  transform(kernel, 1)
  let padded = zeros(0)
  return ({ re, im }, count) => {
    if (padded.re.length < length * count) padded = zeros(length * count)
    padded.re.fill(0, n * count)
    padded.im.fill(0, n * count)
    multiplyInto(padded, { re, im }, chirp, n, count)
    transform(padded, count)
    multiplyInto(padded, padded, kernel, length, count)
    // The inverse: parts are exchanged.
    transform({ re: padded.im, im: padded.re }, count)
    multiplyInto({ re, im }, padded, chirp, n, count)
  }
}

/** Multiplies element i of each vector by number i. */
const multiplyInto = (to: Complex, { re, im }: Complex, by: Complex, n: number, count: number): void => {
  for (let i = 0; i < n; i++) {
    const wr = by.re[i]!
    const wi = by.im[i]!
    for (let at = i * count; at < (i + 1) * count; at++) {
      const xr = re[at]!
      const xi = im[at]!
      to.re[at] = xr * wr - xi * wi
      to.im[at] = xr * wi + xi * wr
    }
  }
}
