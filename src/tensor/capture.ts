import { compileSegment, isLiteral } from './glob.js'

/** What the wildcards of a pattern matched of a path, each as whole segments, and where what lies below begins. */
export interface Captured {
  readonly captures: readonly (readonly string[])[]
  readonly below: number
}

/** One alternative of a pattern, whose wildcards are numbered from the left. */
export interface Capture {
  readonly wildcards: number
  /** Undefined where the path does not begin with what the pattern says. */
  match(path: readonly string[]): Captured | undefined
}

/** What is matched in one segment; undefined for another segment. */
type InSegment = (segment: string) => readonly string[] | undefined

const WILD = /^(?:[?*[]|[+@!]\()/

/** A class of characters, stars, a question mark, an escaped character or a run of others. */
const TOKEN = /^(?:\\[^]|\[[!^]?\]?(?:\[:\w+:\]|[^\]])*\]|\*+|\?|[^\\?*+@![]+|[^])/

/** The index behind the group that opens at `from`. */
const endOfGroup = (pattern: string, from: number): number => {
  let depth = 0
  for (let i = from; i < pattern.length; i++) {
    if (pattern[i] === '(') depth++
    if (pattern[i] === ')' && --depth === 0) return i + 1
  }
  return pattern.length
}

/** A segment pattern cut up into its wildcards and what stands between them. */
const tokensOf = (pattern: string): readonly string[] => {
  const tokens: string[] = []
  for (let rest = pattern; rest !== '';) {
    const end = /^[?*+@!]\(/.test(rest) ? endOfGroup(rest, 1) : TOKEN.exec(rest)![0].length
    tokens.push(rest.slice(0, end))
    rest = rest.slice(end)
  }
  return tokens
}

/** Finds what each wildcard of a segment pattern stands for, the first as short as it can be. */
const captureSegment = (tokens: readonly string[]): InSegment => {
  const parts = tokens.map((token) => ({ fits: compileSegment(token), wild: WILD.test(token) }))
  const known = new Map<string, readonly string[] | undefined>()
  const split = (segment: string): readonly string[] | undefined => {
    const dead = new Set<number>()
    const from = (part: number, start: number): readonly string[] | undefined => {
      if (part === parts.length) return start === segment.length ? [] : undefined
      const key = part * (segment.length + 1) + start
      if (dead.has(key)) return undefined
      const { fits, wild } = parts[part]!
      for (let end = start; end <= segment.length; end++) {
        const text = segment.slice(start, end)
        const rest = fits(text) ? from(part + 1, end) : undefined
        if (rest !== undefined) return wild ? [text, ...rest] : rest
      }
      dead.add(key)
      return undefined
    }
    return from(0, 0)
  }
  return (segment) => {
    if (!known.has(segment)) known.set(segment, split(segment))
    return known.get(segment)
  }
}

/**
 * Compiles one alternative of a pattern. It matches what `matchesGlob` does; each `**` stands for as few segments as it
 * can, and one at the end for all that are left.
 */
export const compileCapture = (segments: readonly string[]): Capture => {
  const wild = segments.map((s) => (s === '**' ? ['**'] : isLiteral(s) ? [] : tokensOf(s).filter((t) => WILD.test(t))))
  const parts = segments.map((s): InSegment | '**' =>
    s === '**'
      ? s
      : isLiteral(s)
        ? (segment) => (segment === s ? [] : undefined)
        : captureSegment(s === '*' ? [s] : tokensOf(s)),
  )
  return {
    wildcards: wild.flat().length,
    match: (path) => {
      const dead = new Set<number>()
      const from = (part: number, next: number): Captured | undefined => {
        if (part === parts.length) return { captures: [], below: next }
        const key = part * (path.length + 1) + next
        if (dead.has(key)) return undefined
        const own = parts[part]!
        const found = own === '**' ? deep(part, next) : one(own, part, next)
        if (found === undefined) dead.add(key)
        return found
      }
      const one = (own: InSegment, part: number, next: number): Captured | undefined => {
        const captures = next < path.length ? own(path[next]!) : undefined
        const rest = captures === undefined ? undefined : from(part + 1, next + 1)
        return rest === undefined ? undefined : { ...rest, captures: [...captures!.map((c) => [c]), ...rest.captures] }
      }
      const deep = (part: number, next: number): Captured | undefined => {
        const first = part === parts.length - 1 ? path.length : next
        for (let end = first; end <= path.length; end++) {
          const rest = from(part + 1, end)
          if (rest !== undefined) return { ...rest, captures: [path.slice(next, end), ...rest.captures] }
        }
        return undefined
      }
      return from(0, 0)
    },
  }
}
