import { zeroWeightSum } from '../base/catalogue/operators.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { greatest, least } from '../base/lists.js'
import type { Subject } from './definition.js'

/** Sums that are smaller than this share of what they are made of may owe their size to rounding. */
const CANCELLED = 2 ** -40
/** Weights outside of this range leave too little room in float32 for the numbers they are multiplied with. */
const [SMALL, LARGE] = [2 ** -40, 2 ** 40]

/** Whole numbers and the power of ten that they are multiples of, which the texts of some numbers stand for. */
const asDecimals = (numbers: readonly number[]): { readonly digits: readonly bigint[]; readonly exponent: number } => {
  const parts = numbers.map((x) => {
    const [, sign, whole, fraction, exponent] = /^(-?)(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(x.toExponential())!
    return { digits: BigInt(`${sign}${whole}${fraction ?? ''}`), exponent: Number(exponent) - (fraction?.length ?? 0) }
  })
  const exponent = least(parts.map((p) => p.exponent))
  return { digits: parts.map((p) => p.digits * 10n ** BigInt(p.exponent - exponent)), exponent }
}

/**
 * What weights add up to: the sum of the decimal numbers that a person writes, so that 0.1, 0.2 and −0.3 give 0 and 1,
 * 1e-20 and −1 do not.
 */
export const sumWeights = (weights: readonly number[]): number => {
  const [sum, size] = [weights.reduce((x, y) => x + y, 0), weights.reduce((x, y) => x + Math.abs(y), 0)]
  if (Math.abs(sum) >= CANCELLED * size || !Number.isFinite(size)) return sum
  const { digits, exponent } = asDecimals(weights)
  return Number(`${digits.reduce((x, y) => x + y, 0n)}e${exponent}`)
}

/**
 * Weights of which only the proportions count, and their sum: as they are, or all times a power of two that brings very
 * small or large ones near 1.
 */
export const proportionsOf = (
  weights: readonly number[],
): { readonly weights: readonly number[]; readonly sum: number } => {
  const [most, sum] = [greatest(weights.map(Math.abs), 0), sumWeights(weights)]
  if (most === 0 || !Number.isFinite(most) || (most >= SMALL && most <= LARGE)) return { weights, sum }
  // In two steps, since the power for a subnormal number is no number.
  const half = 2 ** Math.round(-Math.log2(most) / 2)
  return { weights: weights.map((w) => w * half * half), sum: sum * half * half }
}

/** Why nothing can be divided by the sum of the weights of a tensor's models. */
export const weightSumProblem = (subject: Subject, sum: number): Diagnostic | undefined =>
  sum === 0 || !Number.isFinite(sum) ? zeroWeightSum(subject.at('models'), subject.name, sum) : undefined
