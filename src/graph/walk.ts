import { argumentsOf, type Expression } from './expression.js'

/** How many expressions all walks have entered so far: what the tests of planning count instead of seconds. */
export const walked = { expressions: 0 }

/** What a walk does on its way. */
export interface Visitor {
  /**
   * Whether to visit an expression, called before anything below it. Returning false for visited ones makes the walk
   * linear.
   */
  enter(e: Expression): boolean
  /** Called after everything below an expression, in post-order. */
  leave?(e: Expression): void
  /** What counts as below an expression; its arguments unless given. */
  below?(e: Expression): readonly Expression[]
}

/** How deep a walk recurses before it uses a stack of its own: recursion is faster, and few expressions are deeper. */
const SHALLOW = 64

/** Walks over expressions from some roots down, depth first; the depth is not limited by the call stack. */
export const walk = (roots: readonly Expression[], visitor: Visitor): void => {
  const { enter, leave, below = argumentsOf } = visitor
  // Counted, not iterated: most walks are over before anything is optimised.
  const descend = (list: readonly Expression[], depth: number): void => {
    if (depth === SHALLOW) return walkDeep(list, visitor)
    for (let i = 0; i < list.length; i++) {
      const e = list[i]!
      if (!enter(e)) continue
      walked.expressions += 1
      const under = below(e)
      if (under.length > 0) descend(under, depth + 1)
      leave?.(e)
    }
  }
  descend(roots, 0)
}

const walkDeep = (roots: readonly Expression[], { enter, leave, below = argumentsOf }: Visitor): void => {
  const path: Expression[] = []
  const lists: (readonly Expression[])[] = [roots]
  const places: number[] = [0]
  for (;;) {
    const depth = lists.length - 1
    const next = lists[depth]![places[depth]!++]
    if (next !== undefined) {
      if (!enter(next)) continue
      walked.expressions += 1
      path.push(next)
      lists.push(below(next))
      places.push(0)
      continue
    }
    lists.pop()
    places.pop()
    const left = path.pop()
    if (left === undefined) return
    leave?.(left)
  }
}

/** A set of expression ids, which are small and dense: one byte each, where a Set takes forty. */
export interface IdSet {
  has(id: number): boolean
  add(id: number): void
}

/** An empty set. */
export const createIdSet = (): IdSet => {
  let bits = new Uint8Array(1024)
  return {
    has: (id) => bits[id] === 1,
    add: (id) => {
      if (id >= bits.length) {
        const larger = new Uint8Array(Math.max(2 * bits.length, id + 1))
        larger.set(bits)
        bits = larger
      }
      bits[id] = 1
    },
  }
}
