import { canonicalJson } from '../base/canonical.js'
import { shortDigest } from '../base/digest.js'
import { stepOf } from '../recipe/scope.js'
import type { Name, RawArgument, Recipe, Step } from '../recipe/recipe.js'

/**
 * Everything about a step that decides what it gives, in terms of the recipe's names; plain JSON, kept in the lock so
 * that two can be compared.
 */
export interface StepFacts {
  readonly op: string
  readonly version: number
  readonly inputs: Readonly<Record<string, string | readonly string[]>>
  readonly params: Readonly<Record<string, unknown>>
  /** Alphas that the recipe gives for adapters, by input. */
  readonly alphas?: Readonly<Record<string, number>>
  /** The parameters of each model of a list, in its order. */
  readonly models?: readonly Readonly<Record<string, unknown>>[]
  readonly layers?: readonly unknown[]
  readonly mask?: string
  readonly unmasked?: 'merge'
  readonly missing?: 'keep'
  readonly mismatch?: 'keep'
  readonly architectures?: 'mixed'
  /** The seed and the step's word, where random numbers are drawn. */
  readonly stream?: readonly (string | number)[]
}

/**
 * The version of what block lists and presets mean that are written in place: raised when the same numbers begin to go
 * to other tensors.
 */
const BLOCK_LISTS = 2

const plainArgument = (argument: RawArgument): unknown => {
  switch (argument.type) {
    case 'value':
      return argument.value
    case 'name':
      return { from: argument.name }
    case 'layers':
      return argument.patterns.map((p) => (p.optional ? { match: p.text, optional: true } : p.text))
    case 'texts': {
      const { default: fallback, entries } = argument.rules
      if (entries.length === 0) return fallback
      return {
        ...(fallback === undefined ? {} : { default: fallback }),
        rules: entries.map((e) => [e.pattern.text, e.text]),
      }
    }
    case 'rules': {
      const { entries, ...rest } = argument.rules
      // A list, since later rules win.
      return {
        ...rest,
        ...(rest.mbw === undefined && rest.preset === undefined ? {} : { lists: BLOCK_LISTS }),
        ...(entries.length === 0 ? {} : { rules: entries.map((e) => [e.pattern.text, e.value]) }),
      }
    }
  }
}

const plainArguments = (args: Readonly<Record<string, RawArgument>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(args).map(([key, a]) => [key, plainArgument(a)]))

const alphasOf = (recipe: Recipe, step: Step): Pick<StepFacts, 'alphas'> => {
  const alphas = Object.entries(step.inputs).flatMap(([key, names]) => {
    const input = 'name' in names ? recipe.inputs.get(names.name) : undefined
    return input?.kind !== 'adapter' || input.alpha === undefined ? [] : [[key, input.alpha] as const]
  })
  return alphas.length === 0 ? {} : { alphas: Object.fromEntries(alphas) }
}

/** The facts of a step. */
export const factsOf = (recipe: Recipe, step: Step): StepFacts => ({
  op: step.operator.id,
  version: step.operator.version,
  inputs: Object.fromEntries(
    Object.entries(step.inputs).map(([key, names]) => [
      key,
      Array.isArray(names) ? (names as readonly Name[]).map((n) => n.name) : (names as Name).name,
    ]),
  ),
  params: plainArguments(step.params),
  ...alphasOf(recipe, step),
  ...(step.each.some((args) => Object.keys(args).length > 0) ? { models: step.each.map(plainArguments) } : {}),
  ...(step.layers === undefined ? {} : { layers: plainArgument(step.layers) as readonly unknown[] }),
  ...(step.mask === undefined ? {} : { mask: step.mask.name }),
  ...(step.unmasked === 'merge' ? { unmasked: step.unmasked } : {}),
  ...(step.missing === 'keep' ? { missing: step.missing } : {}),
  ...(step.mismatch === 'keep' ? { mismatch: step.mismatch } : {}),
  ...(step.architectures === 'mixed' ? { architectures: step.architectures } : {}),
  ...(step.operator.draws ? { stream: [recipe.seed, step.seed ?? step.name] } : {}),
})

/** The names that some facts refer to, replaced. */
const replaceNames = (facts: StepFacts, replace: (name: string) => string): unknown => {
  const inArgument = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(inArgument)
    const from = typeof value === 'object' && value !== null ? (value as { readonly from?: unknown }).from : undefined
    return typeof from === 'string' ? { from: replace(from) } : value
  }
  const inArguments = (args: Readonly<Record<string, unknown>>) =>
    Object.fromEntries(Object.entries(args).map(([key, a]) => [key, inArgument(a)]))
  return {
    ...facts,
    inputs: Object.fromEntries(
      Object.entries(facts.inputs).map(([key, names]) => [
        key,
        typeof names === 'string' ? replace(names) : names.map(replace),
      ]),
    ),
    params: inArguments(facts.params),
    ...(facts.models === undefined ? {} : { models: facts.models.map(inArguments) }),
    ...(facts.mask === undefined ? {} : { mask: replace(facts.mask) }),
  }
}

/**
 * A fingerprint for each step, which are in order; `input` tells the recipe's inputs apart, by their content or their
 * path.
 */
export const fingerprintSteps = (
  recipe: Recipe,
  steps: readonly Step[],
  input: (name: string) => string,
): ReadonlyMap<string, string> => {
  const known = new Map<string, string>()
  const replace = (name: string): string => {
    const step = known.get(stepOf(name))
    return step === undefined ? input(name) : `${step}${name.slice(stepOf(name).length)}`
  }
  for (const step of steps)
    known.set(step.name, shortDigest(canonicalJson(replaceNames(factsOf(recipe, step), replace))))
  return known
}
