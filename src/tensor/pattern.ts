import {
  emptyPattern,
  patternNeedsArchitecture,
  patternSelectsNothing,
  partNamed,
  unknownPart,
} from '../base/catalogue/tensor.js'
import type { Diagnostic, Place } from '../base/diagnostic.js'
import { append } from '../base/lists.js'
import { failed, ok, type Result } from '../base/result.js'
import { didYouMean } from '../base/catalogue/did-you-mean.js'
import { nearest } from '../base/suggest.js'
import { under, withoutRoot } from './roots.js'
import { compileGlob, expandPattern, isLiteral, matchesGlob } from './glob.js'

/**
 * One entry of a `layers` list or one left side of a per-layer rule, as written. `optional` allows it to select
 * nothing.
 */
export interface LayerPattern {
  readonly text: string
  readonly optional?: boolean
  readonly at?: Place
}

/** The ways to select by what a tensor is rather than by its name: `block:in.4`, `group:attn`, `component:unet`. */
export const SCHEMES = ['block', 'group', 'component'] as const

/** One of {@link SCHEMES}. */
export type Scheme = (typeof SCHEMES)[number]

/** What patterns can use of the model they select from; an empty record is a model of unknown architecture. */
export interface PatternContext {
  /** The architecture's title, for messages. */
  readonly architecture?: string
  /**
   * The dotted path that the diffusion model hangs under, without glob characters; empty for a file that holds nothing
   * else.
   */
  readonly diffusionPrefix?: string
  /** What the names of a model of unknown architecture look like, for messages. */
  readonly seen?: () => string
  /**
   * For each scheme the ids of this model, in their order, and the tensors of each. Absent: such patterns are refused.
   */
  readonly parts?: Readonly<Record<Scheme, ReadonlyMap<string, readonly string[]>>>
}

/** Per-layer values as written in place. Later rules win over earlier ones, and every rule over the default. */
export interface PerLayerRules<T> {
  readonly default?: T
  readonly rules: readonly { readonly pattern: LayerPattern; readonly value: T }[]
}

/**
 * The tensors that a list of patterns selects, in the order of `tensors`. The list is read in order; `!pattern` takes
 * away, and
 * a list that begins with one begins with everything. A leading `!(` is an extended glob.
 * A pattern that hits no tensor at all is a problem unless it is optional.
 */
export const selectLayers = (
  patterns: readonly LayerPattern[],
  tensors: readonly string[],
  context: PatternContext,
): Result<ReadonlySet<string>> => {
  const names = indexNames(tensors)
  const first = patterns[0]
  const chosen = tensors.map(() => first !== undefined && takesAway(first.text))
  const problems: Diagnostic[] = []
  for (const pattern of patterns) {
    const hits = findHits(pattern, names, context)
    if (hits.type === 'failed') append(problems, hits.diagnostics)
    else for (const index of hits.value) chosen[index] = !takesAway(pattern.text)
  }
  return problems.length > 0 ? failed(...problems) : ok(new Set(tensors.filter((_, index) => chosen[index])))
}

/**
 * The value of each tensor, in the order of `tensors`; a tensor that no rule matches is absent if there is no default.
 * A left side `!pattern` is everything that the pattern does not match.
 */
export const resolvePerLayer = <T>(
  rules: PerLayerRules<T>,
  tensors: readonly string[],
  context: PatternContext,
): Result<ReadonlyMap<string, T>> => {
  const names = indexNames(tensors)
  const values: (T | undefined)[] = tensors.map(() => rules.default)
  const problems: Diagnostic[] = []
  for (const { pattern, value } of rules.rules) {
    const hits = findHits(pattern, names, context, true)
    if (hits.type === 'failed') append(problems, hits.diagnostics)
    else if (takesAway(pattern.text)) complement(hits.value, tensors.length).forEach((index) => (values[index] = value))
    else hits.value.forEach((index) => (values[index] = value))
  }
  if (problems.length > 0) return failed(...problems)
  const found = new Map<string, T>()
  for (const [index, value] of values.entries()) if (value !== undefined) found.set(tensors[index]!, value)
  return ok(found)
}

interface IndexedNames {
  /** The segments of each name. */
  readonly paths: readonly (readonly string[])[]
  /** The place of each name in the list. */
  readonly places: ReadonlyMap<string, number>
}

const indexed = new WeakMap<readonly string[], IndexedNames>()

/** Takes names apart; a list that many rules are applied to only once. */
const indexNames = (names: readonly string[]): IndexedNames => {
  const known = indexed.get(names) ?? {
    paths: splitAll(names),
    places: new Map(names.map((name, place) => [name, place])),
  }
  indexed.set(names, known)
  return known
}

const splitAll = (names: readonly string[]): Alternatives => names.map((name) => name.split('.'))

const takesAway = (text: string): boolean => text.startsWith('!') && !text.startsWith('!(')

const complement = (hits: readonly number[], length: number): readonly number[] => {
  const hit = new Set(hits)
  return Array.from({ length }, (_, index) => index).filter((index) => !hit.has(index))
}

/** Indices of the tensors that a pattern matches, whether it adds them or takes them away. */
const findHits = (
  pattern: LayerPattern,
  names: IndexedNames,
  context: PatternContext,
  isRule = false,
): Result<readonly number[]> => {
  const { at } = pattern
  const text = takesAway(pattern.text) ? pattern.text.slice(1) : pattern.text
  if (text === '') return failed(emptyPattern(pattern.text, at))
  const scheme = SCHEMES.find((s) => text.startsWith(`${s}:`))
  if (scheme !== undefined) return findPart(pattern, scheme, text.slice(scheme.length + 1), names, context, isRule)
  const expanded = expandPattern(text, at)
  if (expanded.type === 'failed') return expanded
  const hits = matchPaths(expanded.value, names.paths, context.diffusionPrefix)
  if (hits.length > 0 || pattern.optional === true) return ok(hits)
  return failed(
    patternSelectsNothing(pattern.text, suggest(text, expanded.value, names, context), topsOf(names), isRule, at),
  )
}

const findPart = (
  { text: whole, optional, at }: LayerPattern,
  scheme: Scheme,
  id: string,
  names: IndexedNames,
  context: PatternContext,
  isRule: boolean,
): Result<readonly number[]> => {
  if (context.parts === undefined) return failed(patternNeedsArchitecture(whole, scheme, context.seen?.() ?? '', at))
  if (id === '') return failed(emptyPattern(whole, at))
  const part = context.parts[scheme]
  const ids = [...part.keys()]
  const expanded = expandPattern(id, at)
  if (expanded.type === 'failed') return expanded
  const found = matchPaths(expanded.value, splitAll(ids))
  const hits: number[] = []
  for (const index of found)
    for (const name of part.get(ids[index]!) ?? []) {
      const place = names.places.get(name)
      if (place !== undefined) hits.push(place)
    }
  if (hits.length > 0 || optional === true) return ok(hits)
  if (found.length > 0) return failed(patternSelectsNothing(whole, undefined, topsOf(names), isRule, at))
  return failed(
    unknownPart(scheme, id, context.architecture ?? 'this model', ids, otherName(id, ids) ?? didYouMean(id, ids), at),
  )
}

/** Other usual names of components; if a model has several of one, the first. */
const OTHER_NAMES: Readonly<Record<string, readonly string[]>> = {
  cond: ['clip'],
  conditioner: ['clip'],
  te: ['clip'],
  text_encoder: ['clip'],
  text_encoders: ['clip'],
  textencoder: ['clip'],
  te1: ['clip_l'],
  te2: ['clip_g'],
  te3: ['t5'],
  text_encoder_2: ['clip_g', 't5'],
  text_encoder_3: ['t5'],
  denoiser: ['diffusion'],
  diffusion_model: ['diffusion'],
  dit: ['transformer'],
  mmdit: ['transformer'],
  transformer: ['unet'],
  unet: ['transformer'],
  autoencoder: ['vae'],
  first_stage: ['vae'],
  first_stage_model: ['vae'],
  llm: ['transformer'],
}

const otherName = (id: string, known: readonly string[]): string | undefined => {
  const own = (Object.hasOwn(OTHER_NAMES, id.toLowerCase()) ? OTHER_NAMES[id.toLowerCase()]! : []).find((name) =>
    known.includes(name),
  )
  return own === undefined ? undefined : partNamed('component', id, own, known)
}

/** A pattern without braces for each thing that its braces may stand for, as segments. */
type Alternatives = readonly (readonly string[])[]

const matchPaths = (alternatives: Alternatives, paths: Alternatives, diffusionPrefix?: string): readonly number[] => {
  const globs = alternatives.map(compileGlob)
  const hits: number[] = []
  for (const [index, path] of paths.entries()) if (globs.some((glob) => matchesGlob(glob, path))) hits.push(index)
  if (hits.length > 0 || diffusionPrefix === undefined) return hits
  return matchPaths(
    alternatives.map((segments) => underPrefix(diffusionPrefix, segments)),
    paths,
  )
}

/**
 * Rewrites a path as any program shows it (`diffusion_model.…`, `model.diffusion_model.…` or bare) to the prefix that
 * this file uses.
 */
const underPrefix = (prefix: string, segments: readonly string[]): readonly string[] =>
  under(prefix, withoutRoot(segments.join('.'))).split('.')

/**
 * What is often meant by a pattern: the same anywhere in a name, stars that cross dots, numbers without leading zeros.
 */
const wider = (text: string): readonly string[] => {
  const crossing = text.replaceAll(/(?<=^|\.)\*(?=\.)/g, '**').replaceAll(/(?<=^|\.)\*\*+(?=[^.*])/g, '**.*')
  const plain = text.replaceAll(/(?<=^|\.)0+(?=\d+(?:\.|$))/g, '')
  return [plain, crossing, `**.${text}`, `**.${crossing}`]
}

/**
 * "did you mean …?" for a pattern that selects nothing: a part of that name, or the pattern a little wider or with its
 * unknown segments corrected if that selects something, else the nearest names.
 */
const suggest = (
  text: string,
  alternatives: Alternatives,
  names: IndexedNames,
  context: PatternContext,
): string | undefined => {
  const [, before, after] = /^(\w+):(.*)$/s.exec(text) ?? []
  const scheme = before === undefined ? undefined : nearest(before, SCHEMES, 1)[0]
  if (scheme !== undefined) return `Did you mean \`${scheme}:${after}\`?`
  const segments = new Set(names.paths.flat())
  const unknown = (s: string): boolean => isLiteral(s) && !segments.has(s) && !/^\d+$/.test(s)
  const repaired = alternatives[0]!.map((s) => (unknown(s) ? (nearest(s, segments, 1)[0] ?? s) : s))
  const part = SCHEMES.find((kind) => context.parts?.[kind].has(text))
  if (part !== undefined) return `Did you mean \`${part}:${text}\`?`
  const corrected = repaired.join('.')
  for (const candidate of [...wider(text), corrected, ...wider(corrected)]) {
    const expanded = expandPattern(candidate)
    if (expanded.type === 'ok' && matchPaths(expanded.value, names.paths, context.diffusionPrefix).length > 0)
      return `Did you mean \`${candidate}\`?`
  }
  const prefixes = new Set(names.paths.flatMap((path) => path.map((_, last) => path.slice(0, last + 1).join('.'))))
  const question = didYouMean(text, prefixes)
  return question === undefined ? undefined : `D${question.slice(1)}`
}

/** For a pattern of names that matches none: what may have been meant, and what the names begin with. */
export const suggestNames = (
  text: string,
  alternatives: Alternatives,
  tensors: readonly string[],
): { readonly suggestion: string | undefined; readonly tops: readonly string[] } => {
  const names = indexNames(tensors)
  return { suggestion: suggest(text, alternatives, names, {}), tops: topsOf(names) }
}

const topsOf = ({ paths }: IndexedNames): readonly string[] => [...new Set(paths.map((path) => path[0]!))].slice(0, 5)
