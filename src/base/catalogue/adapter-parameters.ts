import type { Diagnostic, Place } from '../diagnostic.js'
import { entry } from './entry.js'
import { quoteName, shapeText } from './file-entry.js'

type Shape = readonly number[]

/** A parameter of a model that is no layer's weight. */
interface Parameter {
  readonly tensor: string
  readonly shape: Shape
}

const listed = (parameters: readonly Parameter[]): string =>
  parameters.map(({ tensor, shape }) => `${quoteName(tensor)} ${shapeText(shape)}`).join(', ')

/** Factors that fit no parameter that the config names. */
export const parameterUnfit = (
  at: Place,
  adapter: string,
  module: string,
  factors: readonly (readonly [up: Shape, down: Shape])[],
  parameters: readonly Parameter[],
): Diagnostic =>
  entry(
    'adapter-shape',
    `the factors of ${quoteName(module)} in ${adapter} (${factors.map(([up, down]) => `${shapeText(up)} and ${shapeText(down)}`).join('; ')}) do not fit the parameters that its config names: ${listed(parameters)}`,
    {
      at,
      help: 'use an adapter that was trained on this architecture; if this one was, the file is damaged: download it again',
    },
  )

/** Factors that fit several parameters: the file does not say which they are for. */
export const parametersAlike = (
  at: Place,
  adapter: string,
  module: string,
  parameters: readonly Parameter[],
): Diagnostic =>
  entry(
    'adapter-unsupported',
    `the factors of ${quoteName(module)} in ${adapter} fit its parameters in more than one way (${listed(parameters)}), and the file does not say which are for which`,
    {
      at,
      help: 'merge the adapter with PEFT, or leave the module out with `exclude`',
    },
  )

/** A square parameter of experts, which PEFT may have seen either way round. */
export const parameterSquare = (at: Place, adapter: string, module: string, tensor: string, shape: Shape): Diagnostic =>
  entry(
    'adapter-unsupported',
    `${quoteName(tensor)} is ${shapeText(shape)}, and nothing says whether ${quoteName(module)} of ${adapter} takes its second axis for the outputs or the inputs of each expert`,
    {
      at,
      help: 'merge the adapter with PEFT, or leave the module out with `exclude`',
    },
  )

/** An adapter whose model has layers of its base several times, or not all, and a model that is not stacked so. */
export const layersRepeated = (
  at: Place,
  adapter: string,
  model: string,
  ranges: readonly (readonly [number, number])[],
): Diagnostic =>
  entry(
    'adapter-layers',
    `${adapter} was trained on a stack of layers of its base model (\`layer_replication\` in its config), and ${model} is not stacked in that way`,
    {
      at,
      help: `stack the base with \`op: model.stack\`, \`slices: [${ranges.map(([first, end]) => `{ model: …, layers: [${first}, ${end}] }`).join(', ')}]\`, and apply the adapter to the result`,
    },
  )

/** Factors of one expert that do not fit its part of the tensor that holds all experts. */
export const expertUnfit = (
  at: Place,
  adapter: string,
  module: string,
  [up, down]: readonly [up: Shape, down: Shape],
  tensor: string,
  shape: Shape,
): Diagnostic =>
  entry(
    'adapter-shape',
    `the factors of ${quoteName(module)} in ${adapter} (${shapeText(up)} and ${shapeText(down)}) do not fit an expert of ${quoteName(tensor)}, which is ${shapeText(shape)}`,
    {
      at,
      help: 'use an adapter that was trained on this architecture; if this one was, the file is damaged: download it again',
    },
  )

/** Another kind than LoRA, of one expert, for a tensor that holds all experts. */
export const expertKind = (at: Place, adapter: string, module: string, tensor: string): Diagnostic =>
  entry(
    'adapter-unsupported',
    `${quoteName(module)} of ${adapter} is for one expert, which the model has in ${quoteName(tensor)} along with all others, and it is no plain pair of LoRA factors`,
    {
      at,
      help: 'apply the adapter to the checkpoint of the same model that has its experts one by one, or leave the module out with `exclude`',
    },
  )

/** Experts whose gates lie in turns with what they are multiplied with. */
export const expertsInterleaved = (at: Place, adapter: string, module: string, tensor: string): Diagnostic =>
  entry(
    'adapter-unsupported',
    `${quoteName(module)} of ${adapter} is one matrix of an expert, and ${quoteName(tensor)} holds two of them whose order smelt does not know, since they have biases`,
    {
      at,
      help: 'use an adapter that was trained on the stacked experts (`target_parameters`), or leave the module out with `exclude`',
    },
  )
