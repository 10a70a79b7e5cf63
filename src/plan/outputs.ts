import { basename, dirname, join } from 'node:path'
import { readTags } from '../architectures/adapters/tags.js'
import { filesWithoutFolder, folderOfOther } from '../base/catalogue/model-folders.js'
import { deltaOutput, dtypeOfMask } from '../base/catalogue/plan.js'
import { vocabularyWithoutFolder } from '../base/catalogue/vocabularies.js'
import { toDigest } from '../base/digest.js'
import { resolvePath } from '../base/resolve-path.js'
import { failed, ok, type Result } from '../base/result.js'
import type { Sliced } from '../base/slices.js'
import type { Graph } from '../graph/graph.js'
import { tensorClassOf, type TensorClass } from '../operators/tensor-class.js'
import type { Value } from '../operators/value.js'
import { stepOf } from '../recipe/scope.js'
import type { Output, Recipe } from '../recipe/recipe.js'
import { PEFT_ADAPTER } from '../safetensors/adapter-file.js'
import { layoutFile, type TensorOutline } from '../safetensors/layout.js'
import { layoutShards } from '../safetensors/shards.js'
import { sizeOf } from '../tensor/info.js'
import type { LayerContext } from './context.js'
import type { OpenedInputs } from './inputs.js'
import type { ModelFolder } from './model-folder.js'
import { planPeftConfig } from './peft-folder.js'
import type { PlannedFile, PlannedOutput, HeaderFacts, Target, WholeFile } from './plan.js'
import { parentsOf, provenance } from './provenance.js'
import { quantisationMetadata } from './quantisation-metadata.js'
import { planSideFiles } from './side-files.js'
import type { PlannedVocabulary } from './vocabulary.js'
import { writtenTensors } from './written.js'

/** Stands in for what is not known yet, in the same length. */
const UNKNOWN = toDigest(new Uint8Array(32))
const UNSEALED: HeaderFacts = { lock: UNKNOWN, input: () => UNKNOWN }

/** One setting of a recipe's params, and the files it then reads. */
export interface Setting {
  readonly recipe: Recipe
  readonly inputs: OpenedInputs
  /** What stands beside its models, by name, where an output is a folder. */
  readonly folders?: ReadonlyMap<string, ModelFolder>
  /** What is set, such as `keep=0.4`; empty where there is only one setting. */
  readonly label: string
}

/** One tensor of an output: its shape, and where it goes. */
export interface Root {
  readonly shape: readonly number[]
  readonly target: Target
}

/** A planned output and its tensors in the order of their bytes. */
export interface OutputRoots {
  /** Which setting of the params it belongs to. */
  readonly setting: number
  readonly output: PlannedOutput
  /** Which of its tensors are made alike, where that is known. */
  readonly tensorClass: TensorClass | undefined
  /** Builds the expressions of all tensors, or of the wanted ones, which is most of the work of planning. */
  roots(isWanted?: (tensor: string) => boolean): Sliced<readonly Root[]>
}

/** Where outputs are written: the recipe's folder unless `--out` says otherwise. */
export interface Folders {
  readonly recipe: string
  readonly out: string | undefined
}

/** The tags of the adapters an output names, added up, most frequent first, as JSON. */
const tagsOf = (output: Output, inputs: OpenedInputs): Result<Record<string, string>> => {
  const read = output.tags.map(({ name }) => {
    const input = inputs.get(name)
    // What a step makes was never trained, and has no tags.
    return readTags(input?.file.metadata ?? new Map(), input?.path ?? name)
  })
  const counts = new Map<string, number>()
  for (const { tag, count } of read.flatMap((r) => (r.type === 'ok' ? r.value : [])))
    counts.set(tag, (counts.get(tag) ?? 0) + count)
  const sorted = [...counts].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
  return ok(
    sorted.length === 0 ? {} : { 'smelt.tags': JSON.stringify(sorted) },
    read.flatMap((r) => r.diagnostics),
  )
}

const metadataOf = (
  { recipe, inputs }: Setting,
  output: Output,
  value: Value,
  tensors: ReadonlyMap<string, TensorOutline>,
  { lock, input }: HeaderFacts,
): Readonly<Record<string, string>> =>
  provenance({
    recipe,
    output,
    kind:
      value.kind === 'mask' || value.kind === 'adapter' ? value.kind : value.kind === 'model' ? value.space : 'weights',
    ...(value.kind === 'adapter' ? { told: value.file.metadata } : {}),
    tensors,
    build: lock,
    parents: parentsOf(recipe, output.from.name, (name) => inputs.get(name)!.file, input),
  })

interface Laid {
  readonly files: readonly PlannedFile[]
  readonly index: PlannedOutput['index']
  readonly at: ReadonlyMap<string, { readonly path: string; readonly begin: number }>
}

const layOut = (
  path: string,
  tensors: readonly TensorOutline[],
  metadata: Readonly<Record<string, string>>,
  shardBytes: number | undefined,
): Laid => {
  const place = (file: string, offsets: ReadonlyMap<string, { readonly begin: number }>) =>
    [...offsets].map(([name, o]) => [name, { path: file, begin: o.begin }] as const)
  if (shardBytes === undefined) {
    const layout = layoutFile(tensors, metadata)
    return {
      files: [{ path, header: layout.header, bytes: layout.bytes }],
      index: undefined,
      at: new Map(place(path, layout.offsets)),
    }
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

/** What an output is planned with. */
export interface OutputContext {
  readonly graph: Graph
  readonly layers: LayerContext
  readonly vocabulary?: PlannedVocabulary | undefined
}

/** Plans one output: its tensors, their dtypes, and the byte each begins at. */
export const planOutput = (
  own: Setting,
  setting: number,
  output: Output,
  index: number,
  value: Value,
  { graph, layers, vocabulary }: OutputContext,
  folders: Folders,
): Result<OutputRoots> => {
  if (value.kind === 'model' && value.space === 'delta' && !output.delta)
    return failed(deltaOutput(output.from.name, output.from.at))
  if (value.kind === 'mask' && (output.dtype !== 'same' || output.dtypeRules.length > 0))
    return failed(dtypeOfMask(output.from.name, output.at))
  const contents = writtenTensors(graph, output, value, layers)
  if (contents.type === 'failed') return contents
  const tags = tagsOf(output, own.inputs)
  if (tags.type === 'failed') return tags
  const { tensors: written, unscaled, quantised } = contents.value
  const tensors = written.map(({ name, dtype, shape }) => ({ name, dtype, shape }))
  const byName = new Map(written.map((t) => [t.name, t] as const))
  const place = resolvePath(folders.out ?? folders.recipe, output.path)
  const adapter = value.kind === 'adapter' ? value.file : undefined
  const path = output.folder ? join(place, adapter === undefined ? 'model.safetensors' : PEFT_ADAPTER) : place
  if (output.files !== undefined && !output.folder) return failed(filesWithoutFolder(output.files.at, output.path))
  if (output.chatTemplate !== undefined && !output.folder)
    return failed(filesWithoutFolder(output.chatTemplate.at, output.path, 'chat_template'))
  if (output.folder && adapter === undefined && (value.kind !== 'model' || value.space !== 'weights'))
    return failed(folderOfOther(output.pathAt, output.path, value.kind === 'model' ? 'difference' : value.kind))
  const whole = value.kind === 'model' && value.space === 'weights'
  const sides =
    adapter !== undefined
      ? planPeftConfig(adapter, output, place)
      : output.folder
        ? planSideFiles(
            own,
            output,
            place,
            byName,
            {
              unscaled: unscaled > 0 && quantised.length === 0,
              ...(value.kind === 'model' ? { change: value.config, origins: value.origins } : {}),
            },
            { layers, vocabulary },
          )
        : ok([], whole && vocabulary?.unchanged === false ? [vocabularyWithoutFolder(output.pathAt, output.name)] : [])
  if (sides.type === 'failed') return sides
  const quantisation = quantisationMetadata(
    [...own.inputs.values()].map(({ file }) => file),
    quantised,
  )
  const lay = (facts: HeaderFacts): Laid =>
    layOut(
      path,
      tensors,
      { ...quantisation, ...metadataOf(own, output, value, byName, facts), ...tags.value },
      output.shardBytes,
    )
  const laid = lay(UNSEALED)
  const finalizeHeader = (facts: HeaderFacts): readonly Uint8Array[] =>
    lay(facts).files.map((f, i) => {
      if (f.header.length !== laid.files[i]!.header.length)
        throw new Error(`the header of ${f.path} changed its length when it was finalized`)
      return f.header
    })
  function* roots(isWanted?: (tensor: string) => boolean): Sliced<readonly Root[]> {
    const found: Root[] = []
    for (const [name, at] of laid.at) {
      if (isWanted?.(name) === false) continue
      yield
      found.push(rootOf(name, at))
    }
    return found
  }
  const advice = own.recipe.steps.get(stepOf(output.from.name))?.operator.nonFinite
  const rootOf = (name: string, at: { readonly path: string; readonly begin: number }): Root => {
    const tensor = byName.get(name)!
    return {
      shape: tensor.shape,
      // Written out, for of what is spread every one would get a layout of its own.
      target: {
        path: at.path,
        begin: at.begin,
        output: index,
        tensor: name,
        elements: sizeOf(tensor.shape),
        dtype: tensor.dtype,
        step: output.from.name,
        advice,
        allowNonFinite: output.nonFinite === 'allow',
        value: tensor.value(name),
      },
    }
  }
  return ok(
    {
      setting,
      output: {
        name: output.name,
        label: output.path,
        from: output.from.name,
        setting,
        files: laid.files,
        index: laid.index,
        sides: sides.value,
        tensors,
        unscaled,
        finalizeHeader,
        kept: undefined,
      },
      tensorClass: value.kind === 'model' || value.kind === 'mask' ? tensorClassOf(value) : undefined,
      roots,
    },
    [...contents.diagnostics, ...tags.diagnostics, ...sides.diagnostics],
  )
}

/** The files of an output that are written as they are: its index, and what belongs to a folder. */
export const wholeFilesOf = ({ index, sides }: PlannedOutput): readonly WholeFile[] => [
  ...(index === undefined ? [] : [index]),
  ...sides,
]

/** Every path an output writes. */
export const pathsOf = (output: PlannedOutput): readonly string[] => [
  ...output.files.map((f) => f.path),
  ...wholeFilesOf(output).map((f) => f.path),
]
