import type { Diagnostic, Place } from '../diagnostic.js'
import { entry } from './entry.js'
import { listNames, quoteName } from './file-entry.js'

/** An adapter where a model is needed. */
export const adapterAsModel = (at: Place, label: string): Diagnostic =>
  entry('adapter-as-model', `${label} is a LoRA or similar, not a model, and cannot be merged like one`, {
    at,
    help: 'list it under `adapters`, and apply it to a model with `adapter.apply`',
  })

/** What a tensor says about a model, for tensors by which programs recognise one. */
export const meanings = {
  guidance: 'takes the guidance strength',
  head: 'is the output layer of the model',
  schedule: 'sets the noise schedule of the model',
  velocities: 'marks a v-prediction model',
  zeroSignal: 'marks a model with a zero terminal SNR schedule',
} as const

interface Titled {
  readonly label: string
  readonly title: string
}

/** Two models of one step are different networks. */
export const architecturesDiffer = (at: Place, first: Titled, other: Titled): Diagnostic =>
  entry('architectures-differ', `${first.label} is ${first.title}, but ${other.label} is ${other.title}`, {
    at,
    help: 'merge models of one architecture; to merge tensors that only share name and shape, write `architectures: mixed` besides `missing: keep` and `mismatch: keep`',
  })

interface Counted {
  readonly label: string
  readonly count: number
}

/** A later model takes more input channels than the first. A warning: the result takes as many as the first. */
export const channelsDropped = (at: Place, tensor: string, first: Counted, other: Counted): Diagnostic =>
  entry(
    'channels-dropped',
    `${other.label} takes ${other.count} input channels at ${quoteName(tensor)}, but the result takes ${first.count}, as ${first.label} does`,
    {
      at,
      severity: 'warning',
      help: `put ${other.label} first to keep its input channels`,
    },
  )

/** A mask that was made for another model. */
export const foreignMask = (at: Place, mask: string, model: string, names: readonly string[]): Diagnostic =>
  entry(
    'foreign-mask',
    `${mask} covers no tensor of ${model}; ${names.length === 0 ? 'it covers none at all' : `it covers ${listNames(names, 3)}`}`,
    {
      at,
      help: 'make the mask from this model, or from one of the same architecture',
    },
  )

/**
 * A tied model is merged with one that has an output layer of its own, which the result then has too. A warning, since
 * its config has to say so.
 */
export const headUntied = (at: Place, head: string, first: string, other: string): Diagnostic =>
  entry(
    'head-untied',
    `${first} uses its embedding as output layer, but ${other} has its own ${quoteName(head)}, so the result has one too`,
    {
      at,
      severity: 'warning',
      help: 'write the result to a folder (a path that ends in `/`), whose `config.json` then says so, or set `tie_word_embeddings` to false in the one that you put beside it',
    },
  )

/** Why a model lacks tensors of the first. `parts`: it lacks whole components, and has the others completely. */
export type MissingReason =
  | { readonly type: 'some' }
  | { readonly type: 'strange' }
  | { readonly type: 'naming'; readonly first: string; readonly other: string }
  | { readonly type: 'parts'; readonly has: readonly string[]; readonly lacks: readonly string[] }

const adviceFor = (reason: MissingReason, first: string, other: string): string => {
  switch (reason.type) {
    case 'some':
      return `write \`missing: keep\` to take such tensors from ${first}, or leave them out with \`layers:\``
    case 'strange':
      return `check that both are the same kind of network: almost no tensor of ${first} has a counterpart in ${other}; \`smelt inspect\` shows the names of both`
    case 'naming':
      return `convert ${other} first: its tensors are named as in ${reason.other}, those of ${first} as in ${reason.first}`
    case 'parts':
      return `write \`layers: ${reason.has.length === 1 ? `component:${reason.has[0]!}` : `["${reason.has.map((c) => `component:${c}`).join('", "')}"]`}\`, since ${other} has nothing else of ${first}, or \`missing: keep\` to take ${reason.lacks.join(', ')} from ${first}`
  }
}

/** A tensor that another model lacks. */
export const missingTensor = (
  at: Place,
  tensor: string,
  first: string,
  other: string,
  reason: MissingReason,
): Diagnostic =>
  entry('missing-tensor', `${other} has no tensor \`${tensor}\`, which ${first} has`, {
    at,
    help: adviceFor(reason, first, other),
  })

/** Why the tensors of a step were not merged, counted. */
export interface Fates {
  readonly missing: number
  readonly mismatched: number
  readonly unmasked: number
  readonly constant: number
  /** Integer tensors. */
  readonly whole: number
}

const FATES: readonly (readonly [keyof Fates, one: string, many: string])[] = [
  ['missing', 'missing in another model', 'missing in another model'],
  ['mismatched', 'with another shape or dtype in another model', 'with another shape or dtype in another model'],
  ['unmasked', 'not covered by the mask', 'not covered by the mask'],
  ['constant', 'constant', 'constants'],
  ['whole', 'integer tensor', 'integer tensors'],
]

/** What to do about a step that merges nothing, by what became of its tensors. */
const mendStep = (fates: Fates, first: string, reason: MissingReason | undefined): string => {
  if (fates.missing === 0 && fates.mismatched === 0)
    return fates.unmasked > 0
      ? `use a mask that covers tensors of ${first}, or remove the step`
      : 'select floating-point tensors, since only these are merged, or remove the step'
  return reason === undefined || reason.type === 'some' || reason.type === 'parts'
    ? `use models that share tensors with ${first}, or remove the step`
    : adviceFor(reason, first, 'the other model')
}

/**
 * A step that does nothing to any tensor, although the recipe does not say so: a merge would give its first model, a
 * mask would know nothing.
 */
export const nothingMerged = (
  at: Place,
  step: string,
  gives: 'model' | 'mask',
  fates: Fates,
  first: string,
  reason: MissingReason | undefined,
): Diagnostic => {
  const told = FATES.filter(([key]) => fates[key] > 0).map(
    ([key, one, many]) => `${fates[key]} ${fates[key] === 1 ? one : many}`,
  )
  const outcome =
    gives === 'model'
      ? `merges no tensor, so it would give ${first} unchanged`
      : 'compares no tensor, so its mask would be empty'
  return entry('nothing-merged', `step \`${step}\` ${outcome}: ${told.join(', ')}`, {
    at,
    help: mendStep(fates, first, reason),
  })
}

/** Only a later model has a tensor by which programs decide what a model is. A warning: the result lacks it. */
export const tensorDropped = (at: Place, tensor: string, meaning: string, first: string, other: string): Diagnostic =>
  entry('tensor-dropped', `${quoteName(tensor)} of ${other} ${meaning}, but the result lacks it, as ${first} does`, {
    at,
    severity: 'warning',
    help: `put ${other} first to keep it, or merge models that agree in this`,
  })
