import { castOverridden } from '../base/catalogue/plan.js'
import { mixedScales, noScales } from '../base/catalogue/quantised.js'
import type { Place } from '../base/diagnostic.js'
import { append } from '../base/lists.js'
import { failed, ok, type Result } from '../base/result.js'
import type { Mask, Tensor } from '../graph/expression.js'
import type { Graph } from '../graph/graph.js'
import type { Cast, ModelValue, Slot, Value } from '../operators/value.js'
import type { Output } from '../recipe/recipe.js'
import { isFloat, OUTPUT_DTYPES, SCALED_DTYPE, type Dtype, type OutputDtype } from '../tensor/dtype.js'
import type { TensorInfo } from '../tensor/info.js'
import { isRescalable, type Scaled } from '../tensor/quantised.js'
import { partName } from '../tensor/scaled-names.js'
import type { LayerContext } from './context.js'
import { readScaled } from './logical-model.js'
import type { QuantisedWeight } from './quantisation-metadata.js'

/** A tensor as an output has it; `value` makes its expression, given the name. */
export interface Written {
  readonly name: string
  readonly dtype: Dtype
  readonly shape: readonly number[]
  value(name: string): Tensor | Mask
}

/** What an output holds. */
export interface Contents {
  readonly tensors: readonly Written[]
  /** How many tensors the first model stores with scales and this output without. */
  readonly unscaled: number
  /** The weights among them that are quantised, scaled or packed. */
  readonly quantised: readonly QuantisedWeight[]
}

/** Tensors to be written: those of a model, or of an adapter that a step makes. */
type Held = Pick<ModelValue, 'tensors' | 'tensor'>

/** What an output asks of each tensor, and where it says so; later rules win. */
type Asked = (slot: Slot) => { readonly dtype: OutputDtype; readonly at: Place }

/** Tensors that a step casts to one dtype and the output to another, by the place of the step. */
type Overridden = Map<Place, { readonly dtype: OutputDtype; readonly by: OutputDtype; count: number }>

const askedOf = (output: Output, value: Held, layers: LayerContext): Result<Asked> => {
  const chosen = new Map<string, { readonly dtype: OutputDtype; readonly at: Place }>()
  for (const { pattern, dtype } of output.dtypeRules) {
    const selected = layers.select({ type: 'layers', patterns: [pattern], at: pattern.at }, value.tensors)
    if (selected.type === 'failed') return selected
    for (const tensor of selected.value) chosen.set(tensor, { dtype, at: pattern.at })
  }
  return ok((slot) => chosen.get(slot.name) ?? { dtype: output.dtype, at: output.at })
}

/** A stored tensor as it is, under a name. */
const copied = (graph: Graph, info: TensorInfo, name: string): Written => ({
  name,
  dtype: info.dtype,
  shape: info.shape,
  value: () => graph.read(info),
})

/** What a tensor with scales is written with besides itself and its scale. */
const besides = (graph: Graph, scaled: Scaled): readonly Written[] =>
  [...scaled.others, ...scaled.markers].map((info) => copied(graph, info, partName(scaled, info)))

/** A tensor with scales of its own numbers; these are float32, whatever the first model's are. */
const rescaled = (graph: Graph, x: Tensor, scaled: Scaled): readonly Written[] => {
  const { stored, scale } = graph.rescaled(x, scaled.grid)
  return [
    { name: partName(scaled, scaled.stored), dtype: 'F8_E4M3', shape: scaled.stored.shape, value: () => stored },
    { name: partName(scaled, scaled.scale), dtype: 'F32', shape: scaled.scale.shape, value: () => scale },
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
  value: Held,
  dtype: OutputDtype,
): readonly Written[] | undefined => {
  if (dtype !== 'same' && dtype !== SCALED_DTYPE) return undefined
  const x = value.tensor(name)
  if (x === readScaled(graph, scaled))
    return [
      ...[scaled.stored, scaled.scale].map((part) => copied(graph, part, partName(scaled, part))),
      ...besides(graph, scaled),
    ]
  return dtype === SCALED_DTYPE ? rescaled(graph, x, scaled) : undefined
}

/** The stored tensor that an expression is, if it is no more than that. */
const storedAs = (x: Tensor, name: string): readonly QuantisedWeight[] =>
  x.type === 'read' ? [{ name, stored: x.view.tensor }] : []

const noteOverridden = (overridden: Overridden, { dtype, at }: Cast, by: OutputDtype): void => {
  const known = overridden.get(at)
  if (known === undefined) overridden.set(at, { dtype, by, count: 1 })
  else known.count++
}

const writeModel = (graph: Graph, output: Output, value: Held, asked: Asked): Result<Contents> => {
  const tensors = new Map<string, Written>()
  /** Where scales are asked for, and whether they can be had for any tensor there. */
  const wishes = new Map<Place, boolean>()
  const [kept, packed]: [QuantisedWeight[], QuantisedWeight[]] = [[], []]
  const overridden: Overridden = new Map()
  let [unscaled, unasked] = [0, 0]
  /** One for all: there may be a hundred thousand tensors. */
  const valueOf = (name: string): Tensor => value.tensor(name)
  const add = (written: readonly Written[]): void =>
    written.forEach((t) => void (tensors.has(t.name) || tensors.set(t.name, t)))
  for (const slot of value.tensors.values()) {
    const { dtype: wanted, at } = asked(slot)
    const { name, shape, scaled, cast } = slot
    if (wanted === SCALED_DTYPE) wishes.set(at, wishes.get(at) === true || isRescalable(scaled))
    if (cast !== undefined && wanted !== 'same' && wanted !== cast.dtype) noteOverridden(overridden, cast, wanted)
    const dtype = wanted === 'same' ? (cast?.dtype ?? wanted) : wanted
    const own =
      scaled === undefined
        ? undefined
        : writeScaled(
            graph,
            { ...slot, scaled },
            value,
            dtype === SCALED_DTYPE && !isRescalable(scaled) ? 'same' : dtype,
          )
    if (scaled !== undefined && own === undefined) {
      unscaled += 1
      unasked += dtype === 'same' ? 1 : 0
    }
    if (scaled !== undefined && own !== undefined) kept.push({ name, stored: scaled.stored })
    if (slot.opaque !== undefined) append(packed, storedAs(value.tensor(name), name))
    const plain =
      dtype === 'same' || dtype === SCALED_DTYPE || slot.opaque !== undefined || !isFloat(slot.dtype)
        ? slot.dtype
        : OUTPUT_DTYPES[dtype]
    add(own ?? [{ name, dtype: plain, shape, value: valueOf }])
  }
  const vain = [...wishes].filter(([, granted]) => !granted).map(([at]) => noScales(at, output.from.name))
  if (vain.length > 0) return failed(...vain)
  const warnings = [
    ...(kept.length > 0 && unasked > 0 ? [mixedScales(output.at, output.from.name, kept.length, unasked)] : []),
    ...[...overridden].map(([at, { dtype, by, count }]) =>
      castOverridden(output.at, output.name, by, count, dtype, at),
    ),
  ]
  return ok({ tensors: [...tensors.values()], unscaled, quantised: [...kept, ...packed] }, warnings)
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
  const held = value.kind === 'model' ? value : value.kind === 'adapter' ? value.made : undefined
  if (held === undefined) return ok({ tensors: [], unscaled: 0, quantised: [] })
  const asked = askedOf(output, held, layers)
  return asked.type === 'failed' ? asked : writeModel(graph, output, held, asked.value)
}
