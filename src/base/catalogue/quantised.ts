import type { Diagnostic, Place } from '../diagnostic.js'
import { entry } from './entry.js'

/** Some tensors of an output keep their scales, and others lose them. A warning: many programs expect all or none. */
export const mixedScales = (at: Place, name: string, scaled: number, plain: number): Diagnostic =>
  entry(
    'mixed-scales',
    `\`${name}\` keeps the scales of ${scaled} ${scaled === 1 ? 'tensor' : 'tensors'}, but ${plain} computed ${plain === 1 ? 'tensor becomes' : 'tensors become'} plain numbers`,
    {
      at,
      severity: 'warning',
      help: 'many programs expect scales on all such tensors or on none: write `dtype: f8_e4m3_scaled` or `dtype: bf16`',
    },
  )

/** `f8_e4m3_scaled` for an output whose first model has no scales. */
export const noScales = (at: Place, name: string): Diagnostic =>
  entry(
    'no-scales',
    `\`f8_e4m3_scaled\` needs tensors that the first model stores in F8_E4M3 with scales, and \`${name}\` has none here`,
    {
      at,
      help: 'put the model with scales first in the merge, or write another `dtype`, such as `bf16`',
    },
  )

/** The quantisation of a tensor that smelt cannot compute with, in words. */
export const schemes = {
  besideScale: (dtype: string): string => `${dtype} with a scale beside it`,
  loneScale: 'a scale without its weight',
  unknownScales: (dtype: string): string => `${dtype} with scales that smelt cannot read`,
} as const

/** A model is quantised in a format that smelt cannot compute with. */
export const opaqueModel = (at: Place, model: string, scheme: string, tensor: string): Diagnostic =>
  entry('quantised-model', `${model} is quantised (${scheme}): smelt cannot compute with \`${tensor}\``, {
    at,
    help: 'use the bf16 or f16 original and quantise the result, or leave such tensors out with `layers:`',
  })
