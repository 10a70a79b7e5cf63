const SIN = [1, -1 / 6, 1 / 120, -1 / 5040, 1 / 362880, -1 / 39916800, 1 / 6227020800, -1 / 1307674368000]
const COS = [1, -1 / 2, 1 / 24, -1 / 720, 1 / 40320, -1 / 3628800, 1 / 479001600, -1 / 87178291200, 1 / 20922789888000]

const series = (coefficients: readonly number[], square: number): number =>
  coefficients.reduceRight((sum, coefficient) => sum * square + coefficient, 0)

/**
 * The cosine and sine of k/n of a full turn, to the last bit or two of float64: by power series up to an eighth of a turn,
 * as the bits of the library's functions differ between machines.
 */
export const pointAt = (k: number, n: number): readonly [cos: number, sin: number] => {
  const within = k - n * Math.floor(k / n)
  const eighth = Math.floor((8 * within) / n)
  const rest = (8 * within - eighth * n) / (8 * n)
  const angle = 2 * Math.PI * (eighth % 2 === 0 ? rest : 1 / 8 - rest)
  const [cos, sin] = [series(COS, angle * angle), angle * series(SIN, angle * angle)]
  const [x, y] = eighth % 4 === 0 || eighth % 4 === 3 ? [cos, sin] : [sin, cos]
  return [eighth % 8 >= 2 && eighth % 8 < 6 ? -x : x, eighth % 8 >= 4 ? -y : y]
}
