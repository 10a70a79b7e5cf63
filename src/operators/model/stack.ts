import { findLayerStacks, type LayerStack } from '../../architectures/layer-stacks.js'
import { mixedSpaces } from '../../base/catalogue/operators.js'
import * as say from '../../base/catalogue/stack.js'
import type { Diagnostic, Place } from '../../base/diagnostic.js'
import { append } from '../../base/lists.js'
import { failed, ok, type Result } from '../../base/result.js'
import { COMMON, named } from '../aliases.js'
import { labelOf, modelsOf, valueOf } from '../call-arguments.js'
import type { Call, Operator } from '../operator.js'
import { layerRange, models, modelAside, text } from '../params.js'
import { renameSlot } from '../rename-slot.js'
import { sameShape } from '../shape.js'
import type { ModelValue, Reference, Slot, Value } from '../value.js'

/** A model with the layers that it is stacked from. */
interface Layered extends Reference<ModelValue> {
  readonly stack: LayerStack
}

/** Layers of a model, as a range whose end is left out. */
interface Slice {
  readonly from: Layered
  readonly range: readonly [number, number]
}

type Layer = ReadonlyMap<string, string>

const ascending = (numbers: Iterable<number>): readonly number[] => [...numbers].sort((x, y) => x - y)

/** Tensors outside of the layers that have some columns, or rows, for each layer, as those of Gemma 3n. */
const BY_LAYER = /(?:^|\.)(?:embed_tokens_per_layer|per_layer_model_projection)\.weight$/

const tensorsOf = ({ layers }: LayerStack): number => [...layers.values()].reduce((sum, layer) => sum + layer.size, 0)

/** The one run of numbered layers of a model. */
const layeredOf = (call: Call, reference: Reference<ModelValue>): Result<Layered> => {
  const { tensors, label } = reference.value
  const path = valueOf(call, 'path') as string | undefined
  const stacks = findLayerStacks(tensors, call.architecture(tensors), path)
  if (stacks.length === 0) return failed(say.noLayers(reference.at, label, path))
  return stacks.length === 1
    ? ok({ ...reference, stack: stacks[0]! })
    : failed(
        say.severalLayerStacks(
          reference.at,
          label,
          [...stacks].sort((x, y) => tensorsOf(y) - tensorsOf(x)).map((s) => s.path),
        ),
      )
}

/** The layers of one entry of `slices`: all unless it says which. */
const sliceOf = (call: Call, from: Layered, index: number): Result<Slice> => {
  const present = ascending(from.stack.layers.keys())
  const argument = call.each[index]?.['layers']
  const [first, end] = argument?.type === 'value' ? (argument.value as [number, number]) : [0, present.at(-1)! + 1]
  const at = argument?.at ?? from.at
  if (first >= end) return failed(say.emptySlice(at, first, end))
  const wanted = present.filter((layer) => layer >= first && layer < end)
  return wanted.length === end - first
    ? ok({ from, range: [first, end] })
    : failed(say.layersBeyond(at, [first, end], from.value.label, from.stack.path, present))
}

/** The first tensor that two layers do not both have, in one shape; undefined where they are of one kind. */
const differenceOf = (
  [layer, { tensors }]: readonly [Layer, ModelValue],
  [other, { tensors: others }]: readonly [Layer, ModelValue],
): string | undefined =>
  [...new Set([...layer.keys(), ...other.keys()])].find((below) => {
    const [x, y] = [tensors.get(layer.get(below) ?? ''), others.get(other.get(below) ?? '')]
    return x === undefined || y === undefined || !sameShape(x.shape, y.shape)
  })

/** The first layer of a slice that is of a kind that another model has none of. */
const findOtherKind = ({ from, range }: Slice, reference: Layered): Diagnostic | undefined => {
  if (from.value.tensors === reference.value.tensors) return undefined
  const kinds = [...reference.stack.layers.values()]
  let usual = kinds[0]!
  for (let number = range[0]; number < range[1]; number++) {
    const layer = from.stack.layers.get(number)!
    const differs = (kind: Layer) => differenceOf([layer, from.value], [kind, reference.value])
    // Most layers are like the one before.
    if (differs(usual) === undefined) continue
    const alike = kinds.find((kind) => differs(kind) === undefined)
    if (alike === undefined) {
      const below = differs(usual)!
      const shapeIn = ({ value }: Layered, own: Layer) => ({
        label: value.label,
        shape: value.tensors.get(own.get(below) ?? '')?.shape,
      })
      return say.layersDiffer(from.at, below, shapeIn(from, layer), shapeIn(reference, usual))
    }
    usual = alike
  }
  return undefined
}

/** Where a tensor of the result comes from. */
interface Source {
  readonly model: ModelValue
  readonly name: string
}

/** The tensors of stacked layers, under the names of their new places. */
const stackLayers = (slices: readonly Slice[], path: string, put: (slot: Slot, source: Source) => void): void => {
  let next = 0
  for (const { from, range } of slices) {
    for (let number = range[0]; number < range[1]; number++, next++) {
      const [old, moved] = [`${from.stack.path}.${number}.`, `${path}.${next}.`]
      const rename = (name: string): string => (name.startsWith(old) ? moved + name.slice(old.length) : name)
      for (const name of from.stack.layers.get(number)!.values())
        put(renameSlot(from.value.tensors.get(name)!, rename(name), rename), { model: from.value, name })
    }
  }
}

/** The slices of a call, checked one by one; every problem of each is told. */
const slicesOf = (call: Call): Result<readonly Slice[]> => {
  const problems: Diagnostic[] = []
  const slices = modelsOf(call, 'slices').flatMap((reference, i): readonly Slice[] => {
    const layered = layeredOf(call, reference)
    const slice = layered.type === 'failed' ? layered : sliceOf(call, layered.value, i)
    if (slice.type === 'ok') return [slice.value]
    append(problems, slice.diagnostics)
    return []
  })
  return problems.length > 0 ? failed(...problems) : ok(slices)
}

/** The model that gives what is outside of the layers, with its layers where it has some. */
const restOf = (
  call: Call,
  first: Layered,
): Result<{ readonly rest: Reference<ModelValue>; readonly like: Layered }> => {
  const rest = modelsOf(call, 'rest')[0]
  if (rest === undefined) return ok({ rest: first, like: first })
  const { tensors } = rest.value
  const [same] = findLayerStacks(tensors, call.architecture(tensors), first.stack.path)
  if (same !== undefined) return ok({ rest, like: { ...rest, stack: same } })
  const own = layeredOf(call, rest)
  if (own.type === 'ok') return ok({ rest, like: own.value })
  // It may be a part without layers: embeddings, norm and head.
  return findLayerStacks(tensors, call.architecture(tensors), undefined).length > 0 ? own : ok({ rest, like: first })
}

/** The numbers that the layers of a slice have in the file that they are from. */
const originsOf = ({ from: { value }, range: [first, end] }: Slice): readonly number[] =>
  Array.from({ length: end - first }, (_, i) => value.origins?.numbers[first + i] ?? first + i)

const evaluate = (call: Call): Result<readonly Value[]> => {
  const read = slicesOf(call)
  if (read.type === 'failed') return read
  const slices = read.value
  const found = restOf(call, slices[0]!.from)
  if (found.type === 'failed') return found
  const { rest, like } = found.value
  const { space } = rest.value
  const problem = (at: Place, value: ModelValue): Diagnostic | undefined =>
    value.space === space ? undefined : mixedSpaces(at, value.label, rest.value.label)
  for (const slice of slices) {
    const wrong = problem(slice.from.at, slice.from.value) ?? findOtherKind(slice, like)
    if (wrong !== undefined) return failed(wrong)
  }
  const tensors = new Map<string, Slot>()
  const sources = new Map<string, Source>()
  const put = (slot: Slot, source: Source): void => {
    tensors.set(slot.name, slot)
    sources.set(slot.name, source)
    call.note(
      slot.name === source.name
        ? { type: 'kept', tensor: slot.name }
        : { type: 'renamed', tensor: slot.name, from: source.name },
    )
  }
  const wide = [...rest.value.tensors.keys()].find((name) => BY_LAYER.test(name))
  const isWhole = slices.length === 1 && slices[0]!.range[0] === 0 && slices[0]!.range[1] === like.stack.layers.size
  if (wide !== undefined && !isWhole) return failed(say.columnsByLayer(rest.at, rest.value.label, wide))
  const layers = new Set([...like.stack.layers.values()].flatMap((layer) => [...layer.values()]))
  for (const [name, slot] of rest.value.tensors)
    if (like.value !== rest.value || !layers.has(name)) put(slot, { model: rest.value, name })
  stackLayers(slices, like.stack.path, put)
  return ok([
    {
      kind: 'model',
      space,
      label: labelOf(call),
      tensors,
      origins: { path: like.stack.path, numbers: slices.flatMap(originsOf) },
      tensor: (name) => {
        const source = sources.get(name)!
        return source.model.tensor(source.name)
      },
    },
  ])
}

/** Stacks layers of models under new numbers. */
export const stack: Operator = {
  id: 'model.stack',
  version: 1,
  summary: 'Stacks layers of one or several language models into a deeper or shallower one.',
  aliases: [
    ...named('mergekit', ['slices', 'layer_range']),
    { name: 'bakllama', from: 'mergekit', settings: 'its `layer_slices` as `slices`' },
    { name: 'mergekit-layershuffle', from: 'mergekit', settings: 'the slices that it draws, written out' },
    ...named(COMMON, ['frankenmerge', 'layer stacking']),
  ],
  details: [
    'The layers of each slice follow those of the slice before, numbered anew from 0. `layers: [8, 32]` selects layers 8 to 31, as `layer_range` of mergekit does; without `layers`, a slice is all layers of its model. Slices may overlap, repeat layers, leave some out, and come in any order. Everything outside of the layers (embeddings, last norm, output head) is that of `rest`. Nothing is computed.',
    '',
    'A slice can be the result of other steps: to merge two models and keep only some of the merged layers, merge them first.',
    '',
    'Layers from several models must have tensors of the same names and shapes. smelt finds the layers by the model’s architecture, or, where that is unknown, at the first number in the names of its tensors. A model with layers in several places, such as an encoder and a decoder, needs `path`. The number of layers changes: an output whose path ends in `/` has it in its `config.json`, too.',
  ].join('\n'),
  output: 'model',
  inputs: {
    slices: models(
      'The slices, in the order of their layers in the result.',
      {
        layers: layerRange('The first layer of the slice, and the first one after it. Without it, all layers.'),
      },
      1,
      'any',
    ),
    rest: modelAside(
      'The model that gives everything outside of the layers. Without it, that of the first slice.',
      'any',
    ),
  },
  params: {
    path: text(
      'path',
      'What the names of layers have before the number, such as `model.language_model.layers`. Needed where a model has layers in several places.',
    ),
  },
  merges: false,
  exact: true,
  draws: false,
  examples: [
    {
      title: 'layers 0 and 1 of one model, and layer 1 of another behind them',
      inputs: {
        slices: [
          {
            model: {
              'model.embed_tokens.weight': [1, 2],
              'model.layers.0.mlp.weight': [3, 4],
              'model.layers.1.mlp.weight': [5, 6],
            },
            layers: [0, 2],
          },
          {
            model: {
              'model.embed_tokens.weight': [-1, -2],
              'model.layers.0.mlp.weight': [-3, -4],
              'model.layers.1.mlp.weight': [-5, -6],
            },
            layers: [1, 2],
          },
        ],
      },
      expect: {
        'model.embed_tokens.weight': [1, 2],
        'model.layers.0.mlp.weight': [3, 4],
        'model.layers.1.mlp.weight': [5, 6],
        'model.layers.2.mlp.weight': [-5, -6],
      },
    },
    {
      title: 'embeddings of another model',
      inputs: {
        slices: [{ model: { 'wte.weight': [1], 'h.0.mlp.weight': [2], 'h.1.mlp.weight': [3] }, layers: [1, 2] }],
        rest: { 'wte.weight': [9] },
      },
      expect: { 'wte.weight': [9], 'h.0.mlp.weight': [3] },
    },
    {
      title: 'the layers of a decoder only',
      inputs: {
        slices: [
          { model: { 'encoder.block.0.w': [1], 'decoder.block.0.w': [2], 'decoder.block.1.w': [3] }, layers: [1, 2] },
        ],
      },
      params: { path: 'decoder.block' },
      expect: { 'encoder.block.0.w': [1], 'decoder.block.0.w': [3] },
    },
  ],
  evaluate,
}
