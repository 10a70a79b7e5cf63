import { emaUnclear, noEma } from '../base/catalogue/model-operators.js'
import type { Diagnostic, Place } from '../base/diagnostic.js'
import { failed, ok, type Result } from '../base/result.js'

interface Outline {
  readonly name: string
  readonly shape: readonly number[]
}

/** An averaged weight: what it hangs under, and the name of the weight without dots. */
const AVERAGE = /^((?:.+\.)?)model_ema\.(.+)$/

/** Counters among the averages. */
const COUNTERS: ReadonlySet<string> = new Set(['decay', 'num_updates'])

/** True for the averages (EMA) of a model's weights, and the counters that belong to them. */
export const isEma = (name: string): boolean => AVERAGE.test(name)

const flatten = (path: string): string => path.replaceAll('.', '')

/** The weights beside averages, by their names without dots; what is averaged is the module `model`, where there is one. */
const byFlatName = (parent: string, outlines: readonly Outline[]): ReadonlyMap<string, readonly Outline[]> => {
  const found = new Map<string, Outline[]>()
  for (const outline of outlines) {
    if (!outline.name.startsWith(parent) || isEma(outline.name)) continue
    const path = outline.name.slice(parent.length)
    const flat = flatten(path.startsWith('model.') ? path.slice('model.'.length) : path)
    const known = found.get(flat)
    if (known === undefined) found.set(flat, [outline])
    else known.push(outline)
  }
  return found
}

/** The names of a model's averages by those of the weights that they are averages of. */
export const matchEma = (
  tensors: ReadonlyMap<string, Outline>,
  label: string,
  at: Place,
): Result<ReadonlyMap<string, string>> => {
  const outlines = [...tensors.values()]
  const parents = new Map<string, ReadonlyMap<string, readonly Outline[]>>()
  const matched = new Map<string, string>()
  const problems: Diagnostic[] = []
  for (const { name, shape } of outlines) {
    const [, parent, path] = AVERAGE.exec(name) ?? []
    if (parent === undefined || path === undefined || COUNTERS.has(path)) continue
    const weights = parents.get(parent) ?? byFlatName(parent, outlines)
    parents.set(parent, weights)
    const fitting = (weights.get(flatten(path)) ?? []).filter((weight) => weight.shape.join() === shape.join())
    if (fitting.length === 1) matched.set(fitting[0]!.name, name)
    else
      problems.push(
        emaUnclear(
          at,
          name,
          label,
          fitting.map((weight) => weight.name),
        ),
      )
  }
  if (problems.length > 0) return failed(problems[0]!)
  return matched.size === 0 ? failed(noEma(at, label)) : ok(matched)
}
