import { append } from '../base/lists.js'
import type { Mask, Tensor } from '../graph/expression.js'
import type { Value } from '../operators/value.js'
import { stepOf } from '../recipe/scope.js'
import type { Step } from '../recipe/recipe.js'
import { usesOf } from '../recipe/step.js'

/**
 * Steps from one landing to the next. Making a tensor's expression calls into the steps below, several nested calls for
 * each step.
 */
const FLIGHT = 64

interface Landing {
  /** The nearest landings below. */
  readonly below: readonly Landing[]
  /** What it gives for a tensor; undefined where it knows none of that name. */
  make(tensor: string): void
  has(tensor: string): boolean
}
interface Place {
  readonly depth: number
  readonly below: readonly Landing[]
}

/**
 * Expressions are made lazily: a step's value makes the expression of a tensor from those of the steps below, and so
 * on. To keep a long chain of steps from overflowing the call stack, one step in every so many is a landing: it makes
 * the landings below it produce their expressions first, from the lowest up, so calls nest no deeper than from one
 * landing to the next.
 */
export interface Landings {
  /** Wraps the value of a step. */
  land(step: Step, value: Value): Value
}

/** Tracks the depth of the steps of a recipe, which are given in order. */
export const createLandings = (): Landings => {
  const places = new Map<string, Place>()
  const placeOf = (step: Step): Place => {
    const uses = usesOf(step)
      .map((u) => places.get(stepOf(u.name)))
      .filter((p) => p !== undefined)
    return {
      depth: uses.reduce((most, p) => Math.max(most, p.depth + 1), 0),
      below: [...new Set(uses.flatMap((p) => p.below))],
    }
  }
  return {
    land: (step, value) => {
      const place = placeOf(step)
      const known = places.get(step.name) ?? place
      if (place.depth === 0 || place.depth % FLIGHT > 0 || (value.kind !== 'model' && value.kind !== 'mask')) {
        places.set(step.name, known)
        return value
      }
      const made = new Map<string, Tensor | Mask>()
      const own = (tensor: string): Tensor | Mask =>
        value.kind === 'model' ? value.tensor(tensor) : value.mask(tensor)
      const knows = (tensor: string): boolean =>
        value.kind === 'model' ? value.tensors.has(tensor) : value.shapes.has(tensor)
      const landing: Landing = {
        below: place.below,
        make: (tensor) => void made.set(tensor, own(tensor)),
        has: (tensor) => made.has(tensor) || !knows(tensor),
      }
      // Of several results of a step each is a landing.
      places.set(step.name, { depth: place.depth, below: [...(known === place ? [] : known.below), landing] })
      const make = (tensor: string): Tensor | Mask => {
        if (!made.has(tensor)) climb(landing, tensor)
        return made.get(tensor) ?? own(tensor)
      }
      return value.kind === 'model'
        ? { ...value, tensor: (name) => make(name) as Tensor }
        : { ...value, mask: (name) => make(name) as Mask }
    },
  }
}

const climb = (top: Landing, tensor: string): void => {
  for (const path = [top]; path.length > 0;) {
    const next = path.at(-1)!
    const missing = next.has(tensor) ? [] : next.below.filter((l) => !l.has(tensor))
    append(path, missing)
    if (missing.length > 0) continue
    path.pop()
    if (!next.has(tensor)) next.make(tensor)
  }
}
