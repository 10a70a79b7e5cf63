import { blockWeightOrder, withFollowers } from '../architectures/block-weights.js'
import { isConstant } from '../architectures/constants.js'
import { patternContext } from '../architectures/context.js'
import { detectArchitecture, type Architecture } from '../architectures/detect.js'
import { gradientNeedsArchitecture, twoBlockLists } from '../base/catalogue/plan.js'
import { noBlockWeightList } from '../base/catalogue/architectures.js'
import { failed, ok, type Result } from '../base/result.js'
import type { Argument, Call, Rules } from '../operators/operator.js'
import { samplePreset } from '../operators/presets.js'
import { sameShape } from '../operators/shape.js'
import { resolvePerLayer, selectLayers, type PatternContext } from '../tensor/pattern.js'

type Tensors = ReadonlyMap<string, { readonly shape: readonly number[] }>

/** Resolves layer patterns and per-layer numbers for each set of tensors; architectures are detected once per set. */
export interface LayerContext extends Pick<Call, 'select' | 'numbers' | 'architecture' | 'isConstant'> {
  /** Says that some tensors are those of another model, renamed or with copies beside them, and of its architecture. */
  inherit(tensors: Tensors, from: Tensors): void
  /**
   * Says that a step made some tensors from a model. Their architecture is detected from themselves, unless they are a
   * part of that model, whose architecture a part keeps; so does what shows none of its own, unless all names changed.
   */
  derive(tensors: Tensors, from: Tensors): void
}

/** Anchors interpolated linearly over `count` layers; a single layer takes the last anchor. */
export const interpolateAnchors = (anchors: readonly number[], index: number, count: number): number => {
  const position = (count === 1 ? 1 : index / (count - 1)) * (anchors.length - 1)
  const below = Math.min(Math.floor(position), anchors.length - 2)
  if (below < 0) return anchors[0]!
  const share = position - below
  return anchors[below]! * (1 - share) + anchors[below + 1]! * share
}

/** True where a model has all of some tensors, under the same names and in the same shapes. */
const isPart = (tensors: Tensors, whole: Tensors): boolean =>
  [...tensors].every(([name, { shape }]) => {
    const other = whole.get(name)
    return other !== undefined && sameShape(shape, other.shape)
  })

/** A context with nothing known yet. */
export const createLayerContext = (): LayerContext => {
  const architectures = new WeakMap<Tensors, { readonly value: Architecture | undefined }>()
  const contexts = new WeakMap<Tensors, PatternContext>()
  const constants = new WeakMap<Tensors, ReadonlySet<string>>()
  const nameLists = new WeakMap<Tensors, readonly string[]>()
  const architecture = (tensors: Tensors): Architecture | undefined => {
    const known = architectures.get(tensors) ?? { value: detectArchitecture(tensors) }
    architectures.set(tensors, known)
    return known.value
  }
  const context = (tensors: Tensors): PatternContext => {
    const known = contexts.get(tensors) ?? patternContext(architecture(tensors), tensors)
    contexts.set(tensors, known)
    return known
  }
  /** The names of some tensors, always as the same list, which patterns take apart once. */
  const namesOf = (tensors: Tensors): readonly string[] => {
    const known = nameLists.get(tensors) ?? [...tensors.keys()]
    nameLists.set(tensors, known)
    return known
  }

  const constantsOf = (tensors: Tensors): ReadonlySet<string> => {
    const known = constants.get(tensors) ?? new Set(namesOf(tensors).filter((n) => isConstant(n, tensors.get(n))))
    constants.set(tensors, known)
    return known
  }

  /** The numbers of `mbw`, `preset` or `gradient` by block. */
  const byBlock = (rules: Rules, tensors: Tensors, at: Argument['at']): Result<ReadonlyMap<string, number>> => {
    const [first, second] = (['mbw', 'preset', 'gradient'] as const).filter((key) => rules[key] !== undefined)
    if (first !== undefined && second !== undefined) return failed(twoBlockLists([first, second], at))
    const known = architecture(tensors)
    if (rules.mbw !== undefined) {
      if (known === undefined) return failed(noBlockWeightList(undefined, at))
      const order = blockWeightOrder(known, rules.mbw.length, at)
      return order.type === 'failed'
        ? order
        : ok(withFollowers(known, new Map(order.value.map((block, i) => [block, rules.mbw![i]!]))))
    }
    if (rules.preset !== undefined)
      return known === undefined
        ? failed(noBlockWeightList(undefined, at))
        : ok(withFollowers(known, samplePreset(rules.preset, known)))
    if (rules.gradient === undefined) return ok(new Map())
    return known === undefined ? failed(gradientNeedsArchitecture(at)) : ok(alongLayers(known, rules.gradient))
  }

  /** Anchors, interpolated over the layers in order. */
  const alongLayers = (known: Architecture, anchors: readonly number[]): ReadonlyMap<string, number> => {
    const stack = known.blocks.filter((block) => known.shells.has(block))
    return new Map(stack.map((block, i) => [block, interpolateAnchors(anchors, i, stack.length)]))
  }

  const ruleNumbers = (
    rules: Rules,
    tensors: Tensors,
    at: Argument['at'],
  ): Result<(tensor: string) => number | undefined> => {
    const blocks = byBlock(rules, tensors, at)
    if (blocks.type === 'failed') return blocks
    const named = resolvePerLayer({ rules: rules.entries }, namesOf(tensors), context(tensors))
    if (named.type === 'failed') return named
    const known = architecture(tensors)
    const lists = new Map<readonly number[], ReadonlyMap<string, number>>()
    for (const { value } of rules.entries) {
      if (typeof value === 'number') continue
      if (known === undefined) return failed(gradientNeedsArchitecture(at))
      lists.set(value, alongLayers(known, value))
    }
    const locate = blocks.value.size === 0 ? undefined : known?.locate
    /** Of a list, the number of the tensor's layer; outside of the layers the first. */
    const namedNumber = (tensor: string): number | undefined => {
      const value = named.value.get(tensor)
      return value === undefined || typeof value === 'number'
        ? value
        : (lists.get(value)!.get(known!.locate(tensor).block) ?? value[0])
    }
    return ok(
      (tensor) =>
        namedNumber(tensor) ??
        (locate === undefined ? undefined : blocks.value.get(locate(tensor).block)) ??
        rules.default,
    )
  }

  return {
    architecture,
    isConstant: (tensor, tensors) => constantsOf(tensors).has(tensor),
    inherit: (tensors, from) => {
      if (tensors !== from && !architectures.has(tensors)) architectures.set(tensors, { value: architecture(from) })
    },
    derive: (tensors, from) => {
      if (tensors === from || architectures.has(tensors)) return
      const own = isPart(tensors, from) ? undefined : detectArchitecture(tensors)
      const akin = own === undefined && [...tensors.keys()].some((name) => from.has(name))
      architectures.set(tensors, { value: akin ? architecture(from) : own })
    },
    select: ({ patterns }, tensors) => selectLayers(patterns, namesOf(tensors), context(tensors)),
    numbers: (argument, tensors) => {
      const value = argument.type === 'value' ? argument.value : undefined
      switch (argument.type) {
        case 'weights':
          return ok((tensor) => argument.value.numbers.get(tensor))
        case 'rules':
          return ruleNumbers(argument.rules, tensors, argument.at)
        default: {
          // The schema lets nothing else through.
          if (typeof value !== 'number') throw new Error(`a per-layer number is a ${argument.type} of ${typeof value}`)
          return ok(() => value)
        }
      }
    },
  }
}
