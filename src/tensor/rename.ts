import * as say from '../base/catalogue/rename.js'
import type { Diagnostic, Place } from '../base/diagnostic.js'
import { least } from '../base/lists.js'
import { failed, ok, type Result } from '../base/result.js'
import { compileCapture, type Capture, type Captured } from './capture.js'
import { expandPattern } from './glob.js'
import { SCHEMES, suggestNames, type LayerPattern } from './pattern.js'

/**
 * A rule for new names: what the pattern matches of a name becomes `to`, in which `$1` is what its first wildcard
 * matched; what lies below stays.
 */
export interface RenameRule {
  readonly pattern: LayerPattern
  readonly to: string
  readonly at?: Place
}

/** A rule whose pattern is compiled. */
interface Compiled {
  readonly rule: RenameRule
  readonly alternatives: readonly (readonly string[])[]
  readonly captures: readonly Capture[]
  /** The segments of the new name. */
  readonly to: readonly string[]
}

/** `$1` and the like. */
const REFERENCE = /\$(\d+)/g

const compile = (rule: RenameRule): Result<Compiled> => {
  const { pattern, to, at } = rule
  if (pattern.text.startsWith('!') && !pattern.text.startsWith('!('))
    return failed(say.negatedRename(pattern.text, pattern.at))
  const scheme = SCHEMES.find((s) => pattern.text.startsWith(`${s}:`))
  if (scheme !== undefined) return failed(say.renameByPart(pattern.text, scheme, pattern.at))
  const expanded = expandPattern(pattern.text, pattern.at)
  if (expanded.type === 'failed') return expanded
  const captures = expanded.value.map(compileCapture)
  const wildcards = least(captures.map((c) => c.wildcards))
  const unknown = [...to.matchAll(REFERENCE)].find(([, n]) => Number(n) < 1 || Number(n) > wildcards)
  if (unknown !== undefined) return failed(say.unknownCapture(unknown[0], pattern.text, wildcards, at))
  return ok({ rule, alternatives: expanded.value, captures, to: to === '' ? [] : to.split('.') })
}

/** The new name's segments: one that is a reference alone becomes all segments that its wildcard matched. */
const fill = (to: readonly string[], { captures }: Captured): readonly string[] =>
  to.flatMap((segment) => {
    const [, whole] = /^\$(\d+)$/.exec(segment) ?? []
    return whole === undefined
      ? [segment.replace(REFERENCE, (_, n: string) => captures[Number(n) - 1]!.join('.'))]
      : captures[Number(whole) - 1]!
  })

/** What a rule makes of a name; undefined where it does not match. */
const apply = ({ captures, to }: Compiled, name: string): readonly string[] | undefined => {
  const path = name.split('.')
  for (const { match } of captures) {
    const found = match(path)
    if (found !== undefined) return [...fill(to, found), ...path.slice(found.below)]
  }
  return undefined
}

/** A tensor on its way to its last name, and the place of the rule that changed it last. */
interface Renaming {
  readonly old: string
  readonly name: string
  readonly by: RenameRule | undefined
}

const applyToAll = (rule: RenameRule, all: readonly Renaming[]): Result<readonly Renaming[]> => {
  const compiled = compile(rule)
  if (compiled.type === 'failed') return compiled
  let matched = 0
  const problems: Diagnostic[] = []
  const renamed = all.map((own): Renaming => {
    const path = apply(compiled.value, own.name)
    if (path === undefined) return own
    matched++
    const name = path.join('.')
    if (path.length === 0 || path.includes('')) problems.push(say.badNewName(own.name, name, rule.at))
    return name === own.name ? own : { ...own, name, by: rule }
  })
  if (problems.length > 0) return failed(problems[0]!)
  if (matched > 0 || rule.pattern.optional === true) return ok(renamed)
  const { text, at } = rule.pattern
  const names = all.map(({ name }) => name)
  const { suggestion, tops } = suggestNames(text, compiled.value.alternatives, names)
  return failed(say.renamesNothing(text, findDeeper(text, names) ?? suggestion, tops, at))
}

/** For a pattern that matches no name from its beginning: where the first one is that it matches further in. */
const findDeeper = (text: string, names: readonly string[]): string | undefined => {
  const deeper = compile({ pattern: { text: `**.${text}` }, to: '$1' })
  if (deeper.type === 'failed') return undefined
  const above = names
    .map((name) => deeper.value.captures[0]!.match(name.split('.'))?.captures[0])
    .find((x) => x !== undefined)
  return above === undefined ? undefined : say.deeper(`${above.join('.')}.${text}`)
}

/** Two tensors with one new name. */
const findCollision = (all: readonly Renaming[]): Diagnostic | undefined => {
  const taken = new Map<string, Renaming>()
  for (const own of all) {
    const other = taken.get(own.name)
    if (other !== undefined) return say.renamedAlike(own.name, other.old, own.old, (own.by ?? other.by)?.at)
    taken.set(own.name, own)
  }
  return undefined
}

/**
 * The new names of tensors, parallel to the old ones. Rules are applied in order, each to the names as those before it
 * left them. A rule that matches no name, a name that becomes empty and two tensors of one name are errors.
 */
export const renameTensors = (rules: readonly RenameRule[], names: readonly string[]): Result<readonly string[]> => {
  let all: readonly Renaming[] = names.map((name) => ({ old: name, name, by: undefined }))
  for (const rule of rules) {
    const renamed = applyToAll(rule, all)
    if (renamed.type === 'failed') return renamed
    all = renamed.value
  }
  const collision = findCollision(all)
  return collision === undefined ? ok(all.map(({ name }) => name)) : failed(collision)
}

/** A function that gives names the rules' new ones, for names that need not be among a model's: those of scales. */
export const renamer = (rules: readonly RenameRule[]): ((name: string) => string) => {
  const compiled = rules.flatMap((rule) => {
    const own = compile(rule)
    return own.type === 'ok' ? [own.value] : []
  })
  return (name) => compiled.reduce((n, rule) => apply(rule, n)?.join('.') ?? n, name)
}
