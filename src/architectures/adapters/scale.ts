import { badAdapterMetadata, badAlpha, badConfigValue, badRank, configMissing, unsupportedAdapter } from '../../base/catalogue/adapters.js'
import type { Place } from '../../base/diagnostic.js'
import { failed, ok, type Result } from '../../base/result.js'
import { decode } from '../../kernels/convert.js'
import type { AdapterFile } from '../../safetensors/adapter-file.js'
import type { TensorInfo } from '../../tensor/info.js'
import type { AdapterModule } from './modules.js'

/** Finds alpha / rank, the number that the factors of a module are multiplied with. */
export type ScaleOf = (module: AdapterModule, rank: number) => Result<number>

type Plain = Readonly<Record<string, unknown>>

/** What PEFT's config says of scales. */
interface PeftConfig {
  readonly rank: number
  readonly alpha: number
  /** True where alpha is divided by the root of the rank. */
  readonly root: boolean
  readonly ranks: Readonly<Record<string, number>>
  readonly alphas: Readonly<Record<string, number>>
}

const isPlain = (value: unknown): value is Plain => typeof value === 'object' && value !== null && !Array.isArray(value)
const isNumbers = (value: unknown): value is Readonly<Record<string, number>> => isPlain(value) && Object.values(value).every((x) => typeof x === 'number')
const isGiven = (value: unknown): boolean =>
  value !== undefined && value !== null && value !== false && !(typeof value === 'object' && Object.keys(value).length === 0)

/** Settings of PEFT that change what the factors mean, and what an adapter with them is. */
const MEANING: readonly (readonly [key: string, kind: string])[] = [
  ['use_dora', 'DoRA'],
  ['fan_in_fan_out', 'LoRA of layers with rows for inputs'],
  ['layer_replication', 'LoRA that repeats layers'],
  ['target_parameters', 'LoRA of parameters that are no layers'],
]

const readConfig = (raw: Plain, source: string, adapter: string, at: Place): Result<PeftConfig> => {
  const type = raw['peft_type'] ?? 'LORA'
  if (type !== 'LORA') return failed(unsupportedAdapter(at, adapter, String(type), `\`peft_type\` in ${source}`))
  const other = MEANING.find(([key]) => isGiven(raw[key]))
  if (other !== undefined) return failed(unsupportedAdapter(at, adapter, other[1], `\`${other[0]}\` in ${source}`))
  const { r: rank, lora_alpha: alpha, rank_pattern: ranks = {}, alpha_pattern: alphas = {} } = raw
  if (typeof rank !== 'number') return failed(badConfigValue(at, source, 'r', 'number'))
  if (typeof alpha !== 'number') return failed(badConfigValue(at, source, 'lora_alpha', 'number'))
  if (ranks !== null && !isNumbers(ranks)) return failed(badConfigValue(at, source, 'rank_pattern', 'map of numbers'))
  if (alphas !== null && !isNumbers(alphas)) return failed(badConfigValue(at, source, 'alpha_pattern', 'map of numbers'))
  return ok({ rank, alpha, root: raw['use_rslora'] === true, ranks: ranks ?? {}, alphas: alphas ?? {} })
}

/** The number of the first pattern that a module's path ends with; PEFT's patterns are regular expressions. */
const byPattern = (patterns: Readonly<Record<string, number>>, path: string): number | undefined =>
  Object.entries(patterns).find(([pattern]) => {
    try {
      return new RegExp(`^(?:.*\\.)?(?:${pattern})$`).test(path)
    } catch {
      return path === pattern || path.endsWith(`.${pattern}`)
    }
  })?.[1]

/** Prefixes of programs that make pictures: their adapters without any alpha have a scale of 1. */
const UNSCALED = /^(?:unet|transformer|text_encoder(?:_[23])?|diffusion_model|text_encoders|lora_[a-z0-9]+|lycoris)[._]/

/** Part of an adapter that has a config of its own in the metadata, as diffusers writes it. */
const componentOf = (module: string): string => module.split('.')[0]!

/** Undefined where the header has something else than a map in the place of its configs. */
const parseMetadata = (file: AdapterFile): Plain | undefined => {
  try {
    const value: unknown = JSON.parse(file.metadata.get('lora_adapter_metadata') ?? '{}')
    return isPlain(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** What scales the modules of an adapter: an alpha of their own, or a config. */
export const scalesOf = (file: AdapterFile, adapter: string, at: Place): ScaleOf => {
  const inHeader = parseMetadata(file)
  const configs = new Map<string, Result<PeftConfig> | undefined>()
  const configOf = (component: string): Result<PeftConfig> | undefined => {
    if (inHeader === undefined) return failed(badAdapterMetadata(at, adapter))
    const own = Object.entries(inHeader).flatMap(([key, value]) => (key.startsWith(`${component}.`) ? [[key.slice(component.length + 1), value] as const] : []))
    if (own.length > 0) return readConfig(Object.fromEntries(own), '`lora_adapter_metadata`', adapter, at)
    if ('lora_alpha' in inHeader) return readConfig(inHeader, '`lora_adapter_metadata`', adapter, at)
    return file.config === undefined ? undefined : readConfig(isPlain(file.config) ? file.config : {}, '`adapter_config.json`', adapter, at)
  }
  return (module, rank) => {
    const alpha = module.tensors.get('alpha')
    if (alpha !== undefined) return scaleByAlpha(numberOf(file, alpha), alpha.name, rank, adapter, at)
    if (!module.peft) return ok(1)
    const component = componentOf(module.name)
    if (!configs.has(component)) configs.set(component, configOf(component))
    const config = configs.get(component)
    if (config === undefined) return UNSCALED.test(module.name) ? ok(1) : failed(configMissing(at, adapter))
    if (config.type === 'failed') return config
    const path = module.name.replace(/^(?:[a-z0-9_]+\.)?base_model\.model\./, '')
    const said = byPattern(config.value.ranks, path) ?? config.value.rank
    if (said !== rank) return failed(badRank(at, adapter, module.name, `their rank is ${rank}, and the config says ${said}`))
    const { alphas, alpha: usual, root } = config.value
    return scaleByAlpha(byPattern(alphas, path) ?? usual, `the alpha of ${module.name}`, root ? Math.sqrt(rank) : rank, adapter, at)
  }
}

const scaleByAlpha = (alpha: number, name: string, rank: number, adapter: string, at: Place): Result<number> =>
  Number.isFinite(alpha) && alpha > 0 ? ok(alpha / rank) : failed(badAlpha(at, adapter, name, alpha))

/** The number that a scalar of the file holds; NaN where it is no single number. */
const numberOf = (file: AdapterFile, { name, dtype }: TensorInfo): number => {
  const bytes = file.scalars.get(name)
  if (bytes === undefined) return NaN
  const { buffer } = Uint8Array.from(bytes)
  switch (dtype) {
    case 'F64': return single(new Float64Array(buffer))
    case 'F32': return single(new Float32Array(buffer))
    case 'F16': case 'BF16': return single(decode(dtype, new Uint16Array(buffer)))
    case 'F8_E4M3': case 'F8_E5M2': return single(decode(dtype, new Uint8Array(buffer)))
    case 'I64': return single([...new BigInt64Array(buffer)].map(Number))
    case 'I32': return single(new Int32Array(buffer))
    default: return NaN
  }
}

const single = (numbers: ArrayLike<number>): number => (numbers.length === 1 ? numbers[0]! : NaN)
