/** Places from `from` up to `to`, or all the others. */
export interface Region {
  readonly from: number
  readonly to: number
  readonly inside: boolean
}

/** To the nearest whole number, halves to the even one. */
const roundEven = (x: number): number => (Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x))

/** A region of `width` that begins at `offset`, both as shares of `n` places, and goes on at the start where it ends. */
export const regionOf = (width: number, offset: number, n: number): Region => {
  const [share, moved] = [Math.abs(width), offset + Math.min(width, 0)]
  const start = (moved < 0 ? 1 + moved - Math.trunc(moved) : moved) % 1
  const [from, to, inside] = share + start <= 1 ? [start, share + start, true] : [share + start - 1, start, false]
  return { from: roundEven(from * n), to: roundEven(to * n), inside }
}
