import type { Diagnostic, Place } from '../diagnostic.js'
import { entry } from './entry.js'
import { listNames, quoteName } from './file-entry.js'

const LONGEST = 60

const shown = (value: unknown): string => {
  const text = JSON.stringify(value)
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text
}

/** What a config's `lora_alpha` is called for a module. */
export const alphaOf = (module: string): string => `the alpha of ${module}`

/** Kinds of adapters that smelt does not apply, by what a config says. */
export const otherKinds = {
  transposed: 'a LoRA of layers that store their weights transposed',
  parameters: 'a LoRA of parameters that are not layers',
  repeated: 'a LoRA that repeats layers',
  began: (start: string): string => `a LoRA initialised with ${start}, which changes the base model`,
  type: (type: string): string => `an adapter of type ${type}`,
} as const

/** The recipe gives an alpha for an adapter that states its own. */
export const alphaTwice = (at: Place, adapter: string, by: string): Diagnostic =>
  entry('alpha-twice', `the recipe gives \`alpha\` for ${adapter}, which already states one in ${by}`, {
    at,
    help: 'remove `alpha` from the recipe',
  })

/** A setting of an adapter's config is missing or has the wrong type. Without a key, this is about the whole config. */
export const badConfigValue = (
  at: Place,
  file: string,
  adapter: string,
  key: string | undefined,
  value: unknown,
  expected: string,
): Diagnostic => {
  const subject = key === undefined ? `${file} of ${adapter}` : `\`${key}\` in ${file} of ${adapter}`
  const found = value === undefined ? 'is missing' : `is ${shown(value)}`
  return entry('bad-adapter-config', `${subject} ${found}; expected ${expected}`, {
    at,
    help: 'download the file again from where the adapter came from',
  })
}

/** The header of an adapter has something other than a JSON object where its config should be. */
export const headerConfigNotJson = (at: Place, adapter: string, reason: string | undefined): Diagnostic =>
  entry(
    'bad-adapter-config',
    `\`lora_adapter_metadata\` in the header of ${adapter} is not a JSON object: ${reason ?? 'it is some other value'}`,
    {
      at,
      help: 'download the file again from where the adapter came from',
    },
  )

/** What the config says was trained is not in the file. */
export const trainedTensorsMissing = (at: Place, adapter: string, trained: string, key: string): Diagnostic =>
  entry(
    'adapter-incomplete',
    `${adapter} does not contain ${trained}, although \`${key}\` in its config says that they were trained`,
    {
      at,
      help: 'save the adapter again with the program that trained it; if they were never trained, correct the config',
    },
  )

/** A setting makes an adapter one that smelt does not apply. */
export const unsupportedSetting = (at: Place, file: string, adapter: string, kind: string, key: string): Diagnostic =>
  entry('adapter-unsupported', `${adapter} is ${kind} (\`${key}\` in ${file}), which smelt does not apply`, {
    at,
    help: 'bake it with the program it was made for, or convert it to a plain LoRA',
  })

/** An adapter that can be applied, and neither merged with others nor renamed. */
export const onlyApplied = (at: Place, adapter: string, kind: string, key: string): Diagnostic =>
  entry(
    'not-plain-lora',
    `${adapter} is ${kind} (\`${key}\` in its config), which smelt applies but does not rewrite`,
    {
      at,
      help: 'apply the adapter to a model with `adapter.apply`, and make a LoRA of the result with `adapter.extract` and `names: peft`',
    },
  )

/** OFT of PEFT without what says how its turns are computed. */
export const rotationUnknown = (at: Place, adapter: string, tensor: string): Diagnostic =>
  entry(
    'adapter-config-missing',
    `${adapter} holds OFT of PEFT (${quoteName(tensor)}), but no \`adapter_config.json\` of type \`OFT\` says how its rotations are computed`,
    {
      at,
      help: 'name it `adapter_model.safetensors` and put its `adapter_config.json` beside it',
    },
  )

/** OFT of PEFT for convolutions whose kernels have more than one element. A warning. */
export const patchesRotated = (at: Place, adapter: string, modules: readonly string[]): Diagnostic =>
  entry(
    'adapter-patches-rotated',
    `${adapter} holds OFT of PEFT for convolutions (${listNames(modules, 3)}): in training PEFT rotated overlapping patches of their inputs, which no weight can express. The result is what \`merge_and_unload\` of PEFT makes, which can look different`,
    {
      at,
      severity: 'warning',
      help: 'compare pictures made with both, or leave these modules out with `exclude`; OFT of LyCORIS has no such difference',
    },
  )

/** Some factors have an alpha, and others none. A warning. */
export const alphaMixed = (at: Place, adapter: string, modules: readonly string[], factored: number): Diagnostic =>
  entry(
    'alpha-mixed',
    `${modules.length} of ${factored} modules of ${adapter} have no \`alpha\`, which the others have: ${listNames(modules, 3)}. Their scale is 1, as that of an alpha that equals the rank`,
    {
      at,
      severity: 'warning',
      help: 'check how the adapter was put together: no trainer writes an alpha for some modules only',
    },
  )

/** An adapter of PEFT changes an embedding that is the output layer of the model, too. A warning. */
export const embeddingShared = (at: Place, adapter: string, model: string, embedding: string): Diagnostic =>
  entry(
    'embedding-shared',
    `${adapter} changes ${quoteName(embedding)}, and ${model} has no output layer of its own, so its output layer changes along; PEFT trained the embedding alone, beside the old output layer`,
    {
      at,
      severity: 'warning',
      help: 'to keep the old output layer, give the model its embedding as `lm_head.weight` first, with `tie_word_embeddings` set to false in its `config.json`; or leave the embedding out with `exclude`',
    },
  )

/** A config says something that smelt does not know. A warning. */
export const settingsUnknown = (at: Place, adapter: string, settings: readonly string[]): Diagnostic =>
  entry(
    'adapter-setting-unknown',
    `the config of ${adapter} has settings that smelt does not know: ${listNames(settings)}`,
    {
      at,
      severity: 'warning',
      help: 'check in the documentation of the trainer that they do not change what the tensors mean: smelt applies the adapter as if they were not there',
    },
  )
