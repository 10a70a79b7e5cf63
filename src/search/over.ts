import { overBeyond, overMalformed, overNotNumber, overTwice } from '../base/catalogue/search.js'
import { unknownOverride } from '../base/catalogue/recipe.js'
import { paramExpects } from '../base/catalogue/parts.js'
import { failed, ok, type Result } from '../base/result.js'
import { isAllowed, type Declarations } from '../recipe/params.js'

/** A param that is searched, and the numbers that it may have. */
export interface Dimension {
  readonly name: string
  readonly low: number
  readonly high: number
  /** Its value in the recipe, or the end of the range that is next to it. */
  readonly start: number
}

const OVER = /^([A-Za-z][\w-]*)=([^:]+):([^:]+)$/

const numberOf = (text: string): number => (text.trim() === '' ? NaN : Number(text))

/** Reads `--over name=low:high`s of the params that a recipe declares. */
export const readOver = (texts: readonly string[], declarations: Declarations): Result<readonly Dimension[]> => {
  const read = texts.map((text): Result<Dimension> => {
    const [, name = '', from = '', to = ''] = OVER.exec(text) ?? []
    const [low, high] = [numberOf(from), numberOf(to)]
    if (!Number.isFinite(low) || !Number.isFinite(high)) return failed(overMalformed(text, false))
    if (low >= high) return failed(overMalformed(text, true))
    const declared = declarations.get(name)
    if (declared === undefined) return failed(unknownOverride(name, [...declarations.keys()]))
    const { expected, default: start } = declared
    if (expected.type !== 'number' || typeof start !== 'number') return failed(overNotNumber(name))
    if (!isAllowed(expected, low) || !isAllowed(expected, high)) return failed(overBeyond(text, paramExpects(expected)))
    return ok({ name, low, high, start: Math.min(high, Math.max(low, start)) })
  })
  const names = texts.map((text) => text.split('=')[0]!)
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  const problems = [...read.flatMap((r) => r.diagnostics), ...(twice === undefined ? [] : [overTwice(twice)])]
  return problems.length > 0 ? failed(...problems) : ok(read.flatMap((r) => (r.type === 'ok' ? [r.value] : [])))
}

/** Steps that a range is divided into at least: as fine as a setting is worth writing down. */
const STEPS = 2000

/** The value at a place of the unit interval, with as few decimals as tell {@link STEPS} of them apart. */
export const valueAt = ({ low, high }: Dimension, place: number): number => {
  let decimals = 0
  for (let step = 1; step > (high - low) / STEPS && decimals < 15; step /= 10) decimals += 1
  const value = Number((low + place * (high - low)).toFixed(decimals)) + 0
  return Math.min(high, Math.max(low, value))
}

/** The place of a value in the unit interval. */
export const placeOf = ({ low, high }: Dimension, value: number): number => (value - low) / (high - low)
