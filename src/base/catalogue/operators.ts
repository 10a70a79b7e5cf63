import type { Diagnostic, Place } from '../diagnostic.js'
import { didYouMean } from './did-you-mean.js'
import { entry } from './entry.js'
import { shapeText } from './file-entry.js'

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`

/** One problem for several tensors that have it. */
export const alsoOf = (problem: Diagnostic, more: number): Diagnostic => ({
  ...problem,
  message: `${problem.message} (and ${more} more ${more === 1 ? 'tensor' : 'tensors'})`,
})

/** A step with neither `blocks` nor `preset`, or with both. */
export const blocksOrPreset = (at: Place): Diagnostic =>
  entry('blocks-or-preset', 'expected exactly one of `blocks` and `preset`', {
    at,
    help: 'write `blocks: [0, 0.5, …]`, `blocks: { IN04: 0.3 }` or `preset: GRAD_V`',
  })

/** The same tensors come from two models of a combination. */
export const combinedTwice = (at: Place, tensors: readonly string[], first: string, second: string): Diagnostic =>
  entry(
    'combined-twice',
    `\`${tensors[0]}\`${tensors.length > 1 ? ` and ${tensors.length - 1} more` : ''} is in ${first} and in ${second}`,
    {
      at,
      help: 'select disjoint layers with `model.select` before combining, or write `overlap: first`',
    },
  )

/** Weights are to be divided by 0. */
export const divideByZero = (at: Place, tensor: string): Diagnostic =>
  entry('divide-by-zero', `the weight of \`${tensor}\` would be divided by 0`, {
    at,
    help: 'divide by another number, or leave that layer out',
  })

/** A tensor of integers in one model and floats in another. */
export const dtypeMismatch = (at: Place, tensor: string, first: string, other: string, dtype: string): Diagnostic =>
  entry(
    'dtype-mismatch',
    `\`${tensor}\` is floating point in ${first} but ${dtype} in ${other}, which cannot be merged`,
    {
      at,
      help: `write \`mismatch: keep\` to take such tensors from ${first}`,
    },
  )

/** Statistics of a model that lack one of its tensors. */
export const noStatistics = (at: Place, tensor: string, label: string): Diagnostic =>
  entry('no-statistics', `${label} has no statistics of \`${tensor}\``, {
    at,
    help: 'collect statistics of every tensor that is merged, or limit the step with `layers`',
  })

/** Statistics of another model: their shape does not fit. */
export const wrongStatistics = (
  at: Place,
  tensor: string,
  label: string,
  found: readonly number[],
  wanted: readonly number[],
): Diagnostic =>
  entry(
    'wrong-statistics',
    `the statistics of \`${tensor}\` in ${label} are ${shapeText(found)} where ${shapeText(wanted)} is needed`,
    {
      at,
      help: 'check that the statistics were collected from a model of this architecture, in the layout that docs/operators.md describes',
    },
  )

/** Some models of a list have a Gram matrix for a layer, others have none. */
export const someStatistics = (at: Place, tensor: string): Diagnostic =>
  entry('some-statistics', `only some of the models have a Gram matrix for \`${tensor}\``, {
    at,
    help: 'collect the Gram matrices of all models from the same layers, or limit the step with `layers`',
  })

/** A mask step with none of the keys that fill it, or with several. */
export const fillings = (at: Place, keys: readonly string[]): Diagnostic =>
  entry('mask-fillings', `expected exactly one of ${keys.map((key) => `\`${key}\``).join(', ')}`, {
    at,
    help: `write one of them, for example \`${keys[0]}: true\``,
  })

/** The geometric mean beyond its ends, where a power of 0 is infinite. */
export const geometricRange = (at: Place, keep: number): Diagnostic =>
  entry('geometric-range', `\`geometric\` needs a \`keep\` from 0 to 1, found ${keep}`, {
    at,
    help: 'use a number from 0 to 1, or `method: lerp`, which extrapolates',
  })

/** `scaled_add` would divide by 1 + t = 0. */
export const infiniteScale = (at: Place): Diagnostic =>
  entry('infinite-scale', '`scaled_add` divides by 2 − keep, which is 0 at `keep: 2`', {
    at,
    help: 'use another `keep`, or `method: lerp`',
  })

/** A list of masks to use instead of random draws is too short or too long. */
export const keptCount = (at: Place, found: number, expected: number): Diagnostic =>
  entry('kept-count', `the number of masks in \`kept\` is ${found}, but \`iterations\` is ${expected}`, {
    at,
    help: 'list one mask for each iteration',
  })

/** A mask that replaces random draws does not cover a tensor. */
export const maskLacks = (at: Place, tensor: string, mask: string): Diagnostic =>
  entry('mask-lacks-tensor', `mask ${mask} does not cover \`${tensor}\`, so it cannot replace the random draws there`, {
    at,
    help: 'use a mask that was made for this model, or leave such tensors out with `layers:`',
  })

/** A mask was made for tensors of another shape. */
export const maskShape = (
  at: Place,
  tensor: string,
  mask: string,
  found: readonly number[],
  expected: readonly number[],
): Diagnostic =>
  entry(
    'mask-shape',
    `mask ${mask} has shape ${shapeText(found)} for \`${tensor}\`, but the tensor is ${shapeText(expected)}`,
    {
      at,
      help: 'make the mask from models of the same architecture as the models it is used on',
    },
  )

/** A difference and a model among the inputs of one combination. */
export const mixedSpaces = (at: Place, stranger: string, first: string): Diagnostic =>
  entry('mixed-spaces', `cannot combine ${stranger} and ${first}: one is a difference, the other a model`, {
    at,
    help: 'add the difference to a model with `model.add` first',
  })

/** A model without tensors named like attention layers. */
export const noAttention = (at: Place, model: string): Diagnostic =>
  entry('no-attention', `${model} has no attention layers with queries and keys in tensors of their own`, {
    at,
    help: 'use `method: all`; the other methods look for `to_q` and `to_k`, or `q_proj` and `k_proj`',
  })

/** A part of a U-Net, asked for in another kind of model. */
export const noSuchPart = (at: Place, part: string, architecture: string, blocks: readonly string[]): Diagnostic =>
  entry('no-such-part', `${architecture} has no ${part} blocks`, {
    at,
    help: `use \`weights.gradient\`, \`weights.mbw\`, or patterns such as \`block:${blocks[1] ?? blocks[0]}\`; its blocks are ${blocks.slice(0, 4).join(', ')}, …`,
  })

/** A model without token positions to reset. */
export const noPositions = (at: Place, model: string): Diagnostic =>
  entry('no-positions', `${model} has no tensor \`position_ids\``, {
    at,
    help: 'remove the step: there is nothing to repair',
  })

/** An operator of two models is given another number of them. */
export const notTwoModels = (at: Place, found: number): Diagnostic =>
  entry('not-two-models', `expected two models; found ${found}`, {
    at,
    help: 'use `merge.slerp_many` or `merge.karcher` for any number of models',
  })

/** A step that changes weights, with no operation or several. */
export const oneOperation = (at: Place, keys: readonly string[]): Diagnostic =>
  entry('one-operation', `expected exactly one of ${keys.map((key) => `\`${key}\``).join(', ')}`, {
    at,
    help: 'write one of them, for example `multiply: 0.5`; for several changes, use a step for each',
  })

/** The parts and the shares of a partition contradict each other. */
export const partitionParts = (at: Place, parts: number, shares: number): Diagnostic =>
  entry('partition-parts', `\`shares\` lists ${shares} numbers for ${parts} parts`, {
    at,
    help: 'list one share for each part, or leave `parts` out',
  })

/** The shares of a partition do not add up to 1. */
export const partitionShares = (at: Place, sum: number): Diagnostic =>
  entry('partition-shares', `the shares add up to ${Number(sum.toPrecision(6))}, not to 1`, {
    at,
    help: 'change the shares so that they add up to 1',
  })

/**
 * Everything is dropped and the rest is to be scaled up to compensate for it. A warning: the result is the first model.
 */
export const rescaleNothing = (at: Place): Diagnostic =>
  entry('rescale-nothing', 'with `drop: 1` nothing is left to rescale, so the result is the first model', {
    at,
    severity: 'warning',
    help: 'use a `drop` below 1',
  })

/** A pattern that must select exactly one layer, but does not. */
export const severalLayers = (at: Place, names: readonly string[]): Diagnostic =>
  entry(
    'several-layers',
    names.length === 0
      ? '`layer` selects only integer tensors'
      : `\`layer\` selects ${names.length} tensors, and only one can be shown in detail: ${names
          .slice(0, 3)
          .map((n) => `\`${n}\``)
          .join(', ')}${names.length > 3 ? ', …' : ''}`,
    { at, help: 'write the name of one tensor; `smelt inspect` lists them' },
  )

/** A tensor has another shape in another model. */
export const shapeMismatch = (
  at: Place,
  tensor: string,
  first: { label: string; shape: readonly number[] },
  other: { label: string; shape: readonly number[] },
): Diagnostic =>
  entry(
    'shape-mismatch',
    `\`${tensor}\` is ${shapeText(first.shape)} in ${first.label} and ${shapeText(other.shape)} in ${other.label}`,
    {
      at,
      help: `write \`mismatch: keep\` to take such tensors from ${first.label}, or merge models of one architecture`,
    },
  )

/** A generated file is out of date. */
export const staleFile = (path: string): Diagnostic =>
  entry('stale-file', `${path} is out of date`, { help: 'run `npm run generate`' })

/** More masks would have to be true than there are. */
export const tooFewMasks = (at: Place, needed: number, found: number): Diagnostic =>
  entry('too-few-masks', `\`k: ${needed}\` can never be reached: \`masks\` lists ${found}`, {
    at,
    help: `use a \`k\` from 1 to ${found}, or list more masks`,
  })

/** A parameter has a value, and another parameter makes it meaningless. A warning: it may be one of several settings. */
export const unusedParam = (at: Place, key: string, needed: string): Diagnostic =>
  entry('unused-param', `\`${key}\` has no effect without \`${needed}\``, {
    at,
    severity: 'warning',
    help: `write \`${needed}\`, or remove \`${key}\``,
  })

/** More models than an operator can compare in pairs. */
export const tooManyModels = (at: Place, found: number, most: number): Diagnostic =>
  entry(
    'too-many-models',
    `expected at most ${most} models; found ${found}, and this operator measures every pair of them: ${(found * (found + 1)) / 2} dot products for each tensor`,
    {
      at,
      help: 'merge them in several steps, or use `merge.linear`',
    },
  )

/** A matrix takes more memory to rotate than is spent on one tensor. */
export const tooLargeToRotate = (
  at: Place,
  tensor: string,
  shape: readonly number[],
  bytes: number,
  most: number,
): Diagnostic =>
  entry(
    'too-large-to-rotate',
    `rotating \`${tensor}\` ${shapeText(shape)} would take ${gigabytes(bytes)} of memory; at most ${gigabytes(most)} is spent on one tensor`,
    { at, help: `leave it out with \`layers: ["**", "!${tensor}"]\`, or merge it with another operator` },
  )

/** Weights by block or kind of layer, for a model of unknown architecture. */
export const unknownArchitecture = (at: Place, model: string, seen: string): Diagnostic =>
  entry(
    'unknown-architecture',
    `smelt does not know the architecture of ${model}, so its blocks have no names${seen === '' ? '' : `: ${seen}`}`,
    {
      at,
      help: 'use `weights.rules` with patterns of tensor names instead',
    },
  )

/** A block that the architecture does not have. */
export const unknownBlock = (at: Place, name: string, architecture: string, blocks: readonly string[]): Diagnostic =>
  entry('unknown-block', `${architecture} has no block \`${name}\``, {
    at,
    help:
      didYouMean(name, blocks) ??
      `use one of ${blocks.slice(0, 6).join(', ')}${blocks.length > 6 ? `, … ${blocks.at(-1)}` : ''}; \`smelt inspect\` lists them`,
  })

/** What is kept of a difference would be divided by 0. */
export const zeroRescale = (at: Place, tensor: string): Diagnostic =>
  entry('zero-rescale', `\`rescale: q\` would divide \`${tensor}\` by a \`q\` of 0`, {
    at,
    help: 'use a `q` above 0; to leave a model out, write `weight: 0`',
  })

/** Weights that are divided by their sum add up to zero or NaN. */
export const zeroWeightSum = (at: Place, tensor: string, sum: number): Diagnostic =>
  entry('zero-weight-sum', `the weights of \`${tensor}\` add up to ${sum}, so they cannot be normalised`, {
    at,
    help: 'change a weight, or write `normalize: false` if the operator has it',
  })

/** A mask cannot be read from elements smaller than a byte. */
export const maskOfSmallFloats = (at: Place, tensor: string, dtype: string): Diagnostic =>
  entry('mask-of-small-floats', `\`${tensor}\` is ${dtype}, which cannot be read as a mask`, {
    at,
    help: 'store masks as BOOL or U8',
  })
