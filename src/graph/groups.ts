import type { Mask, Measure } from './expression.js'

const topText = ({ density, equal }: Extract<Mask, { type: 'top' }>): string =>
  equal === 'first' ? String(density) : `${density}:${equal}`

/** The statistic that a measure computes, such as a sum or a quantile. Part of fingerprints. */
export const statisticOf = (m: Exclude<Measure, { type: 'tally' | 'block-totals' | 'solve' }>): string =>
  `${m.type}:${m.type === 'total' ? m.measure : m.type === 'top' ? topText(m) : m.q}`

/**
 * Equal for measures that are computed together: those of a group with the same statistic. Any other has a key of its
 * own.
 */
export const groupKey = (m: Measure): string =>
  m.type === 'tally' || m.type === 'block-totals' || m.type === 'solve' || m.over === undefined
    ? `#${m.id}`
    : `${statisticOf(m)}:${m.over.group}`

/** Equal for the measures of a group that compute the same statistic of the same numbers, whatever their thresholds. */
export const familyKey = (m: Measure): string =>
  `${m.type === 'total' ? `total:${m.measure}` : m.type} ${m.over?.group ?? ''}`
