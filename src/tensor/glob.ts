import { Minimatch, minimatch } from 'minimatch'
import {
  emptyPattern,
  patternTooLong,
  patternTooManyAlternatives,
  patternTooManyExtglobs,
} from '../base/catalogue/tensor.js'
import type { Place } from '../base/diagnostic.js'
import { failed, ok, type Result } from '../base/result.js'

/** Longest pattern, in UTF-16 units; a tensor name is rarely longer than 150. */
export const LONGEST_PATTERN = 4096

/**
 * The most alternatives that a pattern's braces may expand to; with {@link LONGEST_PATTERN} it keeps the expansion
 * below the limit at which minimatch silently truncates.
 */
export const MOST_ALTERNATIVES = 512

/** Most extended globs in a pattern; minimatch walks them recursively. */
export const MOST_EXTGLOBS = 64

/** A pattern without braces: what each dot-separated segment must be. `**` stands for any number of segments. */
export type Glob = readonly (typeof DEEP | ((segment: string) => boolean))[]

const PLAIN = {
  dot: true,
  nonegate: true,
  nocomment: true,
  nobrace: true,
  optimizationLevel: 0,
  platform: 'linux',
} as const

const DEEP = Symbol('**')

// A noncharacter, so no name holds it. Put before every segment, it keeps minimatch from treating an empty segment, `.`
// or `..` as special;
// put in place of `/`, it keeps a slash inside a name from being a separator.
const GUARD = '\uFDD0'

/**
 * Expands the braces of a pattern; each alternative is a path of segment patterns. Fails when it is larger than the
 * limits above, or stands for nothing.
 */
export const expandPattern = (text: string, at?: Place): Result<readonly (readonly string[])[]> => {
  if (text.length > LONGEST_PATTERN) return failed(patternTooLong(text.length, LONGEST_PATTERN, at))
  if ((text.match(/[?*+@!]\(/g)?.length ?? 0) > MOST_EXTGLOBS)
    return failed(patternTooManyExtglobs(text, MOST_EXTGLOBS, at))
  const alternatives = minimatch.braceExpand(text, { braceExpandMax: MOST_ALTERNATIVES + 1 })
  if (alternatives.length === 0) return failed(emptyPattern(text, at))
  if (alternatives.length > MOST_ALTERNATIVES) return failed(patternTooManyAlternatives(text, MOST_ALTERNATIVES, at))
  return ok([...new Set(alternatives)].map((alternative) => alternative.split('.')))
}

/** True when a segment pattern stands only for itself. */
export const isLiteral = (segment: string): boolean => !/[?*[\\]|[+@!]\(/.test(segment)

/** Compiles one alternative of a pattern. */
export const compileGlob = (segments: readonly string[]): Glob =>
  segments.map((s) => (s === '**' ? DEEP : compileSegment(s)))

/** Compiles the pattern of one segment. */
export const compileSegment = (pattern: string): ((segment: string) => boolean) => {
  if (pattern === '*') return () => true
  if (isLiteral(pattern)) return (segment) => segment === pattern
  const matcher = new Minimatch(guarded(pattern), PLAIN)
  // A model of 2,500 tensors has about 150 different segments: each is judged once.
  const judged = new Map<string, boolean>()
  return (segment) => {
    const known = judged.get(segment)
    if (known !== undefined) return known
    const verdict = matcher.match(guarded(segment))
    judged.set(segment, verdict)
    return verdict
  }
}

const guarded = (segment: string): string => GUARD + segment.replaceAll('/', GUARD)

/**
 * True when the glob matches the path or a prefix of whole segments of it.
 * Only the latest `**` is ever taken back, which suffices for matching and keeps the cost at segments × segments
 * however many there are.
 */
export const matchesGlob = (glob: Glob, path: readonly string[]): boolean => {
  let at = 0
  let next = 0
  let retryGlob = -1
  let retryPath = 0
  while (next < path.length) {
    if (at === glob.length) return true
    const segment = glob[at]!
    if (segment === DEEP) {
      retryGlob = ++at
      retryPath = next
    } else if (segment(path[next]!)) {
      at++
      next++
    } else if (retryGlob >= 0) {
      at = retryGlob
      next = ++retryPath
    } else return false
  }
  while (glob[at] === DEEP) at++
  return at === glob.length
}
