import { below, findRoot, under } from '../tensor/roots.js'
import { isUntrained } from './constants.js'
import { BESIDE, type Architecture } from './detect.js'
import { PART_ROOTS } from './parts.js'

/** The names of some tensors, and the architecture they show, where one is known. */
export interface Named {
  readonly names: ReadonlyMap<string, unknown>
  readonly architecture: Architecture | undefined
}

/** A network that has the root `from` in one model and `to` in another. */
export interface Move {
  readonly from: string
  readonly to: string
}

const countBelow = (root: string, names: Iterable<string>): number => {
  let count = 0
  for (const name of names) if (below(root, name) !== undefined) count++
  return count
}

/** True if at least half of the names below one of the two roots are also below the other. */
const agree = (first: Named['names'], other: Named['names'], { from, to }: Move): boolean => {
  let [hits, all] = [0, 0]
  for (const name of other.keys()) {
    const path = below(from, name)
    if (path === undefined) continue
    all++
    if (first.has(under(to, path))) hits++
  }
  return hits > 0 && 2 * hits >= Math.min(all, countBelow(to, first.keys()))
}

const rootOf = ({ names, architecture }: Named): string => architecture?.diffusionPrefix ?? findRoot(names.keys())

/** The roots under which checkpoints contain what is also distributed as a file of its own. */
const partRoots = (part: Architecture, whole: Architecture): readonly string[] =>
  PART_ROOTS.filter((root) => whole.locate(under(root, '')).component === part.component)

/** The renames that could map the names of `other` to those of `first`, the likeliest first. */
const candidates = (first: Named, other: Named): readonly Move[] => {
  const [a, b] = [first.architecture, other.architecture]
  if (a !== undefined && b !== undefined && a.id !== b.id) {
    if (b.diffusionPrefix === undefined) return partRoots(b, a).map((to) => ({ from: b.root, to }))
    if (a.diffusionPrefix === undefined) return partRoots(a, b).map((from) => ({ from, to: a.root }))
  }
  return [{ from: rootOf(other), to: rootOf(first) }]
}

/**
 * The rename, if `other` has the network of `first` under another root. Determined by the architecture if both have the
 * same, otherwise by comparing the names below the two roots. Undefined if the names match as they are.
 */
export const findMove = (first: Named, other: Named): Move | undefined => {
  const [a, b] = [first.architecture, other.architecture]
  if (a !== undefined && b !== undefined && a.id === b.id)
    return a.root === b.root ? undefined : { from: b.root, to: a.root }
  return candidates(first, other).find((move) => move.from !== move.to && agree(first.names, other.names, move))
}

/**
 * What a model with its own root calls each name of another, whose network is moved there; names of other parts, and
 * names that both have, stay.
 */
export const moveNames = (
  first: Named['names'],
  other: Named['names'],
  { from, to }: Move,
): ReadonlyMap<string, string> =>
  new Map(
    [...other.keys()].map((name) => {
      const path = below(from, name)
      const isBeside = from === '' && (BESIDE.has(name.split('.', 1)[0]!) || isUntrained(name))
      if (path === undefined || first.has(name) || (isBeside && !first.has(under(to, path)))) return [name, name]
      const moved = under(to, path)
      return [name, other.has(moved) ? name : moved]
    }),
  )
