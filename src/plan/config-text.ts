import type { MapValue, Value } from '../document/value.js'

/** A place of a text that gets another text. */
export interface Edit {
  readonly start: number
  readonly end: number
  readonly text: string
}

const LANGUAGE_SECTIONS = ['text_config', 'llm_config', 'language_config'] as const

/** Another value in the place of one. */
export const replace = ({ range }: Value, value: unknown): Edit => ({
  start: range.start,
  end: range.end,
  text: JSON.stringify(value),
})

/** Puts a key in front of the others of a map. */
export const insert = ({ range, entries }: MapValue, key: string, value: unknown): Edit => ({
  start: range.start + 1,
  end: range.start + 1,
  text: `\n  ${JSON.stringify(key)}: ${JSON.stringify(value)}${entries.size === 0 ? '\n' : ','}`,
})

/** Takes a key out of a map, with the comma behind it or else the one before. */
export const remove = (map: MapValue, key: string, text: string): readonly Edit[] => {
  const found = map.entries.get(key)
  if (found === undefined) return []
  const [behind] = /^\s*,/.exec(text.slice(found.value.range.end)) ?? []
  const before = behind === undefined ? (/,\s*$/.exec(text.slice(0, found.key.start))?.[0].length ?? 0) : 0
  return [{ start: found.key.start - before, end: found.value.range.end + (behind?.length ?? 0), text: '' }]
}

/** A map and those inside it that a config of several networks has for its language model. */
export const sectionsOf = (root: MapValue): readonly MapValue[] => [
  root,
  ...LANGUAGE_SECTIONS.flatMap((key) => {
    const value = root.entries.get(key)?.value
    return value?.type === 'map' ? [value] : []
  }),
]

/** A value that is neither a map nor a list; undefined for those. */
export const toScalar = (value: Value | undefined): unknown =>
  value === undefined || value.type === 'map' || value.type === 'list' ? undefined : value.value
