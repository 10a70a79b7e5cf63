import type { Diagnostic, Place } from '../diagnostic.js'
import { entry } from './entry.js'
import { listNames, quoteName } from './file-entry.js'

const EXAMPLE = '`layers: [0, 24]`'

const shapeText = (shape: readonly number[] | undefined): string =>
  shape === undefined ? '' : ` [${shape.join(', ')}]`

/** A slice that ends where it begins, or before. */
export const emptySlice = (at: Place, from: number, to: number): Diagnostic =>
  entry('empty-slice', `\`layers: [${from}, ${to}]\` selects no layer: the second number is the first layer left out`, {
    at,
    help: `write the smaller number first, as in ${EXAMPLE}, which selects layers 0 to 23`,
  })

/** A slice goes beyond the layers of its model, or the model lacks some of them. */
export const layersBeyond = (
  at: Place,
  [from, to]: readonly [number, number],
  model: string,
  path: string,
  present: readonly number[],
): Diagnostic => {
  const last = present.at(-1)!
  const isWhole = present.length === last + 1
  return entry(
    'no-such-layer',
    `\`layers: [${from}, ${to}]\` selects layers ${from} to ${to - 1}, but ${model} has ${isWhole ? `layers 0 to ${last}` : `of ${quoteName(path)} only layers ${listNames(present)}`}`,
    {
      at,
      help: `write a range within them${isWhole ? `; \`layers: [0, ${last + 1}]\` selects them all` : ''}`,
    },
  )
}

/** The layers of two models are not of one kind; a shape is absent where the model lacks the tensor. */
export const layersDiffer = (
  at: Place,
  tensor: string,
  model: { readonly label: string; readonly shape: readonly number[] | undefined },
  other: { readonly label: string; readonly shape: readonly number[] | undefined },
): Diagnostic => {
  const [has, lacks] = model.shape === undefined ? [other, model] : [model, other]
  return entry(
    'layers-differ',
    lacks.shape === undefined
      ? `the layers of ${has.label} have ${quoteName(tensor)}${shapeText(has.shape)}, which those of ${lacks.label} lack`
      : `${quoteName(tensor)} is${shapeText(model.shape)} in the layers of ${model.label}, but${shapeText(other.shape)} in those of ${other.label}`,
    { at, help: 'stack layers of models of one architecture and size' },
  )
}

/** A model without numbered layers, or without any at the path that is given. */
export const noLayers = (at: Place, model: string, path: string | undefined): Diagnostic =>
  entry(
    'no-layers',
    path === undefined
      ? `${model} has no numbered layers, such as \`model.layers.0\``
      : `${model} has no numbered layers at ${quoteName(path)}`,
    {
      at,
      help: 'run `smelt inspect` on the file to see its tensors; `path: model.layers` says what comes before the numbers',
    },
  )

/** A tensor outside of the layers that has a part for each of them. */
export const columnsByLayer = (at: Place, model: string, tensor: string): Diagnostic =>
  entry(
    'by-layer',
    `${model} has ${quoteName(tensor)}, a part of which belongs to each layer, so its layers cannot be stacked`,
    { at, help: 'stack a model without embeddings for each layer' },
  )

/** A model with several runs of numbered layers, such as an encoder and a decoder. */
export const severalLayerStacks = (at: Place, model: string, paths: readonly string[]): Diagnostic =>
  entry('several-layer-stacks', `${model} has numbered layers in several places: ${listNames(paths)}`, {
    at,
    help: `say which to stack: \`path: ${paths[0]}\``,
  })
