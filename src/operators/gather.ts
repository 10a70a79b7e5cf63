import { createBranch, follow, type Branch, type TensorValues } from './alike.js'
import type { Entry, Roll } from './roll.js'
import type { Slot } from './value.js'

/** Tensors of one step with equal shapes and values. */
export interface Kind {
  /** The first of them. */
  readonly slot: Slot
  readonly shapeText: string
  readonly params: TensorValues
  readonly each: readonly TensorValues[]
  count: number
}

/** The tensors that a step merges. */
export interface Gathered {
  /** Their shapes, by name. */
  readonly shapes: ReadonlyMap<string, readonly number[]>
  readonly kinds: readonly Kind[]
}

/** Takes in the tensors that a step merges, one by one. */
export interface Gathering {
  add(entry: Entry, params: TensorValues, each: readonly TensorValues[]): void
  gathered(): Gathered
}

/** Gathers tensors of a model; `merges` as of the operator. */
export const createGathering = (roll: Roll, merges: boolean): Gathering => {
  const root = createBranch<Map<string, Kind>>()
  const kinds: Kind[] = []
  const slots: Slot[] = []
  /** Neighbours mostly have the same values. */
  let last: { readonly params: TensorValues; readonly each: readonly TensorValues[]; readonly own: Map<string, Kind> }
  const ownOf = (params: TensorValues, each: readonly TensorValues[]): Map<string, Kind> => {
    if (last?.params === params && last.each === each) return last.own
    let branch: Branch<Map<string, Kind>> = follow(root, params)
    for (const values of each) branch = follow(branch, values)
    last = { params, each, own: (branch.value ??= new Map<string, Kind>()) }
    return last.own
  }
  return {
    add: ({ slot, shapeText }, params, each) => {
      slots.push(slot)
      const own = ownOf(params, each)
      const known = own.get(shapeText)
      if (known !== undefined) {
        known.count += 1
        return
      }
      const kind = { slot, shapeText, params, each, count: 1 }
      own.set(shapeText, kind)
      kinds.push(kind)
    },
    gathered: () => {
      const all = merges ? roll.varying : roll.floats
      // Most steps merge all that can be: one map for all of them.
      const shapes = slots.length === all.size ? all : new Map(slots.map(({ name, shape }) => [name, shape] as const))
      return { shapes, kinds }
    },
  }
}
