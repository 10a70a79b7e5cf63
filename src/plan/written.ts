import { mixedScales, noScales } from '../base/catalogue/quantised.js'
import type { Place } from '../base/diagnostic.js'
import { append } from '../base/lists.js'
import { failed, ok, type Result } from '../base/result.js'
import type { Mask, Tensor } from '../graph/expression.js'
import type { Graph } from '../graph/graph.js'
import type { ModelValue, Slot, Value } from '../operators/value.js'
import { OUTPUT_DTYPES, SCALED_DTYPE, type Output, type OutputDtype } from '../recipe/recipe.js'
import { isFloat, type Dtype } from '../tensor/dtype.js'
import { sizeOf, type TensorInfo } from '../tensor/info.js'
import type { Scaled } from '../tensor/quantised.js'
import type { LayerContext } from './context.js'
import { readScaled } from './logical-model.js'
import type { QuantisedWeight } from './quantisation-metadata.js'

/** A tensor as an output has it; `value` makes its expression. */
export interface Written {
  readonly name: string
  readonly dtype: Dtype
  readonly shape: readonly number[]
  value(): Tensor | Mask
}

/** What an output holds. */
export interface Contents {
  readonly tensors: readonly Written[]
  /** How many tensors the first model stores with scales and this output without. */
  readonly unscaled: number
  /** The weights among them that are quantised, scaled or packed. */
  readonly quantised: readonly QuantisedWeight[]
}

/** What an output asks of each tensor, and where it says so; later rules win. */
type Asked = (slot: Slot) => { readonly dtype: OutputDtype; readonly at: Place }

const askedOf = (output: Output, value: ModelValue, layers: LayerContext): Result<Asked> => {
  const chosen = new Map<string, { readonly dtype: OutputDtype; readonly at: Place }>()
  for (const { pattern, dtype } of output.dtypeRules) {
    const selected = layers.select({ type: 'layers', patterns: [pattern], at: pattern.at }, value.tensors)
    if (selected.type === 'failed') return selected
    for (const tensor of selected.value) chosen.set(tensor, { dtype, at: pattern.at })
  }
  return ok((slot) => chosen.get(slot.name) ?? { dtype: output.dtype, at: output.at })
}

/** A stored tensor as it is. */
const copied = (graph: Graph, info: TensorInfo): Written => ({
  name: info.name,
  dtype: info.dtype,
  shape: info.shape,
  value: () => graph.read(info),
})

/** What a tensor with scales is written with besides itself and its scale. */
const besides = (graph: Graph, { others, markers }: Scaled): readonly Written[] =>
  [...others, ...markers].map((info) => copied(graph, info))

/** True where new scales can be laid over a tensor as the first model has them. */
const isRescalable = ({ scaled, shape }: Slot): boolean => scaled?.stored.dtype === 'F8_E4M3' && sizeOf(shape) > 0

/** A tensor with scales of its own numbers; these are float32, whatever the first model's are. */
const rescaled = (graph: Graph, x: Tensor, scaled: Scaled): readonly Written[] => {
  const { stored, scale } = graph.rescaled(x, scaled.grid)
  return [
    { name: scaled.stored.name, dtype: 'F8_E4M3', shape: scaled.stored.shape, value: () => stored },
    { name: scaled.scale.name, dtype: 'F32', shape: scaled.scale.shape, value: () => scale },
    ...besides(graph, scaled),
  ]
}

/**
 * Tensors that the first model stores with scales: as they are stored where nothing was computed, else with new scales
 * where that is asked for; undefined for plain numbers.
 */
const writeScaled = (
  graph: Graph,
  { name, scaled }: Slot & { readonly scaled: Scaled },
  value: ModelValue,
  dtype: OutputDtype,
): readonly Written[] | undefined => {
  if (dtype !== 'same' && dtype !== SCALED_DTYPE) return undefined
  const x = value.tensor(name)
  if (x === readScaled(graph, scaled))
    return [copied(graph, scaled.stored), copied(graph, scaled.scale), ...besides(graph, scaled)]
  return dtype === SCALED_DTYPE ? rescaled(graph, x, scaled) : undefined
}

/** The stored tensor that an expression is, if it is no more than that. */
const storedAs = (x: Tensor): readonly QuantisedWeight[] =>
  x.type === 'read' ? [{ name: x.view.tensor.name, file: x.view.tensor.file }] : []

const writeModel = (graph: Graph, output: Output, value: ModelValue, asked: Asked): Result<Contents> => {
  const tensors = new Map<string, Written>()
  /** Where scales are asked for, and whether they can be had for any tensor there. */
  const wishes = new Map<Place, boolean>()
  const [kept, packed]: [QuantisedWeight[], QuantisedWeight[]] = [[], []]
  let [unscaled, unasked] = [0, 0]
  const add = (written: readonly Written[]): void =>
    written.forEach((t) => void (tensors.has(t.name) || tensors.set(t.name, t)))
  for (const slot of value.tensors.values()) {
    const { dtype, at } = asked(slot)
    const { name, shape, scaled } = slot
    if (dtype === SCALED_DTYPE) wishes.set(at, wishes.get(at) === true || isRescalable(slot))
    const own =
      scaled === undefined
        ? undefined
        : writeScaled(graph, { ...slot, scaled }, value, dtype === SCALED_DTYPE && !isRescalable(slot) ? 'same' : dtype)
    if (scaled !== undefined && own === undefined) {
      unscaled += 1
      unasked += dtype === 'same' ? 1 : 0
    }
    if (scaled !== undefined && own !== undefined) kept.push({ name, file: scaled.stored.file })
    if (slot.opaque !== undefined) append(packed, storedAs(value.tensor(name)))
    const plain =
      dtype === 'same' || dtype === SCALED_DTYPE || slot.opaque !== undefined || !isFloat(slot.dtype)
        ? slot.dtype
        : OUTPUT_DTYPES[dtype]
    add(own ?? [{ name, dtype: plain, shape, value: () => value.tensor(name) }])
  }
  const vain = [...wishes].filter(([, granted]) => !granted).map(([at]) => noScales(at, output.from.name))
  if (vain.length > 0) return failed(...vain)
  const mixed = kept.length > 0 && unasked > 0 ? [mixedScales(output.at, output.from.name, kept.length, unasked)] : []
  return ok({ tensors: [...tensors.values()], unscaled, quantised: [...kept, ...packed] }, mixed)
}

/**
 * The tensors of an output, their dtypes and what each is made of. Only floats change their dtype, and nothing of what
 * is packed does.
 */
export const writtenTensors = (graph: Graph, output: Output, value: Value, layers: LayerContext): Result<Contents> => {
  if (value.kind === 'mask') {
    return ok({
      tensors: [...value.shapes].map(([name, shape]) => ({
        name,
        dtype: 'BOOL',
        shape,
        value: () => value.mask(name),
      })),
      unscaled: 0,
      quantised: [],
    })
  }
  if (value.kind !== 'model') return ok({ tensors: [], unscaled: 0, quantised: [] })
  const asked = askedOf(output, value, layers)
  return asked.type === 'failed' ? asked : writeModel(graph, output, value, asked.value)
}
