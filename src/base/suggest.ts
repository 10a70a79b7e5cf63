import { distance } from 'fastest-levenshtein'

/**
 * The candidates closest to a name, nearest first, none further than a third of its length (at least 2 edits, and never
 * all of it).
 */
export const nearest = (name: string, candidates: Iterable<string>, most = 3): string[] => {
  // An ending that both have says nothing about which was meant.
  const ending = /(?<=[^./])\.[a-z]\w*$/i.exec(name)?.[0].toLowerCase() ?? ''
  const length = name.length - ending.length
  const limit = Math.min(Math.max(2, Math.floor(length / 3)), length - 1)
  const lower = name.toLowerCase()
  return [...new Set(candidates)]
    .map((candidate) => ({ candidate, edits: distance(lower, candidate.toLowerCase()) }))
    .filter(({ edits }) => edits <= limit)
    .sort((x, y) => x.edits - y.edits || (x.candidate < y.candidate ? -1 : 1))
    .slice(0, most)
    .map(({ candidate }) => candidate)
}
