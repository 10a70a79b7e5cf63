import { solverKernels } from './matrix.js'
import { pointAt } from './unit-circle.js'

/**
 * Complex lines in the kernels' memory: blocks of n elements, each of `count` numbers, an even number, that are elements of
 * as many lines. Real parts are at `at` and imaginary ones `imag` bytes behind them; `spare` is room for as many numbers, as
 * far apart.
 */
export interface Lines {
  readonly at: number
  readonly imag: number
  readonly spare: number
}

/** Replaces lines by their discrete Fourier transforms, unscaled; gives where they are then. */
export type Transform = (lines: Lines, blocks: number, count: number) => Lines

/** Real and imaginary parts exchanged: the transform of such lines is the inverse of that of the lines. */
export const exchanged = ({ at, imag, spare }: Lines): Lines => ({ at: at + imag, imag: -imag, spare: spare + imag })

/** How lines of a length are transformed: it takes so many `bytes` of the kernels' memory, which are written where it is placed. */
export interface Fourier {
  readonly bytes: number
  readonly place: (at: number) => Transform
}

/** Prime factors up to this are transformed directly, in time proportional to them; a length with a greater one is a convolution. */
const GREATEST_RADIX = 61

/** Radices whose roots the kernels know. */
const KNOWN = [2, 3, 4, 5]

/** The transform of lines of n elements, `most` at a time: by mixed radices (Stockham), or as a convolution (Bluestein). */
export const fourierOf = (n: number, most: number): Fourier => {
  const radices = radicesOf(n)
  return radices === undefined ? byConvolution(n, most) : byRadices(n, radices)
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

/** Writes complex numbers, their real parts and then their imaginary ones. */
const write = (at: number, n: number, numberOf: (k: number) => readonly [re: number, im: number]): void => {
  const values = solverKernels().view(Float64Array, at, 2 * n)
  for (let k = 0; k < n; k++) [values[k], values[n + k]] = numberOf(k)
}

/** The numbers e^(−2πik/n). */
const writeRoots = (at: number, n: number): void =>
  write(at, n, (k) => {
    const [cos, sin] = pointAt(k, n)
    return [cos, -sin]
  })

const byRadices = (n: number, radices: readonly number[]): Fourier => {
  const unknown = radices.filter((radix) => !KNOWN.includes(radix))
  return {
    bytes: unknown.reduce((bytes, radix) => bytes + 16 * radix, 16 * n),
    place: (roots) => {
      const { fourierStep } = solverKernels()
      writeRoots(roots, n)
      const own = new Map<number, number>()
      let next = roots + 16 * n
      for (const radix of unknown) {
        writeRoots(next, radix)
        own.set(radix, next)
        next += 16 * radix
      }
      return ({ at, imag, spare }, blocks, count) => {
        let [from, to, done] = [at, spare, 1]
        for (const radix of radices) {
          // Of what is left of the length, all roots are among those of n.
          fourierStep(radix, from, to, imag, blocks, n * count, done * count, done, roots, n, own.get(radix) ?? 0)
          ;[from, to] = [to, from]
          done *= radix
        }
        return { at: from, imag, spare: to }
      }
    },
  }
}

/** Since 2jk = j² + k² − (k − j)², a transform is a convolution with e^(πi·j²/n), which powers of 2 can compute. */
const byConvolution = (n: number, most: number): Fourier => {
  const length = 2 ** Math.ceil(Math.log2(2 * n - 1))
  const inner = fourierOf(length, most)
  const plane = 8 * length * Math.max(2, most)
  return {
    bytes: inner.bytes + 16 * n + 16 * length + 4 * plane,
    place: (tables) => {
      const kernels = solverKernels()
      const chirp = tables + inner.bytes
      const kernel = chirp + 16 * n
      const own: Lines = { at: kernel + 16 * length, imag: plane, spare: kernel + 16 * length + 2 * plane }
      const transform = inner.place(tables)
      const chirpAt = (j: number): readonly [number, number] => pointAt((j * j) % (2 * n), 2 * n)
      write(chirp, n, (j) => {
        const [cos, sin] = chirpAt(j)
        return [cos, -sin]
      })
      // Two lines of the same numbers.
      const padded = [own.at, own.at + plane].map((at) => kernels.view(Float64Array, at, 2 * length).fill(0))
      for (let j = 0; j < n; j++)
        for (const at of [j, (length - j) % length])
          chirpAt(j).forEach((x, part) => padded[part]!.fill(x / length, 2 * at, 2 * at + 2))
      const found = transform(own, 1, 2)
      const [re, im] = [found.at, found.at + found.imag].map((at) => kernels.view(Float64Array, at, 2 * length))
      write(kernel, length, (k) => [re![2 * k]!, im![2 * k]!])
      const convolve = (at: number, imag: number, count: number): void => {
        for (const part of [own.at, own.at + plane])
          kernels.view(Float64Array, part + 8 * n * count, (length - n) * count).fill(0)
        kernels.multiplyLines(own.at, own.imag, at, imag, n, count, chirp)
        const there = transform(own, 1, count)
        kernels.multiplyLines(there.at, there.imag, there.at, there.imag, length, count, kernel)
        const back = exchanged(transform(exchanged(there), 1, count))
        kernels.multiplyLines(at, imag, back.at, back.imag, n, count, chirp)
      }
      return (lines, blocks, count) => {
        for (let b = 0; b < blocks; b++) convolve(lines.at + 8 * b * n * count, lines.imag, count)
        return lines
      }
    },
  }
}
