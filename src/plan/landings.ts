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

/** Something that is found out tensor by tensor, and kept. */
interface Lazy {
  make(tensor: string): void
  /** Also true for a tensor that it knows nothing of. */
  has(tensor: string): boolean
}
interface Landing {
  /** The nearest landings below. */
  readonly below: readonly Landing[]
  readonly expressions: Lazy
  /** Of a mask, which are constants. */
  readonly constants: Lazy | undefined
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
      const knows = (tensor: string): boolean =>
        value.kind === 'model' ? value.tensors.has(tensor) : value.shapes.has(tensor)
      const keep = <T>(own: (tensor: string) => T) => {
        const made = new Map<string, T>()
        return {
          make: (tensor: string) => void made.set(tensor, own(tensor)),
          has: (tensor: string) => made.has(tensor) || !knows(tensor),
          get: (tensor: string): T => (made.has(tensor) ? made.get(tensor)! : own(tensor)),
        }
      }
      const expressions = keep<Tensor | Mask>(value.kind === 'model' ? value.tensor : value.mask)
      const constants = value.kind === 'mask' ? keep(value.constant) : undefined
      const landing: Landing = { below: place.below, expressions, constants }
      // Of several results of a step each is a landing.
      places.set(step.name, { depth: place.depth, below: [...(known === place ? [] : known.below), landing] })
      const make = (tensor: string): Tensor | Mask => {
        climb(landing, tensor, (l) => l.expressions)
        return expressions.get(tensor)
      }
      if (value.kind === 'model') return { ...value, tensor: (name) => make(name) as Tensor }
      const constant = (tensor: string): boolean | undefined => {
        climb(landing, tensor, (l) => l.constants)
        return constants!.get(tensor)
      }
      return { ...value, mask: (name) => make(name) as Mask, constant }
    },
  }
}

const climb = (top: Landing, tensor: string, kept: (landing: Landing) => Lazy | undefined): void => {
  const isMissing = (landing: Landing): boolean => kept(landing)?.has(tensor) === false
  for (const path = [top]; path.length > 0;) {
    const next = path.at(-1)!
    const missing = isMissing(next) ? next.below.filter(isMissing) : []
    append(path, missing)
    if (missing.length > 0) continue
    path.pop()
    if (isMissing(next)) kept(next)!.make(tensor)
  }
}
