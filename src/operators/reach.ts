import { isAdapter } from '../architectures/adapters/recognise.js'
import type { Architecture } from '../architectures/detect.js'
import { namingOf } from '../architectures/naming.js'
import * as problems from '../base/catalogue/reach.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { isFloat } from '../tensor/dtype.js'
import type { Call, Note } from './operator.js'
import { pairOf } from './pair.js'
import type { MaskValue, ModelValue, Reference } from './value.js'

type Models = readonly Reference<ModelValue>[]

/** True where a file of one part (a VAE, an encoder) meets a model that has that part. */
const isPartOf = (part: Architecture, whole: Architecture, tensors: ModelValue['tensors']): boolean =>
  part.component !== 'unet' &&
  part.component !== 'transformer' &&
  [...tensors.keys()].some((name) => whole.locate(name).component === part.component)

/** What is wrong with models before any tensor is looked at: adapters among them, and architectures that differ. */
export const refuseModels = (call: Call, models: Models): Diagnostic | undefined => {
  const adapter = models.find(({ value }) => isAdapter(value.tensors))
  if (adapter !== undefined) return problems.adapterAsModel(adapter.at, adapter.value.label)
  if (call.shared.architectures === 'mixed') return undefined
  const first = models[0]!.value
  const known = call.architecture(first.tensors)
  if (known === undefined) return undefined
  for (const { value, at } of models.slice(1)) {
    const other = call.architecture(value.tensors)
    if (
      other === undefined ||
      other.id === known.id ||
      isPartOf(other, known, first.tensors) ||
      isPartOf(known, other, value.tensors)
    )
      continue
    return problems.architecturesDiffer(
      at,
      { label: first.label, title: known.title },
      { label: value.label, title: other.title },
    )
  }
  return undefined
}

/** A mask that covers no tensor of its model. */
export const refuseMask = (mask: Reference<MaskValue> | undefined, first: ModelValue): Diagnostic | undefined => {
  if (mask === undefined || first.tensors.size === 0) return undefined
  for (const name of mask.value.shapes.keys()) if (first.tensors.has(name)) return undefined
  return problems.foreignMask(mask.at, mask.value.label, first.label, [...mask.value.shapes.keys()])
}

/** Tensors by which programs recognise a kind of model, and what each means. */
const TELLING: readonly (readonly [pattern: RegExp, meaning: string])[] = [
  [/(?:^|\.)v_pred$/, problems.meanings.velocities],
  [/(?:^|\.)ztsnr$/, problems.meanings.zeroSignal],
  [/(?:^|\.)(?:edm_mean|edm_std|edm_vpred\.sigma_(?:min|max))$/, problems.meanings.schedule],
  [/(?:^|\.)(?:lm_head|embed_out)\.weight$/, problems.meanings.head],
  [/(?:^|\.)guidance_in\./, problems.meanings.guidance],
]

/** The input layers, whose shape gives the number of channels. */
const FIRST_LAYER =
  /(?:^|\.)(?:input_blocks\.0\.0|conv_in|img_in|x_embedder(?:\.proj)?|patch_embedding|patch_embed\.proj)\.weight$/

/** Notes tensors that only later models have, and warns if programs recognise a model by them. */
export const noteDropped = (call: Call, models: Models): readonly Diagnostic[] => {
  const first = models[0]!.value
  const dropped = new Set<string>()
  const warnings = models.slice(1).flatMap(({ value, at }) =>
    pairOf(first.tensors, value.tensors).beyond.flatMap((slot): Diagnostic[] => {
      const own = first.tensors.get(slot.name)
      if (own !== undefined) {
        return FIRST_LAYER.test(slot.name)
          ? [
              problems.channelsDropped(
                at,
                slot.name,
                { label: first.label, count: own.shape[1]! },
                { label: value.label, count: slot.shape[1]! },
              ),
            ]
          : []
      }
      if (dropped.has(slot.name)) return []
      dropped.add(slot.name)
      const meaning = TELLING.find(([pattern]) => pattern.test(slot.name))?.[1]
      return meaning === undefined ? [] : [problems.tensorDropped(at, slot.name, meaning, first.label, value.label)]
    }),
  )
  for (const tensor of dropped) call.note({ type: 'dropped', tensor })
  return warnings
}

/** Why a model lacks tensors of the first, which decides the advice. */
export const explainMissing = (call: Call, first: ModelValue, other: ModelValue): problems.MissingReason => {
  const names = [...first.tensors.values()]
    .filter(({ name, dtype }) => isFloat(dtype) && !call.isConstant(name, first.tensors))
    .map(({ name }) => name)
  const present = names.filter((name) => other.tensors.has(name))
  const [own, theirs] = [namingOf(first.tensors), namingOf(other.tensors)]
  if (own !== undefined && theirs !== undefined && own !== theirs) return { type: 'naming', first: own, other: theirs }
  const isLayer = (name: string): boolean => /\.\d+\./.test(name)
  const isUnlike = names.some(isLayer) && !present.some(isLayer) && [...other.tensors.keys()].some(isLayer)
  if (present.length === 0 || (isUnlike && present.length * 10 < names.length)) return { type: 'strange' }
  const architecture = call.architecture(first.tensors)
  if (architecture === undefined) return { type: 'some' }
  const componentsOf = (all: readonly string[]): ReadonlySet<string> =>
    new Set(all.map((name) => architecture.locate(name).component))
  const [has, lacks] = [componentsOf(present), componentsOf(names.filter((name) => !other.tensors.has(name)))]
  return [...lacks].some((component) => has.has(component))
    ? { type: 'some' }
    : { type: 'parts', has: [...has], lacks: [...lacks] }
}

/** Counts what happens to the tensors of a step, to notice if nothing was merged. */
export interface Counter {
  note(event: Note): void
  /** The step examined a tensor that the recipe does not exclude and that the operator can change. */
  examined(): void
  /** The recipe itself leaves a tensor as it is: it has no number there, or its mask is false. */
  left(): void
  /** The problem of a step that examined tensors and merged none, unless the recipe wants it so. */
  verdict(models: Models, gives: 'model' | 'mask'): Diagnostic | undefined
}

/** Follows one step. */
export const createCounter = (call: Call): Counter => {
  const counts = new Map<Note['type'], number>()
  let [examined, left] = [0, 0]
  return {
    note: (event) => {
      counts.set(event.type, (counts.get(event.type) ?? 0) + 1)
      call.note(event)
    },
    examined: () => void (examined += 1),
    left: () => void (left += 1),
    verdict: (models, gives) => {
      const count = (type: Note['type']): number => counts.get(type) ?? 0
      const [missing, mismatched, unmasked] = [count('missing'), count('mismatched'), count('unmasked')]
      if (count('merged') > 0 || examined === 0 || (missing + mismatched + unmasked === 0 && left > 0)) return undefined
      const [constant, first] = [count('constant'), models[0]!.value]
      const whole = examined - missing - mismatched - unmasked - constant - left
      const reason =
        missing === 0
          ? undefined
          : models
              .slice(1)
              .map(({ value }) => explainMissing(call, first, value))
              .find(({ type }) => type !== 'some')
      return problems.nothingMerged(
        call.at('op'),
        call.step,
        gives,
        { missing, mismatched, unmasked, constant, whole },
        first.label,
        reason,
      )
    },
  }
}
