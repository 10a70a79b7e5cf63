import type { Diagnostic, Place } from '../diagnostic.js'
import { entry } from './entry.js'
import { listNames, quoteName, refusal, shapeText, warning } from './file-entry.js'

/** Rows of a tensor that a module changes. */
interface RowRange {
  readonly first: number
  readonly count: number
}

const inRows = (rows: RowRange | undefined): string =>
  rows === undefined ? '' : `rows ${rows.first} to ${rows.first + rows.count - 1} of `

/** The architecture an adapter seems to be for, and that of the model, where the two differ. */
export interface ArchitectureMismatch {
  readonly adapter: string
  readonly model: string
}

/** The end of a sentence about an adapter that is for another architecture. */
export const madeFor = (architectureMismatch: ArchitectureMismatch | undefined): string =>
  architectureMismatch === undefined
    ? ''
    : `; it looks like an adapter for ${architectureMismatch.adapter}, and the model is ${architectureMismatch.model}`

/** An alpha that is not one number. */
export const alphaNotScalar = (at: Place, adapter: string, tensor: string, shape: readonly number[]): Diagnostic =>
  entry('bad-alpha', `${quoteName(tensor)} of ${adapter} is ${shapeText(shape)}; an alpha is a single number`, {
    at,
    help: 'save the adapter again with the program it comes from',
  })

/** An adapter's names could mean several modules of the model. */
export const ambiguousName = (at: Place, adapter: string, name: string, targets: readonly string[]): Diagnostic =>
  entry('ambiguous-adapter-name', `${quoteName(name)} of ${adapter} can mean ${listNames(targets)}`, {
    at,
    help: 'rename its tensors after the model’s tensors, followed by `.lora_up.weight` and so on',
  })

/** The header of an adapter should say how it is scaled, but cannot be read. */
export const badAdapterMetadata = (at: Place, adapter: string): Diagnostic =>
  entry(
    'bad-adapter-config',
    `\`lora_adapter_metadata\` in the header of ${adapter} is not a JSON object, so its scale is unknown`,
    {
      at,
      help: 'download the file again from where the adapter came from',
    },
  )

/** An alpha that gives no usable scale. */
export const badAlpha = (at: Place, adapter: string, tensor: string, value: number, most: number): Diagnostic =>
  entry(
    'bad-alpha',
    `alpha ${quoteName(tensor)} of ${adapter} is ${value}; it must be above 0${value > 0 ? `, and at most ${most}` : ''}`,
    {
      at,
      help: 'download the file again: it is damaged. To subtract an adapter, use a negative `strength`',
    },
  )

/** Factors that cannot be multiplied, or whose rank differs from the stated one. */
const badRank = (at: Place, adapter: string, module: string, reason: string): Diagnostic =>
  entry('bad-rank', `the factors of ${quoteName(module)} of ${adapter} do not fit: ${reason}`, {
    at,
    help: 'download the file again: it is damaged or was put together from several',
  })

/** The rank in the config is not that of the factors. */
export const rankOtherThanConfig = (
  at: Place,
  adapter: string,
  module: string,
  rank: number,
  said: number,
): Diagnostic => badRank(at, adapter, module, `their rank is ${rank}, but the config says ${said}`)

/** Factors of rank 0. */
export const rankZero = (at: Place, adapter: string, module: string): Diagnostic =>
  badRank(at, adapter, module, 'their rank is 0')

/** Factors whose shapes have no rank in common. */
export const factorsApart = (
  at: Place,
  adapter: string,
  module: string,
  factors: readonly { readonly name: string; readonly shape: readonly number[] }[],
): Diagnostic =>
  badRank(
    at,
    adapter,
    module,
    `no rank is common to ${factors.map(({ name, shape }) => `${quoteName(name)}, which is ${shapeText(shape)}`).join(', and ')}`,
  )

/** Why the tags of a trainer cannot be read. */
export const tagReasons = {
  countNotNumber: (tag: string): string => `the count of “${tag}” is not a number`,
  notFolders: 'it is not a map of folders to tags',
} as const

/** Tags that are not the JSON they should be. */
export const badTags = (path: string, reason: string): Diagnostic =>
  warning(
    'bad-tags',
    path,
    `\`ss_tag_frequency\` in the metadata of ${path} cannot be read: ${reason}`,
    'ignore this unless you need its tags: the adapter itself works',
  )

/** A PEFT adapter without its config: nothing in the tensors gives the scale. */
export const configMissing = (at: Place, adapter: string): Diagnostic =>
  entry('adapter-config-missing', `${adapter} states no scale: it has neither alphas nor an \`adapter_config.json\``, {
    at,
    help: 'name it `adapter_model.safetensors` and put its `adapter_config.json` beside it, or give its alpha in the recipe: `{ path: …, alpha: 16 }`',
  })

/** The config beside an adapter is not JSON. */
export const configNotJson = (path: string, reason: string): Diagnostic =>
  refusal(
    'adapter-config-not-json',
    path,
    `${path} is not JSON: ${reason}`,
    'download the file again from where the adapter came from',
  )

/** A difference whose shape is not that of the tensor it is added to. */
export const deltaShape = (
  at: Place,
  adapter: string,
  module: string,
  delta: readonly number[],
  tensor: string,
  shape: readonly number[],
  architectureMismatch?: ArchitectureMismatch,
  rows?: RowRange,
): Diagnostic =>
  entry(
    'adapter-shape',
    `${quoteName(module)} of ${adapter} makes a difference of ${shapeText(delta)}, but ${
      rows === undefined
        ? `${quoteName(tensor)} is ${shapeText(shape)}`
        : `it changes ${inRows(rows)}${quoteName(tensor)}, which is ${shapeText(shape)}`
    }${madeFor(architectureMismatch)}`,
    {
      at,
      help: 'use an adapter that was trained on this architecture',
    },
  )

/** An adapter tensor, or its target, with a dtype that cannot be computed with. */
export const factorDtype = (at: Place, tensor: string, holder: string, dtype: string): Diagnostic =>
  entry(
    'adapter-dtype',
    `${quoteName(tensor)} of ${holder} is ${dtype}; the tensors of an adapter must be floating point`,
    {
      at,
      help: 'save it as F32, F16 or BF16 with the program it comes from',
    },
  )

/** One factor of a pair is missing. */
export const factorMissing = (at: Place, adapter: string, module: string, missing: readonly string[]): Diagnostic =>
  entry('factor-missing', `${quoteName(module)} of ${adapter} has no ${missing.join(' and no ')}`, {
    at,
    help: 'download the file again: it is incomplete',
  })

/** A factor with the shape it has and the shape it needs; `rows` are those of the weight that it changes. */
export interface FactorPlace {
  readonly adapter: string
  readonly module: string
  readonly factor: string
  readonly found: readonly number[]
  readonly wanted: readonly number[]
  /** Undefined for tensors that have nothing to do with a rank. */
  readonly rank: number | undefined
  readonly tensor: string
  readonly shape: readonly number[]
  readonly rows: RowRange | undefined
}

/** A factor of another shape than its target and its rank ask for. */
export const factorShape = (
  at: Place,
  { adapter, module, factor, found, wanted, rank, tensor, shape, rows }: FactorPlace,
  architectureMismatch?: ArchitectureMismatch,
): Diagnostic => {
  const target = `${inRows(rows)}${quoteName(tensor)}, which is ${shapeText(shape)}`
  const ranked = rank === undefined ? '' : `its rank is ${rank}, and `
  return entry(
    'adapter-shape',
    `${quoteName(factor)} of ${adapter} is ${shapeText(found)}, but ${quoteName(module)} needs ${shapeText(wanted)}: ${ranked}it changes ${target}${madeFor(architectureMismatch)}`,
    {
      at,
      help: 'use an adapter that was trained on this architecture; if this one was, the file is damaged: download it again',
    },
  )
}

/** A file without adapter tensors; `title` is its architecture if it is a whole model. */
export const notAnAdapter = (at: Place, adapter: string, tensors: readonly string[], title?: string): Diagnostic =>
  title !== undefined
    ? entry('model-as-adapter', `${adapter} is a whole model (${title}), not an adapter`, {
        at,
        help: 'list it under `models`, and merge it with `merge.blend` or `merge.add_difference`',
      })
    : entry('not-an-adapter', `${adapter} contains no adapter weights; its tensors are ${listNames(tensors, 3)}`, {
        at,
        help: 'use a LoRA here; a whole model belongs under `models`',
      })

/** No tensor of an adapter has a target in the model; `ofText` is true where all of them are of text encoders. */
export const nothingMatched = (
  at: Place,
  adapter: string,
  model: string,
  architectureMismatch: ArchitectureMismatch | undefined,
  ofText: boolean,
): Diagnostic =>
  entry(
    'adapter-matches-nothing',
    `no tensor of ${adapter} has a target in ${model}${ofText ? '; all of them are of text encoders' : ''}${madeFor(architectureMismatch)}`,
    {
      at,
      help: ofText
        ? 'apply it to a model with these text encoders, or to the text encoder in a file of its own'
        : 'use an adapter that was trained on this architecture; `smelt inspect` shows the names of both',
    },
  )

/** An adapter of which a step leaves out every module. */
export const allExcluded = (at: Place, adapter: string): Diagnostic =>
  entry('adapter-all-excluded', `\`exclude\` leaves out every module of ${adapter}`, {
    at,
    help: 'exclude fewer modules, or remove the step; `smelt inspect` shows the names of the adapter',
  })

/** Several layers that an adapter has as one, and that seem to be stored transposed. */
export const rearranged = (at: Place, adapter: string, module: string, tensor: string): Diagnostic =>
  entry(
    'adapter-rearranged',
    `${quoteName(module)} of ${adapter} stands for several layers, of which ${quoteName(tensor)} is one, and they cannot be put together: they differ in their columns, or seem to be stored transposed`,
    {
      at,
      help: 'check `fan_in_fan_out` in the config of the adapter, which is true only for models such as GPT-2, or leave the module out with `exclude`',
    },
  )

/** A module has two tensors in one role: several adapters were saved together. */
export const twoInOne = (at: Place, adapter: string, tensors: readonly string[]): Diagnostic =>
  entry(
    'two-adapters',
    `${adapter} holds more than one adapter: other tensors already fill the roles of ${listNames(tensors, 3)}`,
    {
      at,
      help: 'save the adapter you want in a file of its own',
    },
  )

/** A matrix that an adapter stores both whole and by factors. */
export const twoForOne = (at: Place, adapter: string, module: string, tensors: readonly string[]): Diagnostic =>
  entry('two-changes', `${quoteName(module)} of ${adapter} has one matrix twice: ${listNames(tensors)}`, {
    at,
    help: 'save the adapter again with the program it comes from',
  })

/** One module has the tensors of two kinds of adapters. */
export const twoKinds = (at: Place, adapter: string, module: string): Diagnostic =>
  entry('two-changes', `${quoteName(module)} of ${adapter} has the tensors of two kinds of adapters at once`, {
    at,
    help: 'save only the intended one in a file of its own',
  })

/** A limit of rotations that is none; `value` is what the tensor holds. */
export const badConstraint = (at: Place, adapter: string, tensor: string, value: number): Diagnostic =>
  entry(
    'bad-alpha',
    `${quoteName(tensor)} of ${adapter} is ${value}; the constraint of an OFT is a number of 0 or above`,
    {
      at,
      help: 'download the file again: it is damaged',
    },
  )

/** A flag that is neither true nor false. */
export const badSide = (at: Place, adapter: string, tensor: string, value: number): Diagnostic =>
  entry('bad-alpha', `${quoteName(tensor)} of ${adapter} is ${value}; it must be 0 or 1`, {
    at,
    help: 'download the file again: it is damaged',
  })

/** Factors of a convolution with as many inputs as outputs, without a config that says which they are of. */
export const sideUnknown = (at: Place, adapter: string, tensor: string): Diagnostic =>
  entry(
    'adapter-config-missing',
    `${quoteName(tensor)} of ${adapter} can be for the inputs or the outputs of its convolution: no config says which`,
    {
      at,
      help: 'name it `adapter_model.safetensors` and put its `adapter_config.json` beside it',
    },
  )

/** Blocks of a rotation that do not divide the rows or columns they turn. */
export const blocksUneven = (
  at: Place,
  adapter: string,
  blocks: string,
  shape: readonly number[],
  lines: string,
  tensor: string,
): Diagnostic =>
  entry(
    'adapter-shape',
    `${quoteName(blocks)} of ${adapter} is ${shapeText(shape)}: blocks of that size do not divide the ${lines} of ${quoteName(tensor)}`,
    {
      at,
      help: 'use an adapter that was trained on this architecture; if this one was, the file is damaged: download it again',
    },
  )

/** A kind of adapter that smelt does not apply. */
export const unsupportedAdapter = (at: Place, adapter: string, kind: string, evidence: string): Diagnostic =>
  entry(
    'adapter-unsupported',
    `${adapter} holds ${kind}, as ${evidence} shows, which this version of smelt cannot apply`,
    {
      at,
      help: 'apply it with the program it was made for, or convert it to a plain LoRA',
    },
  )
