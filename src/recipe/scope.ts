import type { Place } from '../base/diagnostic.js'
import type { Kind } from '../operators/value.js'
import type { Declarations, NamedKind } from './params.js'
import type { Name, RawArgument, Step } from './recipe.js'

/** A step that uses a part. */
export interface Use {
  readonly name: string
  readonly at: Place
  /** What is in the part; undefined where it could not be read, which is told already. */
  readonly scope: Scope | undefined
  /** What the params that pass values by name stand for, in the names of the user. */
  readonly args: ReadonlyMap<string, Name & { readonly kind: NamedKind }>
}

/** The names of one document, which is a recipe or a part. */
export interface Scope {
  readonly declarations: Declarations
  /** Those with an operator. */
  readonly steps: ReadonlyMap<string, Step>
  readonly uses: ReadonlyMap<string, Use>
  /** What a part gives: the name inside for the name outside. */
  readonly results: ReadonlyMap<string, string>
}

/** The step that a name belongs to: `quarters.2` is a result of `quarters`. */
export const stepOf = (name: string): string => {
  const dot = name.indexOf('.')
  return dot < 0 ? name : name.slice(0, dot)
}

/** The result that a name is of its step: `2`; undefined for the name of the step itself. */
const resultOf = (name: string): string | undefined => {
  const dot = name.indexOf('.')
  return dot < 0 ? undefined : name.slice(dot + 1)
}

/** What a result of a part is called inside it; without a name, its only one. */
const innerName = ({ results }: Scope, result: string | undefined): string | undefined => {
  if (result !== undefined) return results.get(result)
  return results.size === 1 ? [...results.values()][0] : undefined
}

/** The kind of value that a name of a scope has; undefined where nothing is known of it. */
export const kindIn = (scope: Scope, name: string): Kind | undefined => {
  const declared = scope.declarations.get(name)?.expected
  if (declared?.type === 'name') return declared.kind
  const inner = scope.uses.get(stepOf(name))?.scope
  if (inner === undefined) return scope.steps.get(stepOf(name))?.operator.output
  const target = innerName(inner, resultOf(name))
  return target === undefined ? undefined : kindIn(inner, target)
}

/** All steps that are computed, those of parts under the name of the step that uses them: `protect/attention`. */
export interface Flattened {
  readonly steps: ReadonlyMap<string, Step>
  /** The value that a name of the recipe stands for, by its flat name. */
  resolve(name: string): string
}

/** Takes the steps out of all parts. */
export const flatten = (scope: Scope): Flattened => {
  const steps = new Map<string, Step>()
  const resolve = flattenInto(steps, scope, '', (param) => {
    const declared = scope.declarations.get(param)
    // Of a recipe, a param that is passed by name stands for its default, or for what was set.
    return declared === undefined ? param : String(declared.default)
  })
  return { steps, resolve }
}

type Resolve = (name: string) => string

const flattenInto = (steps: Map<string, Step>, scope: Scope, prefix: string, bind: Resolve): Resolve => {
  const inside = new Map<string, Resolve>()
  const resolve: Resolve = (name) => {
    if (scope.declarations.get(name)?.expected.type === 'name') return bind(name)
    const use = scope.uses.get(stepOf(name))
    if (use?.scope !== undefined) {
      const target = innerName(use.scope, resultOf(name))
      return target === undefined ? name : resolverOf(use.name)(target)
    }
    return scope.steps.has(stepOf(name)) ? prefix + name : name
  }
  const resolverOf = (name: string): Resolve => {
    const known = inside.get(name)
    if (known !== undefined) return known
    const use = scope.uses.get(name)!
    const made = flattenInto(steps, use.scope!, `${prefix}${name}/`, (param) => resolve(use.args.get(param)!.name))
    inside.set(name, made)
    return made
  }
  for (const step of scope.steps.values()) steps.set(prefix + step.name, rename(step, prefix + step.name, resolve))
  for (const use of scope.uses.values()) if (use.scope !== undefined) resolverOf(use.name)
  return resolve
}

const rename = (step: Step, name: string, resolve: Resolve): Step => {
  const renamed = (of: Name): Name => ({ ...of, name: resolve(of.name) })
  const argument = (raw: RawArgument): RawArgument => (raw.type === 'name' ? { ...raw, name: resolve(raw.name) } : raw)
  const all = (args: Readonly<Record<string, RawArgument>>): Record<string, RawArgument> =>
    Object.fromEntries(Object.entries(args).map(([key, raw]) => [key, argument(raw)]))
  return {
    ...step,
    name,
    inputs: Object.fromEntries(
      Object.entries(step.inputs).map(([key, names]) => [
        key,
        Array.isArray(names) ? (names as readonly Name[]).map(renamed) : renamed(names as Name),
      ]),
    ),
    each: step.each.map(all),
    params: all(step.params),
    mask: step.mask === undefined ? undefined : renamed(step.mask),
  }
}
