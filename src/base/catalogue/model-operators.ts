import type { Diagnostic, Place } from '../diagnostic.js'
import { entry } from './entry.js'
import { listNames, quoteName } from './file-entry.js'

/** The input and output layers that are adjusted are those of another network, or of none that is known. */
export const adjustArchitecture = (at: Place, model: string, title: string | undefined): Diagnostic =>
  entry(
    'adjust-architecture',
    title === undefined
      ? `smelt does not know the architecture of ${model}, so it cannot tell which latents its colours are in`
      : `${model} is ${title}; these adjustments are known for the four-channel latents of Stable Diffusion 1, 2 and XL only`,
    {
      at,
      help:
        title === undefined
          ? 'write `latents: sd` or `latents: sdxl` if it is a U-Net of Stable Diffusion'
          : 'remove the step for this model',
    },
  )

/** The last bias of a U-Net has another number of channels than the colours are known for. */
export const adjustChannels = (at: Place, tensor: string, shape: readonly number[]): Diagnostic =>
  entry('adjust-channels', `${quoteName(tensor)} has shape [${shape.join(', ')}]; colours are known for 4 channels`, {
    at,
    help: 'remove `contrast`, `brightness` and the colours for this model',
  })

/** None of the tensors that are adjusted is there. */
export const adjustsNothing = (at: Place, model: string, tensors: readonly string[]): Diagnostic =>
  entry('adjusts-nothing', `${model} has none of ${listNames(tensors)}`, {
    at,
    help: 'use a checkpoint or U-Net of Stable Diffusion 1, 2 or XL with the names of its original files',
  })

/** No tensor can be cast: there are only integers, or none with the scales that are asked for. */
export const castsNothing = (at: Place, model: string, dtype: string): Diagnostic =>
  entry('casts-nothing', `\`${dtype}\` changes no tensor of ${model}`, {
    at,
    help:
      dtype === 'f8_e4m3_scaled'
        ? '`f8_e4m3_scaled` needs tensors that are stored in F8_E4M3 with scales; write `f8_e4m3`, or start from a model that has them'
        : 'select tensors of floating-point numbers; integers and packed weights keep their dtypes',
  })

/** An averaged weight that is the average of no weight, or of several, by name and shape. */
export const emaUnclear = (at: Place, tensor: string, model: string, fitting: readonly string[]): Diagnostic =>
  entry(
    'ema-unclear',
    fitting.length === 0
      ? `${quoteName(tensor)} is the average of no weight of ${model}, by name and shape`
      : `${quoteName(tensor)} could be the average of ${listNames(fitting)}`,
    { at, help: 'remove `ema: use` to keep the weights themselves' },
  )

/** A model without averages where they are to be used. */
export const noEma = (at: Place, model: string): Diagnostic =>
  entry('no-ema', `${model} has no EMA weights (\`model_ema.*\`)`, {
    at,
    help: 'remove `ema: use`; `smelt inspect` lists the tensors of a file',
  })

/** Everything would be dropped. */
export const prunedAll = (at: Place, model: string): Diagnostic =>
  entry('pruned-all', `nothing would be left of ${model}`, {
    at,
    help: 'drop less, or use a whole checkpoint',
  })

/** There is nothing of what a step is to drop. A warning: the result is the model as it is. */
export const prunesNothing = (at: Place, model: string): Diagnostic =>
  entry('prunes-nothing', `${model} has nothing of what \`drop\` lists`, {
    at,
    severity: 'warning',
    help: 'remove the step, or `drop`, to drop whatever there is',
  })

/** Noise goes to the values of attention unless a recipe says otherwise, and a model has none by their usual name. */
export const noValuesForNoise = (at: Place): Diagnostic =>
  entry(
    'no-values-for-noise',
    'without `layers`, noise goes to the values of attention, `to_v`, and this model has no tensor of that name',
    {
      at,
      help: 'say which layers: `layers: "**.v_proj"` are the values of many language models, `layers: "*"` is every tensor; `smelt inspect` lists the names',
    },
  )
