import { badConfigValue, otherKinds, unsupportedSetting } from '../../base/catalogue/adapter-config.js'
import { quoteName } from '../../base/catalogue/file-entry.js'
import type { Place } from '../../base/diagnostic.js'
import { isObject } from '../../base/is-object.js'
import { failed, ok, type Result } from '../../base/result.js'
import { oftOf, type OftSettings } from './oft-settings.js'

/** What PEFT's config says of the meaning of an adapter's tensors. */
export interface PeftConfig {
  readonly rank: number
  readonly alpha: number
  /** True where alpha is divided by the root of the rank. */
  readonly root: boolean
  readonly ranks: Readonly<Record<string, number>>
  readonly alphas: Readonly<Record<string, number>>
  /** Modules that were trained as a whole, by the ends of their names. */
  readonly saved: readonly string[]
  /** True where biases were trained too. */
  readonly biases: boolean
  /** Modules whose inputs (IA)³ multiplies: a pattern for whole names, or ends of them. */
  readonly feedforward: string | readonly string[]
  /** True where the factors come with lengths (DoRA). */
  readonly decomposed: boolean
  /** True where the layers store their weights transposed, [inputs, outputs]. */
  readonly fanInFanOut: boolean
  /** Parameters that were trained and are no layers' weights, by the ends of their names. */
  readonly parameters: readonly string[]
  /** The layers of the base that the adapter's model has, as ranges whose ends are left out; none unless they differ. */
  readonly repeated: readonly (readonly [number, number])[]
  /** How turns are computed; undefined for other types than OFT. */
  readonly oft: OftSettings | undefined
}

/** What a config is read for: what messages call its file and its adapter, and where the recipe names that. */
export interface ConfigSource {
  readonly file: string
  readonly adapter: string
  readonly at: Place
}

type Check = readonly [expected: string, test: (value: unknown) => boolean]

const isRank = (value: unknown): boolean => typeof value === 'number' && Number.isInteger(value) && value > 0
const isRanges = (value: unknown): boolean =>
  Array.isArray(value) &&
  value.every(
    (range) =>
      Array.isArray(range) &&
      range.length === 2 &&
      range.every((n) => Number.isInteger(n) && n >= 0) &&
      range[0] < range[1],
  )
const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every((x) => typeof x === 'string')
const mapOf =
  (test: (value: unknown) => boolean) =>
  (value: unknown): boolean =>
    isObject(value) && Object.values(value).every(test)
const oneOf =
  (...words: readonly unknown[]) =>
  (value: unknown): boolean =>
    words.includes(value)

const BOOLEAN: Check = ['true or false', (value) => typeof value === 'boolean']
const TEXTS: Check = ['a list of names', isTexts]

/**
 * What the settings that smelt looks at must be. All but the first two may be left out or null, which is what PEFT
 * takes for the default.
 */
const CHECKS: Readonly<Record<string, Check>> = {
  r: ['a whole number above 0', isRank],
  lora_alpha: ['a number above 0', (value) => typeof value === 'number' && value > 0],
  alpha: ['a number above 0', (value) => typeof value === 'number' && value > 0],
  peft_type: ['a name', (value) => typeof value === 'string'],
  use_rslora: BOOLEAN,
  rank_pattern: ['a map of names to whole numbers above 0', mapOf(isRank)],
  alpha_pattern: ['a map of names to numbers above 0', mapOf((value) => typeof value === 'number' && value > 0)],
  target_modules: ['a name or a list of names', (value) => typeof value === 'string' || isTexts(value)],
  feedforward_modules: ['a name or a list of names', (value) => typeof value === 'string' || isTexts(value)],
  modules_to_save: TEXTS,
  bias: [
    '`none`, `all`, `lora_only`, `oft_only` or `boft_only`',
    oneOf('none', 'all', 'lora_only', 'oft_only', 'boft_only'),
  ],
  init_lora_weights: ['true, false or a name', (value) => typeof value === 'boolean' || typeof value === 'string'],
  use_dora: BOOLEAN,
  fan_in_fan_out: BOOLEAN,
  lora_bias: BOOLEAN,
  use_qalora: BOOLEAN,
  use_bdlora: ['nothing, or settings', (value) => typeof value === 'boolean' || isObject(value)],
  target_parameters: TEXTS,
  layer_replication: ['a list of ranges such as [0, 16]', isRanges],
  trainable_token_indices: ['a list or a map of tokens', (value) => typeof value === 'object'],
  alora_invocation_tokens: ['a list of tokens', Array.isArray],
  arrow_config: ['settings', isObject],
  kasa_config: ['settings', isObject],
  oft_block_size: ['a whole number', (value) => isRank(value) || value === 0],
  block_share: BOOLEAN,
  coft: BOOLEAN,
  eps: ['a number above 0', (value) => typeof value === 'number' && value > 0],
  use_cayley_neumann: BOOLEAN,
  num_cayley_neumann_terms: ['a whole number above 0', isRank],
  peft_version: ['a version', (value) => typeof value === 'string'],
}

/** Settings that are looked at only where the type must have them: elsewhere they mean something else. */
const BY_TYPE: readonly string[] = ['r', 'lora_alpha', 'alpha']

/** The types that smelt applies: the settings that each must have, the last of them its alpha. */
const TYPES: Readonly<Record<string, readonly string[]>> = {
  LORA: ['r', 'lora_alpha'],
  LOHA: ['r', 'alpha'],
  LOKR: ['r', 'alpha'],
  IA3: [],
  OFT: ['oft_block_size'],
  BOFT: [],
}

/**
 * Settings under which the factors mean something else than a difference of weights, and what an adapter with them is.
 */
const MEANINGS: Readonly<Record<string, string>> = {
  trainable_token_indices: 'trained tokens',
  alora_invocation_tokens: 'activated LoRA',
  arrow_config: 'LoRA with routing',
  use_qalora: 'QA-LoRA',
  use_bdlora: 'block-diagonal LoRA',
  kasa_config: 'KaSA, which cuts the base model’s singular values',
}

/** Settings of training alone, and what else says nothing of the meaning of the tensors. */
const WITHOUT_MEANING: readonly string[] = `
  auto_mapping base_model_name_or_path boft_block_num boft_block_size boft_dropout boft_n_butterfly_factor corda_config
  decompose_both decompose_factor enable_lora ensure_weight_tying eva_config exclude_modules inference_mode
  init_ia3_weights init_weights layers_pattern layers_to_transform loftq_config lora_dropout lora_ga_config
  megatron_config megatron_core merge_weights module_dropout monteclora_config qalora_group_size rank_dropout
  rank_dropout_scale revision runtime_config task_type use_effective_conv2d velora_config`
  .trim()
  .split(/\s+/)

/** Settings of a config that smelt does not know, and that are given: they may change what the tensors mean. */
export const unknownSettings = (raw: unknown): readonly string[] =>
  isObject(raw)
    ? Object.keys(raw).filter((key) => !(key in CHECKS) && !WITHOUT_MEANING.includes(key) && isGiven(raw[key]))
    : []

/**
 * Ways to begin a training that leave the base model as it is. After others, such as PiSSA, the factors belong to a
 * base that they changed.
 */
const KEEPS_BASE: readonly unknown[] = [undefined, null, true, false, 'gaussian', 'eva', 'orthogonal', 'mica']

const isGiven = (value: unknown): boolean =>
  value !== undefined &&
  value !== null &&
  value !== false &&
  !(typeof value === 'object' && Object.keys(value).length === 0)

/**
 * Reads a config. Settings of another type than PEFT's, and those that change what the tensors mean, are refused by
 * name.
 */
export const readPeftConfig = (raw: unknown, { file, adapter, at }: ConfigSource): Result<PeftConfig> => {
  if (!isObject(raw)) return failed(badConfigValue(at, file, adapter, undefined, raw, 'a map of settings'))
  const type = raw['peft_type'] ?? 'LORA'
  const required = typeof type === 'string' ? TYPES[type] : []
  if (required === undefined)
    return failed(unsupportedSetting(at, file, adapter, otherKinds.type(quoteName(String(type))), 'peft_type'))
  const wrong = Object.entries(CHECKS).find(([key, [, test]]) => {
    const value = raw[key] ?? undefined
    if (BY_TYPE.includes(key) && !required.includes(key)) return false
    return value === undefined ? required.includes(key) : !test(value)
  })
  if (wrong !== undefined) return failed(badConfigValue(at, file, adapter, wrong[0], raw[wrong[0]], wrong[1][0]))
  const other = Object.keys(MEANINGS).find((key) => isGiven(raw[key]))
  if (other !== undefined) return failed(unsupportedSetting(at, file, adapter, MEANINGS[other]!, other))
  const start = raw['init_lora_weights']
  if (!KEEPS_BASE.includes(start))
    return failed(
      unsupportedSetting(at, file, adapter, otherKinds.began(quoteName(String(start))), 'init_lora_weights'),
    )
  return ok({
    // (IA)³ has none, and so no factors.
    rank: (raw['r'] ?? 0) as number,
    alpha: (raw[required.at(-1) ?? ''] ?? 0) as number,
    root: raw['use_rslora'] === true,
    ranks: (raw['rank_pattern'] ?? {}) as Readonly<Record<string, number>>,
    alphas: (raw['alpha_pattern'] ?? {}) as Readonly<Record<string, number>>,
    saved: (raw['modules_to_save'] ?? []) as readonly string[],
    biases: (raw['bias'] ?? 'none') !== 'none',
    feedforward: (raw['feedforward_modules'] ?? []) as string | readonly string[],
    decomposed: raw['use_dora'] === true,
    fanInFanOut: raw['fan_in_fan_out'] === true,
    parameters: (raw['target_parameters'] ?? []) as readonly string[],
    repeated: (raw['layer_replication'] ?? []) as readonly (readonly [number, number])[],
    oft: type === 'OFT' ? oftOf(raw) : undefined,
  })
}

/** True for a module whose inputs, not outputs, (IA)³ multiplies; `module` is its name in the adapter. */
export const isFeedforward = ({ feedforward }: PeftConfig, module: string): boolean => {
  const path = module.replace(/^base_model\.model\./, '')
  if (typeof feedforward !== 'string') return feedforward.some((end) => path.endsWith(end))
  try {
    return new RegExp(`^(?:${feedforward})$`).test(path)
  } catch {
    return path === feedforward
  }
}
