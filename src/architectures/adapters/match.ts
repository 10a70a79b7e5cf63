import * as problems from '../../base/catalogue/adapters.js'
import type { Diagnostic, Place } from '../../base/diagnostic.js'
import { append } from '../../base/lists.js'
import { failed, ok, type Result } from '../../base/result.js'
import type { AdapterFile } from '../../safetensors/adapter-file.js'
import type { Dtype } from '../../tensor/dtype.js'
import type { Architecture } from '../detect.js'
import { guessArchitecture } from './guess.js'
import { groupAdapter } from './modules.js'
import { adapterNames } from './names.js'
import { makePatches, type Making, type Patch } from './patch.js'
import { scalesOf } from './scale.js'

/** An adapter, as a recipe names it. */
export interface NamedAdapter {
  readonly label: string
  readonly file: AdapterFile
  /** Where the recipe names it, for problems. */
  readonly at: Place
}

/** A model that an adapter is to be matched with. */
export interface Recipient {
  readonly label: string
  readonly tensors: ReadonlyMap<string, { readonly shape: readonly number[]; readonly dtype: Dtype }>
  readonly architecture: Architecture | undefined
}

/** What an adapter does to a model. */
export interface AdapterMatch {
  /** By tensor of the model. */
  readonly patches: ReadonlyMap<string, readonly Patch[]>
  /** Tensors of the adapter that mean nothing in this model. */
  readonly unmatched: readonly string[]
}

/** The first problem of each code: an adapter for another architecture is wrong in hundreds of places, in one way. */
const firstOfEach = (found: readonly Diagnostic[]): Diagnostic[] => found.filter((d, i) => found.findIndex((other) => other.code === d.code) === i)

/** Finds what an adapter changes of a model, and by what. Tensors without a target are a problem where `strict`; all others always are. */
export const matchAdapter = ({ label, file, at }: NamedAdapter, model: Recipient, strict: boolean): Result<AdapterMatch> => {
  const { modules, strangers, twice, refused } = groupAdapter(file.tensors)
  if (refused !== undefined) return failed(problems.unsupportedAdapter(at, label, refused.kind, `\`${refused.tensor}\``))
  if (modules.length === 0) return failed(problems.notAnAdapter(at, label, [...file.tensors.keys()]))
  if (twice.length > 0) return failed(problems.twoInOne(at, label, twice))
  const { architecture } = model
  const guess = guessArchitecture(file.tensors)
  const related = guess === undefined || architecture === undefined || guess.ids.includes(architecture.id)
  const estranged = related ? undefined : { adapter: guess.title, model: architecture.title }
  const making: Making = { adapter: label, model: model.label, at, tensors: model.tensors, scaleOf: scalesOf(file, label, at), estranged }

  const names = adapterNames(model.tensors, architecture)
  const patches = new Map<string, Patch[]>()
  const unmatched = [...strangers]
  const found: Diagnostic[] = []
  for (const module of modules) {
    const [target, ...others] = names.get(module.name) ?? []
    if (target === undefined) {
      append(unmatched, [...module.tensors.values()].map(({ name }) => name))
      continue
    }
    if (others.length > 0) {
      found.push(problems.ambiguousName(at, label, module.name, [target, ...others].map((t) => (t.weight ?? t.bias)!)))
      continue
    }
    const made = makePatches(module, target, making)
    append(found, made.diagnostics)
    if (made.type === 'failed') continue
    append(unmatched, made.value.unmatched)
    for (const { tensor, patch } of made.value.aimed) patches.set(tensor, [...(patches.get(tensor) ?? []), patch])
  }
  if (found.length === 0 && patches.size === 0) return failed(problems.nothingMatched(at, label, model.label, estranged))
  if (strict && unmatched.length > 0) found.push(problems.unmatchedTensors(at, label, model.label, unmatched, file.tensors.size, estranged))
  return found.length > 0 ? failed(...firstOfEach(found)) : ok({ patches, unmatched })
}
