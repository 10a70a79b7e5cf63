/** Whole numbers below `n`, the same in every run. */
export const createDice = (seed: number): ((n: number) => number) => {
  let state = seed
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * n)
  }
}
