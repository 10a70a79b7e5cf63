import type { Alias } from './definition.js'

/** Where a name comes from that belongs to no tool. */
export const COMMON = 'common usage'

/** Several names of one tool for the same settings. */
export const named = (from: string, names: readonly string[], settings?: string): readonly Alias[] =>
  names.map((name) => ({ name, from, ...(settings === undefined ? {} : { settings }) }))

/** A name as names are compared, without case and punctuation: `Sum Twice`, `sum_twice` and `sumTwice` are the same. */
export const foldName = (name: string): string => name.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, '')

/** The part of an operator's id behind its family: `ties` of `merge.ties`. */
export const shortName = (id: string): string => id.slice(id.indexOf('.') + 1)

/** Names that stand for the same settings of the same tool. */
export interface AliasGroup extends Omit<Alias, 'name'> {
  readonly names: readonly string[]
}

/** Aliases by tool and settings, in order of the first of each. */
export const groupAliases = (aliases: readonly Alias[]): readonly AliasGroup[] => {
  const groups = new Map<string, AliasGroup>()
  for (const { name, ...group } of aliases) {
    const key = JSON.stringify([group.from, group.settings])
    groups.set(key, { ...group, names: [...(groups.get(key)?.names ?? []), name] })
  }
  return [...groups.values()]
}
