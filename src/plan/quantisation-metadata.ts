import { isObject } from '../base/is-object.js'
import type { Model } from '../safetensors/model.js'

/** A weight that an output holds as it is stored in a file, or with new scales of the same layout. */
export interface QuantisedWeight {
  readonly name: string
  readonly file: string
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
    const own = new Set(weights.filter(({ file }) => files.has(file)).map(({ name }) => name))
    const layers = Object.entries((said?.['layers'] ?? {}) as Plain).filter(([layer]) => own.has(`${layer}.weight`))
    return said === undefined || layers.length === 0 ? [] : [{ said, layers }]
  })
  const [first] = found
  return first === undefined
    ? {}
    : { [KEY]: JSON.stringify({ ...first.said, layers: Object.fromEntries(found.flatMap(({ layers }) => layers)) }) }
}
