import { isObject } from '../base/is-object.js'
import type { Model } from '../safetensors/model.js'
import type { TensorInfo } from '../tensor/info.js'

/** A weight that an output holds as it is stored in a file, or with new scales of the same layout. */
export interface QuantisedWeight {
  /** Its name in the output. */
  readonly name: string
  readonly stored: TensorInfo
}

/** Where ComfyUI and tools around it say which layers of a file are quantised and how, by the paths of modules. */
const KEY = '_quantization_metadata'

type Plain = Readonly<Record<string, unknown>>

const read = (text: string | undefined): Plain | undefined => {
  if (text === undefined) return undefined
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) && isObject(value['layers']) ? value : undefined
  } catch {
    return undefined
  }
}

/**
 * What the metadata of an output has to say of its quantised weights, taken from the models that they come from:
 * without it programs take them for plain numbers.
 */
export const quantisationMetadata = (
  models: readonly Model[],
  weights: readonly QuantisedWeight[],
): Readonly<Record<string, string>> => {
  if (weights.length === 0) return {}
  const found = models.flatMap((model) => {
    const said = read(model.metadata.get(KEY))
    const files = new Set(model.files.map((f) => f.path))
    const own = new Map(
      weights.filter(({ stored }) => files.has(stored.file)).map(({ name, stored }) => [stored.name, name] as const),
    )
    const layers = Object.entries((said?.['layers'] ?? {}) as Plain).flatMap(([layer, how]) => {
      const name = own.get(`${layer}.weight`)
      return name === undefined ? [] : [[name.replace(/\.weight$/, ''), how] as const]
    })
    return said === undefined || layers.length === 0 ? [] : [{ said, layers }]
  })
  const [first] = found
  return first === undefined
    ? {}
    : { [KEY]: JSON.stringify({ ...first.said, layers: Object.fromEntries(found.flatMap(({ layers }) => layers)) }) }
}
