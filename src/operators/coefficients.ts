/**
 * Vectors as the coefficients of a sum of other vectors, of which only the dot products are known: what methods compute
 * with between two passes over the numbers themselves.
 */

/** A vector as the coefficients of a sum. */
export type Coefficients = readonly number[]

/** `p·a + q·b`. */
export const linearSum = (p: number, a: Coefficients, q: number, b: Coefficients): Coefficients =>
  a.map((x, i) => p * x + q * b[i]!)

/** `Σ wᵢvᵢ` of weighted things that have a vector each, of so many coefficients. */
export const sumVectors = <T extends { readonly weight: number }>(
  size: number,
  members: readonly T[],
  vectorOf: (member: T) => Coefficients,
): Coefficients =>
  members.reduce<Coefficients>(
    (sum, member) => linearSum(1, sum, member.weight, vectorOf(member)),
    Array<number>(size).fill(0),
  )

/** The vector that is the `i`th of `size` alone; none of them for an `i` out of range. */
export const unitVector = (size: number, i: number): Coefficients =>
  Array.from({ length: size }, (_, k) => (k === i ? 1 : 0))

/**
 * Measures sums of vectors by the dot products of all pairs of these, each pair once: of the first with all, of the second with
 * the rest, …
 */
export const normIn = (size: number, dots: readonly number[]): ((a: Coefficients) => number) => {
  let next = 0
  const rows = Array.from({ length: size }, (_, i) => Array.from({ length: size - i }, () => dots[next++]!))
  return (a) => {
    let square = 0
    rows.forEach((row, i) => {
      const x = a[i]!
      if (x === 0) return
      square += x * x * row[0]!
      for (let k = 1; k < row.length; k++) square += 2 * x * a[i + k]! * row[k]!
    })
    // Rounding may take the square of almost nothing below 0.
    return Math.sqrt(Math.max(0, square))
  }
}
