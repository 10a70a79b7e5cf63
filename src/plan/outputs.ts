import { basename, dirname, join, resolve } from 'node:path'
import { readTags } from '../architectures/adapters/tags.js'
import { deltaOutput, dtypeOfMask, outputIsInput, outputIsRecipe, outputTwice } from '../base/catalogue/plan.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { failed, ok, type Result } from '../base/result.js'
import type { Mask, Tensor } from '../graph/expression.js'
import type { Slot, Value } from '../operators/value.js'
import { OUTPUT_DTYPES, type Output, type OutputDtype, type Recipe } from '../recipe/recipe.js'
import type { AdapterFile } from '../safetensors/adapter-file.js'
import { layoutFile, type TensorOutline } from '../safetensors/layout.js'
import { layoutShards } from '../safetensors/shards.js'
import { isFloat, type Dtype } from '../tensor/dtype.js'
import type { LayerContext } from './context.js'
import type { PlannedFile, PlannedModel, PlannedOutput, Target } from './plan.js'

/** One tensor of an output: the expression that fills it, and where it goes. */
export interface Root {
  readonly value: Tensor | Mask
  readonly shape: readonly number[]
  readonly target: Target
}

/** A planned output and its tensors in the order of their bytes. */
export interface OutputRoots {
  readonly output: PlannedOutput
  /** Builds the expressions of all tensors, which is most of the work of planning. */
  roots(): readonly Root[]
}

/** Where outputs are written: the recipe's folder unless `--out` says otherwise. */
export interface Folders {
  readonly recipe: string
  readonly out: string | undefined
}

const slotsOf = (value: Value): readonly Slot[] => {
  if (value.kind === 'model') return [...value.tensors.values()]
  if (value.kind === 'mask') return [...value.shapes].map(([name, shape]) => ({ name, shape, dtype: 'BOOL' }))
  return []
}

/** The dtype of each tensor of an output: later rules win, and only floats change. */
const dtypesOf = (output: Output, value: Value, layers: LayerContext): Result<(slot: Slot) => Dtype> => {
  const name = (asked: OutputDtype, own: Dtype): Dtype => (asked === 'same' || !isFloat(own) ? own : OUTPUT_DTYPES[asked])
  if (value.kind !== 'model') return ok((slot) => slot.dtype)
  const chosen = new Map<string, OutputDtype>()
  for (const { pattern, dtype } of output.dtypeRules) {
    const selected = layers.select({ type: 'layers', patterns: [pattern], at: pattern.at }, value.tensors)
    if (selected.type === 'failed') return selected
    for (const tensor of selected.value) chosen.set(tensor, dtype)
  }
  return ok((slot) => name(chosen.get(slot.name) ?? output.dtype, slot.dtype))
}

/** The tags of the adapters an output names, added up, most frequent first, as JSON. */
const tagsOf = (recipe: Recipe, output: Output, adapters: ReadonlyMap<string, AdapterFile>): Result<Record<string, string>> => {
  const read = output.tags.map(({ name }) => readTags(adapters.get(name)!.metadata, recipe.adapters.get(name)!.path))
  const counts = new Map<string, number>()
  for (const { tag, count } of read.flatMap((r) => (r.type === 'ok' ? r.value : []))) counts.set(tag, (counts.get(tag) ?? 0) + count)
  const sorted = [...counts].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
  return ok(sorted.length === 0 ? {} : { 'smelt.tags': JSON.stringify(sorted) }, read.flatMap((r) => r.diagnostics))
}

const metadataOf = (recipe: Recipe, output: Output): Record<string, string> => ({
  'format': 'pt',
  'smelt.recipe': recipe.source.text,
  ...(Object.keys(recipe.params).length === 0 ? {} : { 'smelt.params': JSON.stringify(recipe.params, Object.keys(recipe.params).sort()) }),
  ...output.metadata,
})

interface Laid { readonly files: readonly PlannedFile[]; readonly index: PlannedOutput['index']; readonly at: ReadonlyMap<string, { readonly path: string; readonly begin: number }> }

const layOut = (path: string, tensors: readonly TensorOutline[], metadata: Readonly<Record<string, string>>, shardBytes: number | undefined): Laid => {
  const place = (file: string, offsets: ReadonlyMap<string, { readonly begin: number }>) => [...offsets].map(([name, o]) => [name, { path: file, begin: o.begin }] as const)
  if (shardBytes === undefined) {
    const layout = layoutFile(tensors, metadata)
    return { files: [{ path, header: layout.header, bytes: layout.bytes }], index: undefined, at: new Map(place(path, layout.offsets)) }
  }
  const stem = basename(path).replace(/(\.safetensors)?(\.index\.json)?$/, '')
  const layout = layoutShards(tensors, metadata, shardBytes, stem)
  const folder = dirname(path)
  return {
    files: layout.shards.map((s) => ({ path: join(folder, s.name), header: s.header, bytes: s.bytes })),
    index: { path: join(folder, layout.index.name), bytes: layout.index.bytes },
    at: new Map(layout.shards.flatMap((s) => place(join(folder, s.name), s.offsets))),
  }
}

/** Plans one output: its tensors, their dtypes, and the byte each begins at. */
export const planOutput = (
  recipe: Recipe, output: Output, index: number, value: Value, layers: LayerContext, folders: Folders,
  adapters: ReadonlyMap<string, AdapterFile>,
): Result<OutputRoots> => {
  if (value.kind === 'model' && value.space === 'delta' && !output.delta) return failed(deltaOutput(output.from.name, output.from.at))
  if (value.kind === 'mask' && (output.dtype !== 'same' || output.dtypeRules.length > 0)) return failed(dtypeOfMask(output.from.name, output.at))
  const dtypes = dtypesOf(output, value, layers)
  if (dtypes.type === 'failed') return dtypes
  const tags = tagsOf(recipe, output, adapters)
  if (tags.type === 'failed') return tags
  const slots = slotsOf(value)
  const tensors = slots.map((slot) => ({ name: slot.name, dtype: dtypes.value(slot), shape: slot.shape }))
  const path = resolve(folders.out ?? folders.recipe, output.path)
  const laid = layOut(path, tensors, { ...metadataOf(recipe, output), ...tags.value }, output.shardBytes)
  const byName = new Map(tensors.map((t) => [t.name, t] as const))
  const roots = (): readonly Root[] => [...laid.at].map(([name, at]): Root => {
    const tensor = byName.get(name)!
    return {
      value: value.kind === 'mask' ? value.mask(name) : (value as Value & { kind: 'model' }).tensor(name),
      shape: tensor.shape,
      target: { ...at, output: index, tensor: name, dtype: tensor.dtype, step: output.from.name, allowNonFinite: output.nonFinite === 'allow' },
    }
  })
  return ok({ output: { name: output.name, label: output.path, files: laid.files, index: laid.index, tensors }, roots }, tags.diagnostics)
}

/** Every path an output writes. */
export const pathsOf = (output: PlannedOutput): readonly string[] =>
  [...output.files.map((f) => f.path), ...(output.index === undefined ? [] : [output.index.path])]

/** A file or several that an output writes, as far as paths are concerned. */
export interface Destination {
  readonly name: string
  readonly label: string
  readonly paths: readonly string[]
}

/** Outputs that would overwrite an input, the recipe, or each other. */
export const pathProblems = (recipe: Recipe, folders: Folders, outputs: readonly Destination[], models: readonly PlannedModel[]): Diagnostic[] => {
  const inputs = new Map(models.flatMap((m) => [m.path, ...m.files.map((f) => f.path)].map((path) => [path, m.name] as const)))
  const own = resolve(folders.recipe, basename(recipe.source.path))
  const taken = new Map<string, string>()
  return outputs.flatMap((planned) => {
    const { pathAt } = recipe.outputs.get(planned.name)!
    const found = planned.paths.flatMap((path): Diagnostic[] => {
      const [model, other] = [inputs.get(path), taken.get(path)]
      taken.set(path, planned.name)
      if (model !== undefined) return [outputIsInput(planned.label, model, pathAt)]
      if (path === own) return [outputIsRecipe(planned.label, pathAt)]
      return other === undefined ? [] : [outputTwice(planned.label, other, pathAt, recipe.outputs.get(other)!.pathAt)]
    })
    return found.slice(0, 1)
  })
}
