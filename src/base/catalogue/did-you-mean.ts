import { nearest } from '../suggest.js'

/** "did you mean `x`?" for a misspelt name, or undefined when nothing is near. */
export const didYouMean = (name: string, candidates: Iterable<string>): string | undefined => {
  const [first, ...rest] = nearest(name, candidates)
  if (first === undefined) return undefined
  return `did you mean ${[first, ...rest].map((n) => `\`${n}\``).join(' or ')}?`
}
