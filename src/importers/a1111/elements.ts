import { a1111Lacks, a1111Says } from '../../base/catalogue/import-a1111.js'
import type { Yaml } from '../../document/write.js'
import { findRoot } from '../../tensor/roots.js'
import { selectLayers } from '../../tensor/pattern.js'
import { oneMinus } from '../numbers.js'
import { BLOCKS, blockPatterns, FOLLOWERS } from './blocks.js'

/** One entry of elemental merge. */
export interface Elemental {
  readonly patterns: readonly string[]
  readonly ratio: number
  /** What its reader should know, if anything. */
  readonly note?: string
}

/** Words of a text between single spaces: to supermerger two spaces make an empty word, which every name contains. */
const wordsOf = (text: string): { readonly isNot: boolean; readonly words: readonly string[] } => {
  const words = text.split(' ')
  return words[0] === 'NOT' ? { isNot: true, words: words.slice(1) } : { isNot: false, words }
}

/** The blocks that a word names: `IN00-IN04`, or every block whose name contains it. */
const blocksOf = (word: string): readonly string[] => {
  if (!word.includes('-')) return BLOCKS.filter((block) => block.includes(word))
  const [from, to] = word.split('-').map((w) => BLOCKS.indexOf(w))
  return from === undefined || to === undefined || from === -1 || to === -1
    ? []
    : BLOCKS.slice(Math.min(from, to), Math.max(from, to) + 1)
}

/** The blocks of an entry; all where it names none. */
const readBlocks = (text: string): readonly string[] | { readonly why: string } => {
  const { isNot, words } = wordsOf(text.replace(/^ +/, ''))
  const unknown = words.find((word) => blocksOf(word).length === 0)
  if (unknown !== undefined) return { why: a1111Lacks.block(unknown) }
  const found = new Set(words.flatMap(blocksOf))
  return BLOCKS.filter((block) => found.has(block) !== isNot)
}

/** Reads an entry `BLOCKS:ELEMENTS:RATIO`; undefined for what supermerger passes over. */
export const readElemental = (
  entry: string,
  followers = FOLLOWERS,
): Elemental | { readonly why: string } | undefined => {
  const [blocks, elements, ratio, ...rest] = entry.split(':')
  if (ratio === undefined || rest.length > 0) return undefined
  const number = Number(ratio)
  if (ratio.trim() === '' || !Number.isFinite(number)) return { why: a1111Lacks.elemental }
  const found = readBlocks(blocks!)
  if ('why' in found) return found
  const { isNot, words } = wordsOf(elements!)
  const isEverything = words.includes('') || words.length === 0
  if (isNot && !isEverything) return { why: a1111Lacks.elements }
  // After NOT, the empty word leaves nothing.
  const patterns = isNot
    ? words.length === 0
      ? blockPatterns(found, '', followers)
      : []
    : [...new Set((isEverything ? [''] : words).flatMap((word) => blockPatterns(found, word, followers)))]
  const hasBlank =
    (blocks!.trim() !== '' && / {2}| $/.test(blocks!.trimStart())) || (elements !== '' && words.includes(''))
  return { patterns, ratio: number, ...(hasBlank ? { note: a1111Says.blank } : {}) }
}

/** Tells which patterns select something; all where the names of the tensors are not known. */
export const selecting =
  (names: readonly string[] | undefined): ((pattern: string) => boolean) =>
  (pattern) => {
    if (names === undefined) return true
    const found = selectLayers([{ text: pattern, optional: true }], names, { diffusionPrefix: findRoot(names) })
    return found.type === 'ok' && found.value.size > 0
  }

/** Numbers per layer with the entries of elemental merge behind them, each as 1 − ratio or as it is. */
export const withElemental = (base: Yaml, entries: readonly Elemental[], share: boolean): Yaml => {
  if (entries.every(({ patterns }) => patterns.length === 0)) return base
  const rules = new Map<string, Yaml>(
    typeof base === 'number'
      ? [['default', base]]
      : base instanceof Map
        ? [...(base as ReadonlyMap<string, Yaml>)]
        : (Object.entries(base as object) as [string, Yaml][]),
  )
  for (const { patterns, ratio } of entries)
    for (const pattern of patterns) {
      // A pattern that comes again has its place at the end.
      rules.delete(pattern)
      rules.set(pattern, share ? oneMinus(ratio) : ratio)
    }
  return rules
}
