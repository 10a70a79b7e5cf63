import type { RangeProblem } from '../base/catalogue/settings.js'

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/

/** How far beyond a whole number of steps the end may be, in steps: what float64 makes of decimals. */
const ROUNDING = 1e-9

/** The most decimals that `toFixed` gives. */
const MOST_DECIMALS = 100

/** How many decimals a number is written with: 2 for `0.05`, 3 for `1e-3`. */
const decimalsOf = (text: string): number => {
  const [mantissa = '', exponent = '0'] = text.toLowerCase().split('e')
  return Math.max(0, (mantissa.split('.')[1] ?? '').length - Number(exponent))
}

/** The values of a range as texts, or why it has none. */
export type RangeValues =
  | { readonly type: 'values'; readonly values: readonly string[] }
  | { readonly type: 'problem'; readonly problem: RangeProblem }

/**
 * The numbers of `start:end:step`, both ends included, with no more decimals than the range is written with:
 * `0:1:0.1` has 0.3 and not 0.30000000000000004. A range of more than `most` numbers is a problem.
 */
export const expandRange = (text: string, most: number): RangeValues => {
  const parts = text.split(':').map((part) => part.trim())
  const problem = (found: RangeProblem): RangeValues => ({ type: 'problem', problem: found })
  if (parts.length !== 3 || !parts.every((part) => NUMBER.test(part))) return problem({ type: 'form' })
  const [start, end, step] = parts.map(Number) as [number, number, number]
  const steps = (end - start) / step
  if (!Number.isFinite(steps) || steps < 0) return problem({ type: 'step' })
  const count = Math.floor(steps + ROUNDING) + 1
  if (count > most) return problem({ type: 'many', count, most })
  const decimals = Math.min(MOST_DECIMALS, Math.max(decimalsOf(parts[0]!), decimalsOf(parts[2]!)))
  // Adding 0 turns -0 into 0.
  const valueAt = (i: number): string => String(Number((start + i * step).toFixed(decimals)) + 0)
  return { type: 'values', values: Array.from({ length: count }, (_, i) => valueAt(i)) }
}
