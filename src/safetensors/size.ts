import * as problems from '../base/catalogue/safetensors.js'
import type { Place } from '../base/diagnostic.js'
import { failed, ok } from '../base/result.js'
import type { Result } from '../base/result.js'

const SIZE = /^(\d+(?:\.\d+)?)\s*(?:([kmgt]i?)?b)?$/i
/** Numbers below it are no bytes that anyone means, but GB of which the unit is missing. */
const LEAST_BARE = 1000

/**
 * A number of bytes written as `5GB`, `1.5 GB`, `512MiB` or `4096`: kB, MB, GB and TB are powers of 1000, KiB and its
 * like of 1024; at least 1, and without a unit at least 1000.
 */
export const parseSize = (text: string, at?: Place): Result<number> => {
  const [, digits, unit = ''] = SIZE.exec(text.trim()) ?? []
  const power = 'kmgt'.indexOf(unit.charAt(0).toLowerCase()) + 1
  const base = unit.length === 2 ? 1024 : 1000
  if (/^\d+(\.\d+)?$/.test(text.trim()) && Number(text) > 0 && Number(text) < LEAST_BARE)
    return failed(problems.sizeWithoutUnit(text.trim(), at))
  const bytes = Math.floor(Number(digits) * base ** (unit === '' ? 0 : power))
  return Number.isSafeInteger(bytes) && bytes > 0 ? ok(bytes) : failed(problems.sizeNotUnderstood(text, at))
}
