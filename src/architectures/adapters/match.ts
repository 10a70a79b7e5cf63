import { alphaMixed, embeddingShared, patchesRotated, settingsUnknown } from '../../base/catalogue/adapter-config.js'
import { layersRepeated } from '../../base/catalogue/adapter-parameters.js'
import * as tensorProblems from '../../base/catalogue/adapter-tensors.js'
import * as problems from '../../base/catalogue/adapters.js'
import type { Diagnostic } from '../../base/diagnostic.js'
import { isObject } from '../../base/is-object.js'
import { append } from '../../base/lists.js'
import { failed, ok, type Result } from '../../base/result.js'
import type { Dtype } from '../../tensor/dtype.js'
import { sizeOf } from '../../tensor/info.js'
import { detectArchitecture, type Architecture } from '../detect.js'
import { findVocabulary } from '../vocabulary.js'
import { isOfText, kindBeside } from './beside.js'
import { missingTensors } from './complete.js'
import { rankOf } from './factors.js'
import { guessArchitecture, otherBase } from './guess.js'
import { storesInputsFirst } from './inputs-first.js'
import { groupAdapter, moduleOf, type GroupedAdapter } from './modules.js'
import { adapterNames, isAmbiguous, type AdapterNames } from './names.js'
import { overlapProblem, type Patched, type Sourced } from './overlap.js'
import { patchParameters } from './parameters.js'
import { makePatches, type Patch } from './patch.js'
import type { PatchContext } from './patch-context.js'
import { isFeedforward, unknownSettings } from './peft-config.js'
import { replaceWhole } from './replace.js'
import { configOf, numberOf, scalesOf, type ScaleSource } from './scale.js'
import { isSavedWhole } from './whole.js'
import { patchStacked } from './stacked.js'
import { widerShapes } from './widen.js'

/** An adapter, as a recipe names it. */
export interface NamedAdapter extends ScaleSource {
  /** Tensors that are ignored, as if the file did not have them. */
  readonly excluded?: ReadonlySet<string>
}

/** The model that an adapter is matched with. */
export interface Recipient {
  readonly label: string
  readonly tensors: ReadonlyMap<string, { readonly shape: readonly number[]; readonly dtype: Dtype }>
  readonly architecture: Architecture | undefined
  /** The numbers that its layers have in the file that they are from, if they were stacked. */
  readonly origins?: readonly number[] | undefined
}

/** What an adapter does to a model. */
export interface AdapterMatch {
  /** By tensor of the model; where one replaces it, that comes first. */
  readonly patches: ReadonlyMap<string, readonly Patch[]>
  /** Tensors of the adapter without a target in the model. */
  readonly unmatched: readonly string[]
  /** Embeddings of trigger words, which no model has a place for. */
  readonly bundled: readonly string[]
  /** The shapes of tensors of the model that are padded with zeros first. */
  readonly widened: ReadonlyMap<string, readonly number[]>
}

/** The first problem of each code: an adapter for another architecture is wrong in hundreds of places, in one way. */
const firstOfEach = (found: readonly Diagnostic[]): Diagnostic[] =>
  found.filter((d, i) => found.findIndex((other) => other.code === d.code) === i)

/** Names that suggest an adapter in an unknown layout. */
const LIKE_AN_ADAPTER = /lora|loha|locon|lokr|hada|dora|glora|oft_|ia3|vera_|(?:^|[._])(?:up|down)(?:\.weight)?$/i

/** What is wrong with a file before a model is looked at; undefined for an adapter of a kind that smelt applies. */
const fileProblem = (
  { label, file, at }: NamedAdapter,
  { modules, others, twice, refused }: GroupedAdapter,
): Diagnostic | undefined => {
  if (refused !== undefined) return problems.unsupportedAdapter(at, label, refused.kind, `\`${refused.tensor}\``)
  // Some networks have parameters called `alpha`: these alone make no adapter of a checkpoint.
  const known =
    file.config !== undefined ||
    modules.some(({ tensors }) => [...tensors.keys()].some((role) => role !== 'alpha')) ||
    others.some(({ name }) => isSavedWhole(name))
  if (!known) {
    const names = [...file.tensors.keys()]
    const title = detectArchitecture(file.tensors)?.title
    if (title !== undefined) return problems.notAnAdapter(at, label, names, title)
    const kind = kindBeside(names)
    if (kind !== undefined) return tensorProblems.loadedBeside(at, label, kind)
    const telling = names.filter((name) => LIKE_AN_ADAPTER.test(name))
    return telling.length > 0
      ? tensorProblems.unknownLayout(at, label, telling)
      : problems.notAnAdapter(at, label, names)
  }
  return twice.length > 0 ? problems.twoInOne(at, label, twice) : undefined
}

/**
 * Finds which tensors of a model an adapter changes, and how. Tensors without a target are an error only if `strict`;
 * all other problems always are.
 */
export const matchAdapter = (adapter: NamedAdapter, model: Recipient, strict: boolean): Result<AdapterMatch> => {
  const { label, file, at, excluded } = adapter
  const config = configOf(adapter)
  if (config?.type === 'failed') return config
  const repeated = config?.value.repeated ?? []
  const stacked = repeated.flatMap(([first, end]) => Array.from({ length: end - first }, (_, i) => first + i))
  if (repeated.length > 0 && stacked.join() !== model.origins?.join())
    return failed(layersRepeated(at, label, model.label, repeated))
  const tensors =
    excluded === undefined ? file.tensors : new Map([...file.tensors].filter(([name]) => !excluded.has(name)))
  if (tensors.size === 0 && file.tensors.size > 0) return failed(problems.allExcluded(at, label))
  const grouped = groupAdapter(tensors)
  const refusal = fileProblem(adapter, grouped)
  if (refusal !== undefined) return failed(refusal)
  const { architecture } = model
  const guess = guessArchitecture(file.tensors)
  const related = guess === undefined || architecture === undefined || guess.ids.includes(architecture.id)
  const architectureMismatch = related ? undefined : { adapter: guess.title, model: architecture.title }
  const names = adapterNames(model.tensors, architecture)
  const widened = widerShapes(adapter, grouped.modules, names, model.tensors)
  if (widened.type === 'failed') return widened
  const making: PatchContext = {
    adapter: label,
    model: model.label,
    at,
    tensors: widen(model.tensors, widened.value),
    scaleOf: scalesOf(adapter),
    numberOf: (scalar) =>
      scalar.dtype === 'BOOL' ? (file.scalars.get(scalar.name)?.[0] ?? NaN) : numberOf(file, scalar),
    inputsFirst: config === undefined ? () => false : storesInputsFirst(model.tensors, config.value.fanInFanOut),
    onInputs: (module) => (config === undefined ? undefined : isFeedforward(config.value, module)),
    parameters: config?.value.parameters ?? [],
    oft: config?.value.oft,
    architectureMismatch,
  }

  const whole = replaceWhole(grouped.others, names, making)
  const { patched: parameters, rest } = patchParameters(grouped.modules, names, making)
  const { patched: experts, rest: layers } = patchStacked(rest, names, making)
  const factored = patchModules(layers, names, making)
  const parts = [whole, parameters, experts, factored]
  const found = parts.flatMap((part) => part.problems)
  const unmatched = [...whole.unmatched, ...factored.unmatched]
  const patches = new Map<string, Sourced[]>()
  for (const [tensor, sourced] of parts.flatMap((part) => part.patches))
    patches.set(tensor, [...(patches.get(tensor) ?? []), sourced])
  if (found.length === 0 && patches.size === 0)
    return failed(problems.nothingMatched(at, label, model.label, architectureMismatch, isOfText(unmatched)))
  for (const [tensor, sourced] of patches) {
    const problem = overlapProblem(at, label, tensor, sourced)
    if (problem !== undefined) found.push(problem)
  }
  if (config !== undefined) append(found, missingTensors(adapter, config.value, model.tensors, patches))
  if (strict && unmatched.length > 0)
    found.push(
      tensorProblems.unmatchedTensors(
        at,
        label,
        model.label,
        unmatched,
        file.tensors.size,
        architectureMismatch,
        isOfText(unmatched),
        moduleOf(unmatched[0]!),
      ),
    )
  return found.length > 0
    ? failed(...firstOfEach(found))
    : ok(
        {
          patches: new Map([...patches].map(([tensor, all]) => [tensor, all.map(({ patch }) => patch)])),
          unmatched,
          bundled: grouped.bundled,
          widened: widened.value,
        },
        warningsOf(adapter, grouped, patches, making, architecture),
      )
}

/** What is odd about an adapter that can be applied. */
const warningsOf = (
  { label, file, at }: NamedAdapter,
  { modules }: GroupedAdapter,
  patches: ReadonlyMap<string, readonly Sourced[]>,
  { model, tensors }: PatchContext,
  architecture: Architecture | undefined,
): readonly Diagnostic[] => {
  const rotated = [...patches].flatMap(([tensor, sourced]) =>
    sizeOf(tensors.get(tensor)!.shape.slice(2)) > 1 ? sourced.filter(({ patch }) => rotatesPatches(patch)) : [],
  )
  const base = architecture && otherBase(file.tensors, file.metadata, architecture.id)
  const unknown = unknownSettings(file.config)
  const shared = sharedEmbedding(tensors, patches)
  const factored = modules.filter((module) => rankOf(module) !== undefined)
  const unscaled = factored.filter((module) => !module.tensors.has('alpha'))
  return [
    ...(rotated.length === 0 ? [] : [patchesRotated(at, label, [...new Set(rotated.map(({ module }) => module))])]),
    ...(unscaled.length === 0 || unscaled.length === factored.length || file.config !== undefined
      ? []
      : [
          alphaMixed(
            at,
            label,
            unscaled.map(({ name }) => name),
            factored.length,
          ),
        ]),
    ...(shared === undefined || !isObject(file.config) || file.config['ensure_weight_tying'] === true
      ? []
      : [embeddingShared(at, label, model, shared)]),
    ...(unknown.length === 0 ? [] : [settingsUnknown(at, label, unknown)]),
    ...(base === undefined
      ? []
      : [tensorProblems.adapterOtherBase(at, label, { adapter: base.title, model: architecture!.title })]),
  ]
}

/** Embeddings of models that have no output layer, rather than these as one. */
const NO_OUTPUT = /(?:^|\.)embeddings\.word_embeddings\.weight$/

/** An embedding that is changed and is the output layer, too. */
const sharedEmbedding = (
  tensors: PatchContext['tensors'],
  patches: ReadonlyMap<string, unknown>,
): string | undefined => {
  const found = findVocabulary(tensors)
  const isShared = found?.head === undefined && found !== undefined && !NO_OUTPUT.test(found.embedding)
  return isShared && patches.has(found.embedding) ? found.embedding : undefined
}

/** True for OFT of PEFT, which in training rotates the patches that a kernel sees; its BOFT rotates the weight. */
const rotatesPatches = ({ change }: Patch): boolean =>
  change.type === 'rotate-inputs' && change.by.factors === undefined

/** Tensors with the shapes that some are padded to. */
const widen = (tensors: Recipient['tensors'], shapes: ReadonlyMap<string, readonly number[]>): Recipient['tensors'] =>
  shapes.size === 0
    ? tensors
    : new Map([...tensors].map(([name, info]) => [name, { ...info, shape: shapes.get(name) ?? info.shape }]))

const patchModules = (modules: GroupedAdapter['modules'], names: AdapterNames, making: PatchContext): Patched => {
  const { adapter, at } = making
  const patches: (readonly [string, Sourced])[] = []
  const unmatched: string[] = []
  const found: Diagnostic[] = []
  for (const module of modules) {
    const targets = names.get(module.name) ?? []
    if (targets.length === 0) {
      append(
        unmatched,
        [...module.tensors.values()].map(({ name }) => name),
      )
      continue
    }
    if (isAmbiguous(targets)) {
      found.push(
        problems.ambiguousName(
          at,
          adapter,
          module.name,
          targets.map((t) => (t.weight ?? t.bias)!),
        ),
      )
      continue
    }
    const made = targets.map((target) => makePatches(module, target, making, targets))
    for (const { diagnostics } of made) append(found, diagnostics)
    const parts = made.flatMap((m) => (m.type === 'ok' ? [m.value] : []))
    if (parts.length < targets.length) continue
    append(unmatched, [...new Set(parts.flatMap((part) => part.unmatched))])
    for (const { tensor, patch } of parts.flatMap((part) => part.aimed))
      patches.push([tensor, { module: module.name, patch }])
  }
  return { patches, unmatched, problems: found }
}
