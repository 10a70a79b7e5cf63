/** True when two shapes are equal, dimension by dimension. */
export const sameShape = (x: readonly number[], y: readonly number[]): boolean =>
  x === y || (x.length === y.length && x.every((d, i) => d === y[i]))
