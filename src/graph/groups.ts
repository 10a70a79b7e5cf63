import type { Measure, Peaks, Tally } from './expression.js'

/** What a measure asks of its numbers, such as their sum or a quantile of them. Enters fingerprints. */
export const statisticOf = (m: Exclude<Measure, Tally | Peaks>): string =>
  `${m.type}:${m.type === 'total' ? m.measure : m.type === 'top' ? m.density : m.q}`

/** Equal for measures that are taken together: those of a group that ask the same. Any other is taken alone. */
export const groupKey = (m: Measure): string =>
  m.type === 'tally' || m.type === 'peaks' || m.over === undefined ? `#${m.id}` : `${statisticOf(m)}:${m.over.group}`

/** Equal for the measures of a group that ask the same of the same numbers, whatever threshold each asks for. */
export const familyKey = (m: Measure): string =>
  `${m.type === 'total' ? `total:${m.measure}` : m.type} ${m.over?.group ?? ''}`
