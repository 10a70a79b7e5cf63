import {
  alphaOf,
  alphaTwice,
  headerConfigNotJson,
  otherKinds,
  unsupportedSetting,
} from '../../base/catalogue/adapter-config.js'
import {
  alphaNotScalar,
  badAlpha,
  configMissing,
  factorMissing,
  rankOtherThanConfig,
} from '../../base/catalogue/adapters.js'
import type { Place } from '../../base/diagnostic.js'
import { isObject } from '../../base/is-object.js'
import { reasonOf } from '../../base/reason.js'
import { failed, ok, type Result } from '../../base/result.js'
import { decode } from '../../kernels/convert.js'
import type { AdapterFile } from '../../safetensors/adapter-file.js'
import { sizeOf, type TensorInfo } from '../../tensor/info.js'
import { isControlLora } from './bfl.js'
import type { AdapterModule } from './modules.js'
import { readPeftConfig, type PeftConfig } from './peft-config.js'

/**
 * Finds alpha / rank, the factor that a module's product is multiplied by. A LoKr of two whole matrices has no rank, and
 * a scale of 1, but PEFT's.
 */
export type ScaleOf = (module: AdapterModule, rank: number | undefined) => Result<number>

/** What scales an adapter: its file, and the alpha that the recipe gives for it. */
export interface ScaleSource {
  /** What messages call the adapter. */
  readonly label: string
  readonly file: AdapterFile
  /** Of all modules that have none of their own; undefined where the recipe gives none. */
  readonly alpha: number | undefined
  /** Where the recipe names it, for problems. */
  readonly at: Place
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

/**
 * Names of image and video generators, with a prefix of their trainers or bare: their adapters without any alpha have a
 * scale of 1. PEFT writes `base_model.model.` before all others.
 */
const UNSCALED =
  /^(?:(?:unet|transformer|text_encoder(?:_[23])?|diffusion_model|text_encoders|lora_[a-z0-9]+|lycoris)[._]|(?:(?:single_)?transformer_blocks|(?:double_|single_|joint_|down_|up_|input_|output_)?blocks|mid_block|middle_block|noise_refiner|context_refiner)\.|layers\.\d+\.(?:attention|feed_forward|adaLN_modulation)\.)/

/** The metadata of adapters that smelt makes: modules without an alpha are added as they are. */
export const SCALE_OF_ONE = ['smelt.lora_scale', '1'] as const

const HEADER = '`lora_adapter_metadata`'

/** Part of an adapter that has a config of its own in the metadata, as diffusers writes it. */
const componentOf = (module: string): string => module.split('.')[0]!

/** The configs that diffusers writes into the header, by component or as one. */
const readHeader = ({ file, label, at }: ScaleSource): Result<Readonly<Record<string, unknown>>> => {
  const text = file.metadata.get('lora_adapter_metadata')
  if (text === undefined) return ok({})
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? ok(value) : failed(headerConfigNotJson(at, label, undefined))
  } catch (error) {
    return failed(headerConfigNotJson(at, label, reasonOf(error)))
  }
}

/** The config that is beside an adapter; undefined where there is none. */
export const configOf = ({ file, label: adapter, at }: ScaleSource): Result<PeftConfig> | undefined =>
  file.config === undefined ? undefined : readPeftConfig(file.config, { file: '`adapter_config.json`', adapter, at })

/** What scales the modules of an adapter: an alpha of their own, a config, or the recipe. */
export const scalesOf = (source: ScaleSource): ScaleOf => {
  const { file, label: adapter, alpha: stated, at } = source
  const header = readHeader(source)
  const configs = new Map<string, Result<PeftConfig> | undefined>()
  const configFor = (component: string): Result<PeftConfig> | undefined => {
    if (header.type === 'failed') return header
    const read = (raw: unknown): Result<PeftConfig> => {
      const config = readPeftConfig(raw, { file: HEADER, adapter, at })
      // Pipelines have no such layers, and nothing but the config beside an adapter is asked for them.
      if (config.type === 'failed') return config
      const { fanInFanOut, parameters, repeated } = config.value
      const other = (
        [
          [fanInFanOut, otherKinds.transposed, 'fan_in_fan_out'],
          [parameters.length > 0, otherKinds.parameters, 'target_parameters'],
          [repeated.length > 0, otherKinds.repeated, 'layer_replication'],
        ] as const
      ).find(([isSo]) => isSo)
      return other === undefined ? config : failed(unsupportedSetting(at, HEADER, adapter, other[1], other[2]))
    }
    const own = Object.entries(header.value).flatMap(([key, value]) =>
      key.startsWith(`${component}.`) ? [[key.slice(component.length + 1), value] as const] : [],
    )
    if (own.length > 0) return read(Object.fromEntries(own))
    return 'lora_alpha' in header.value ? read(header.value) : configOf(source)
  }
  return (module, rank) => {
    const alpha = module.tensors.get('alpha')
    if (alpha !== undefined) {
      if (stated !== undefined) return failed(alphaTwice(at, adapter, `\`${alpha.name}\``))
      if (sizeOf(alpha.shape) !== 1 || alpha.shape.length > 1)
        return failed(alphaNotScalar(at, adapter, alpha.name, alpha.shape))
      const scale = scaleByAlpha(numberOf(file, alpha), alpha.name, rank ?? 1, adapter, at)
      return rank === undefined && scale.type === 'ok' ? ok(1) : scale
    }
    const component = componentOf(module.name)
    if (module.peft && !configs.has(component)) configs.set(component, configFor(component))
    const config = module.peft ? configs.get(component) : undefined
    if (config === undefined) {
      if (stated !== undefined) return ok(rank === undefined ? 1 : stated / rank)
      const [key, one] = SCALE_OF_ONE
      const isKnown = UNSCALED.test(module.name) || file.metadata.get(key) === one || isControlLora(file.tensors)
      const stands = !module.peft || isKnown
      return stands ? ok(1) : failed(configMissing(at, adapter))
    }
    if (config.type === 'failed') return config
    if (stated !== undefined) return failed(alphaTwice(at, adapter, 'its config'))
    const { tensors } = module
    if (config.value.decomposed && !tensors.has('output-magnitude') && !tensors.has('magnitude'))
      return failed(factorMissing(at, adapter, module.name, ['`lora_magnitude_vector`']))
    const path = module.name.replace(/^(?:[a-z0-9_]+\.)?base_model\.model\./, '')
    const said = byPattern(config.value.ranks, path) ?? config.value.rank
    if (rank !== undefined && said !== rank) return failed(rankOtherThanConfig(at, adapter, module.name, rank, said))
    const { alphas, alpha: usual, root } = config.value
    return scaleByAlpha(
      byPattern(alphas, path) ?? usual,
      alphaOf(module.name),
      root ? Math.sqrt(said) : said,
      adapter,
      at,
    )
  }
}

/** More than any trainer writes, by far: what is above comes from damage, and would overflow the weights. */
const GREATEST_ALPHA = 2 ** 24

const scaleByAlpha = (alpha: number, name: string, rank: number, adapter: string, at: Place): Result<number> =>
  alpha > 0 && alpha <= GREATEST_ALPHA ? ok(alpha / rank) : failed(badAlpha(at, adapter, name, alpha, GREATEST_ALPHA))

/** The number that a scalar of the file holds; NaN where it is no single number. */
export const numberOf = (file: AdapterFile, info: TensorInfo): number => {
  const numbers = numbersOf(file, info)
  return numbers.length === 1 ? numbers[0]! : NaN
}

/** The numbers of a tensor that is read along with the header; none where it is not, or holds no numbers. */
export const numbersOf = (file: AdapterFile, { name, dtype }: TensorInfo): readonly number[] => {
  const bytes = file.scalars.get(name)
  if (bytes === undefined) return []
  const { buffer } = Uint8Array.from(bytes)
  switch (dtype) {
    case 'F64':
      return [...new Float64Array(buffer)]
    case 'F32':
      return [...new Float32Array(buffer)]
    case 'F16':
    case 'BF16':
      return [...decode(dtype, new Uint16Array(buffer))]
    case 'F8_E4M3':
    case 'F8_E5M2':
      return [...decode(dtype, new Uint8Array(buffer))]
    case 'I64':
      return [...new BigInt64Array(buffer)].map(Number)
    case 'I32':
      return [...new Int32Array(buffer)]
    default:
      return []
  }
}
