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
  /** True of a recipe, whose params stand for their defaults; those of a part stand for what is passed. */
  readonly isRecipe: boolean
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
  /** The steps that use parts and stand for a result of their own. */
  readonly loops: ReadonlySet<Use>
  /** The value that a name of the recipe stands for, by its flat name. */
  resolve(name: string): string
}

type Resolve = (name: string) => string

/** Takes the steps out of all parts. */
export const flatten = (recipe: Scope): Flattened => {
  const steps = new Map<string, Step>()
  const loops = new Set<Use>()
  const open = new Set<string>()
  const walk = (scope: Scope, prefix: string, bind: Resolve): Resolve => {
    const inside = new Map<string, Resolve>()
    const resolve: Resolve = (name) => {
      if (scope.declarations.get(name)?.expected.type === 'name') return bind(name)
      const use = scope.uses.get(stepOf(name))
      if (use?.scope === undefined) return scope.steps.has(stepOf(name)) ? prefix + name : name
      const [key, target] = [prefix + name, innerName(use.scope, resultOf(name))]
      if (target === undefined) return name
      if (open.has(key)) {
        loops.add(use)
        return name
      }
      open.add(key)
      const found = resolverOf(use)(target)
      open.delete(key)
      return found
    }
    const resolverOf = (use: Use): Resolve => {
      const made =
        inside.get(use.name) ?? walk(use.scope!, `${prefix}${use.name}/`, (param) => resolve(use.args.get(param)!.name))
      inside.set(use.name, made)
      return made
    }
    later.push(() => {
      for (const step of scope.steps.values()) steps.set(prefix + step.name, rename(step, prefix + step.name, resolve))
      for (const use of scope.uses.values()) {
        if (use.scope === undefined) continue
        resolverOf(use)
        // Also of results that nothing names: this is how loops are found.
        for (const result of use.scope.results.keys()) resolve(`${use.name}.${result}`)
      }
    })
    return resolve
  }
  /** Steps are renamed once the names around them can be resolved: they may use what comes of them. */
  const later: (() => void)[] = []
  const resolve = walk(recipe, '', (param) => {
    const target = String(recipe.declarations.get(param)?.default)
    // That a param names a param is told where names are checked.
    return recipe.declarations.has(target) ? target : resolve(target)
  })
  for (let next = later.shift(); next !== undefined; next = later.shift()) next()
  return { steps, loops, resolve }
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
