import type { Diagnostic, Place } from '../diagnostic.js'
import { madeFor, type ArchitectureMismatch } from './adapters.js'
import { entry } from './entry.js'
import { listNames, quoteName, shapeText, warning } from './file-entry.js'

/** Adapter tensors without a target, which the recipe says to ignore. */
export const adapterTensorsIgnored = (
  at: Place,
  adapter: string,
  model: string,
  tensors: readonly string[],
  total: number,
): Diagnostic =>
  entry(
    'adapter-ignored',
    `ignoring ${tensors.length} of ${total} tensors of ${adapter}, which have no target in ${model}: ${listNames(tensors)}`,
    {
      at,
      severity: 'warning',
      help: 'use `exclude` to leave out only some of them: the result lacks what these were trained for',
    },
  )

/** An adapter of which `layers` select nothing. */
export const adapterOutsideLayers = (at: Place, adapter: string, model: string): Diagnostic =>
  entry(
    'adapter-outside-layers',
    `\`layers\` selects nothing that ${adapter} changes: the result is ${model} as it is`,
    {
      at,
      severity: 'warning',
      help: 'select tensors that `report.adapter` lists, or remove the step',
    },
  )

/** What programs load beside a model. */
export const besideKinds = {
  embedding: 'an embedding of a trigger word (textual inversion)',
  lllite: 'a ControlNet-LLLite',
  imagePrompt: 'an IP-Adapter',
  controlNet: 'a ControlNet',
  motion: 'a motion module (AnimateDiff)',
} as const

/** Something that is loaded beside a model, in the place of an adapter. */
export const loadedBeside = (at: Place, adapter: string, kind: string): Diagnostic =>
  entry('not-an-adapter', `${adapter} is ${kind}, which no weights of a model can take`, {
    at,
    help: 'load it beside the model in the program that you use it with, and remove the step',
  })

/** An adapter whose changes are all zero. A warning. */
export const adapterIdle = (path: string): Diagnostic =>
  warning(
    'adapter-idle',
    path,
    'every change of the adapter is zero: in each of its modules a factor holds nothing but zeros, as before the first step of training',
    'check that this is the result of the training, and not what it began with: a model that it is baked into stays as it is',
  )

/** A strength of 0 for all that an adapter changes. A warning. */
export const adapterWithoutStrength = (at: Place, adapter: string, model: string): Diagnostic =>
  entry(
    'adapter-without-strength',
    `the strength is 0 for everything that ${adapter} changes: the result is ${model} as it is`,
    {
      at,
      severity: 'warning',
      help: 'give a `strength` (or `clip_strength`) other than 0, or remove the step',
    },
  )

/** Embeddings of trigger words that an adapter brings along: a model has no place for them. */
export const embeddingsLeftOut = (at: Place, adapter: string, tensors: readonly string[]): Diagnostic =>
  entry(
    'adapter-embeddings',
    `leaving out ${tensors.length === 1 ? 'an embedding' : `${tensors.length} embeddings`} that ${adapter} brings along: ${listNames(tensors)}`,
    {
      at,
      severity: 'warning',
      help: 'load the embeddings beside the model in the program that you use it with: a checkpoint has no place for them',
    },
  )

/** An adapter that fits a model, and was made for another. A warning. */
export const adapterOtherBase = (at: Place, adapter: string, bases: ArchitectureMismatch): Diagnostic =>
  entry('adapter-other-base', `${adapter} can be applied to this model${madeFor(bases)}`, {
    at,
    severity: 'warning',
    help: 'check what the adapter was trained on: of another architecture it changes layers of the same names and shapes, and spoils the model; `smelt inspect` shows what its header says',
  })

/** Adapters that are merged name their modules by different rules. */
export const adapterNamesDiffer = (at: Place, adapter: string, module: string, other: string): Diagnostic =>
  entry(
    'adapter-names',
    `${quoteName(module)} of ${adapter} and ${quoteName(other)} are named by different rules, so smelt cannot tell which modules are the same`,
    {
      at,
      help: 'give them the names of one program with `adapter.convert` first, or apply them to a model one after another and use `adapter.extract`',
    },
  )

/** Factors that do not fit each other, or those of another adapter. */
export const factorsDiffer = (
  at: Place,
  adapter: string,
  module: string,
  shapes: readonly (readonly number[])[],
): Diagnostic =>
  entry(
    'factor-shape',
    `${quoteName(module)} of ${adapter} has shapes that do not fit: ${shapes.map(shapeText).join(' and ')}`,
    {
      at,
      help: 'check that the adapters are for the same model',
    },
  )

/** Something that is not the two factors of a LoRA, nor a difference. */
export const notPlainLora = (at: Place, adapter: string, name: string): Diagnostic =>
  entry('not-plain-lora', `${quoteName(name)} of ${adapter} is neither a pair of LoRA factors nor a difference`, {
    at,
    help: 'apply the adapter to a model with `adapter.apply`, and make a LoRA of the result with `adapter.extract`',
  })

/** Not as many strengths as adapters. */
export const strengthsCount = (at: Place, strengths: number, adapters: number): Diagnostic =>
  entry('strengths-count', `the number of strengths is ${strengths}, but that of adapters is ${adapters}`, {
    at,
    help: 'write one number for each adapter, such as `strengths: [1, 0.5]`',
  })

/** No format but kohya's has names for differences of vectors. */
export const differencesUnnamed = (at: Place, format: string): Diagnostic =>
  entry('adapter-names', `adapters with names of ${format} cannot hold differences of biases and norms`, {
    at,
    help: 'use `names: kohya`, or leave `vectors` out',
  })

/** No direction of any module is kept. */
export const nothingLeft = (at: Place, adapter: string): Diagnostic =>
  entry('nothing-extracted', `nothing of ${adapter} is left at this \`amount\``, {
    at,
    help: 'lower `amount` for `ratio` and `threshold`, raise it for `energy` and `quantile`',
  })

/** No module of an adapter has a name in another format. */
export const nothingConverted = (at: Place, adapter: string, format: string): Diagnostic =>
  entry('nothing-converted', `no module of ${adapter} has a name of ${format}`, {
    at,
    help: 'choose other `names`',
  })

/** A rank that is no whole number. */
export const rankFraction = (at: Place, rank: unknown): Diagnostic =>
  entry('rank-fraction', `a rank is a whole number, and \`rank\` is ${String(rank)}`, {
    at,
    help: 'write a whole number, or choose ranks by the differences with a `method` and its `amount`',
  })

/** Whole differences of weights in an adapter whose rank is to be lower: they have none. A warning. */
export const differencesKept = (at: Place, adapter: string, modules: readonly string[]): Diagnostic =>
  entry(
    'differences-kept',
    `the differences of ${listNames(modules)} in ${adapter} have no factors and stay as they are`,
    {
      at,
      severity: 'warning',
      help: 'to give them a rank, apply the adapter to a model with `adapter.apply`, and make a LoRA of the result with `adapter.extract`',
    },
  )

/** A strength for text encoders, of which an adapter changes none. A warning. */
export const clipStrengthUnused = (at: Place, adapter: string, model: string): Diagnostic =>
  entry('clip-strength-unused', `\`clip_strength\` is for text encoders, and ${adapter} changes none of ${model}`, {
    at,
    severity: 'warning',
    help: 'use `strength` for what the adapter changes, and leave `clip_strength` out',
  })

/** Tensors that are compared, and that no adapter of a format has a name for. A warning. */
export const tensorsUnnamed = (at: Place, model: string, tensors: readonly string[], format: string): Diagnostic =>
  entry(
    'tensors-unnamed',
    `adapters of ${format} have no name for ${listNames(tensors)} of ${model}, whose differences are left out`,
    {
      at,
      severity: 'warning',
      help: `leave them out with \`layers\` if they are alike in both models${format === 'peft' ? '' : ', or use `names: peft`, which has a name for every weight'}`,
    },
  )

/** There is nothing that an adapter could hold. */
export const nothingExtracted = (at: Place, model: string, format: string): Diagnostic =>
  entry(
    'nothing-extracted',
    `no tensor of ${model} that the step compares has a name and a rank in an adapter of ${format}`,
    {
      at,
      help: `check \`layers\` and \`rank\`${format === 'peft' ? '' : '; `names: peft` has a name for every weight, also of language models'}`,
    },
  )

/** A whole tensor of an adapter was trained with another vocabulary than the model's. */
export const otherVocabulary = (
  at: Place,
  adapter: string,
  tensor: string,
  rows: number,
  target: string,
  expected: number,
): Diagnostic =>
  entry(
    'adapter-vocabulary',
    `${quoteName(tensor)} of ${adapter} has ${rows} rows, but ${quoteName(target)} has ${expected}: the adapter was trained with another vocabulary`,
    {
      at,
      help: 'resize the embeddings of the model to the tokenizer of the adapter first, or leave this tensor out with `exclude`',
    },
  )

/** One module changes one tensor in two ways. */
export const twoChanges = (at: Place, adapter: string, module: string, target: string): Diagnostic =>
  entry(
    'two-changes',
    `${quoteName(module)} of ${adapter} changes ${quoteName(target)} in two ways at once, such as by factors and by a whole difference`,
    {
      at,
      help: 'save only the intended one in a file of its own',
    },
  )

/** Adapters that are merged have the factors of a module, and a difference of its whole weight. */
export const differenceBesideFactors = (at: Place, module: string, adapter: string, other: string): Diagnostic =>
  entry(
    'two-changes',
    `${quoteName(module)} has a whole difference (\`diff\`) in ${adapter} and factors in ${adapter === other ? 'it, too' : other}, and no adapter can hold both`,
    {
      at,
      help: 'apply the adapters to a model one after another with `adapter.apply`, and make a LoRA of the result with `adapter.extract`',
    },
  )

/** Two modules of an adapter that change the same module of the model. */
export const twoNames = (at: Place, adapter: string, target: string, modules: readonly string[]): Diagnostic =>
  entry(
    'two-adapters',
    `${adapter} holds more than one adapter: ${listNames(modules)} all change ${quoteName(target)}`,
    {
      at,
      help: 'save the intended adapter in a file of its own, or leave one out with `exclude`',
    },
  )

/** The names look like those of an adapter, but the layout is unknown. */
export const unknownLayout = (at: Place, adapter: string, tensors: readonly string[]): Diagnostic =>
  entry(
    'adapter-layout-unknown',
    `${adapter} looks like an adapter, but smelt does not know its layout; its tensors are ${listNames(tensors, 3)}`,
    {
      at,
      help: 'convert it to the names of kohya’s scripts, diffusers or PEFT',
    },
  )

/** A tensor belongs to a module of the model, but its role is unknown. */
export const unknownRole = (
  at: Place,
  adapter: string,
  tensors: readonly string[],
  module: string,
  ending: string,
): Diagnostic =>
  entry(
    'adapter-role-unknown',
    `smelt does not know how to apply ${listNames(tensors, 3)} of ${adapter}: \`${ending}\` is not a kind of adapter tensor that it supports`,
    {
      at,
      help: `bake it with the program it was made for, or leave the module out: \`exclude: ${JSON.stringify(module)}\``,
    },
  )

/**
 * Tensors of an adapter whose modules the model does not have. `ofText` is true where all of these are of text encoders,
 * and `moduleName` is one of their modules.
 */
export const unmatchedTensors = (
  at: Place,
  adapter: string,
  model: string,
  tensors: readonly string[],
  total: number,
  architectureMismatch: ArchitectureMismatch | undefined,
  ofText: boolean,
  moduleName: string,
): Diagnostic =>
  entry(
    'adapter-unmatched',
    `${tensors.length} of ${total} tensors of ${adapter} have no target in ${model}: ${listNames(tensors)}${madeFor(architectureMismatch)}`,
    {
      at,
      help:
        architectureMismatch === undefined
          ? ofText
            ? 'these are of a text encoder that is not in this model: bake the adapter into the file that has it, too, and leave these out here with `unmatched: ignore`'
            : `check that the adapter belongs to this model; \`exclude: ${JSON.stringify(moduleName)}\` leaves out a module by name, and \`unmatched: ignore\` all of these: the result then lacks what they were trained for`
          : 'use an adapter that was trained on this architecture',
    },
  )

/** A whole tensor of another shape than what it replaces: a tensor, or a part of one. */
export const wholeShape = (
  at: Place,
  adapter: string,
  tensor: string,
  shape: readonly number[],
  target: string,
  expected: readonly number[],
  architectureMismatch?: ArchitectureMismatch,
): Diagnostic =>
  entry(
    'adapter-shape',
    `${quoteName(tensor)} of ${adapter} is ${shapeText(shape)}, but ${quoteName(target)}, which it replaces, is ${shapeText(expected)}${madeFor(architectureMismatch)}`,
    {
      at,
      help: 'use an adapter that was trained on this architecture',
    },
  )
