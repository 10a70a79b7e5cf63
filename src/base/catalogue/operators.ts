import type { Diagnostic, Place } from '../diagnostic.js'
import { didYouMean } from './did-you-mean.js'
import { entry } from './entry.js'

const list = (shape: readonly number[]): string => `[${shape.join(', ')}]`

/** The same problem met at further tensors, told once. */
export const alsoOf = (problem: Diagnostic, more: number): Diagnostic => ({
  ...problem,
  message: `${problem.message} (and ${more} more ${more === 1 ? 'tensor' : 'tensors'})`,
})

/** A step says its block weights neither as numbers nor by a preset, or in both ways. */
export const blocksOrPreset = (at: Place): Diagnostic =>
  entry('blocks-or-preset', 'the numbers come from exactly one of `blocks` and `preset`', {
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

/** A tensor holds integers in one model and numbers in another. */
export const dtypeMismatch = (at: Place, tensor: string, first: string, other: string, dtype: string): Diagnostic =>
  entry('dtype-mismatch', `\`${tensor}\` holds numbers in ${first} but ${dtype} in ${other}, which cannot be merged`, {
    at,
    help: `write \`mismatch: keep\` to take such tensors from ${first}`,
  })

/** A mask is to be made in no way, or in several ways at once. */
export const fillings = (at: Place, keys: readonly string[]): Diagnostic =>
  entry('mask-fillings', `a mask is filled with exactly one of ${keys.map((key) => `\`${key}\``).join(', ')}`, {
    at,
    help: `write one of them, for example \`${keys[0]}: true\``,
  })

/** `scaled_add` would divide by 1 + t = 0. */
export const infiniteScale = (at: Place): Diagnostic =>
  entry('infinite-scale', '`scaled_add` divides by 2 − keep, which is 0 at `keep: 2`', {
    at,
    help: 'use another `keep`, or `method: lerp`',
  })

/** A list of masks to use instead of random draws is too short or too long. */
export const keptCount = (at: Place, found: number, expected: number): Diagnostic =>
  entry('kept-count', `\`kept\` lists ${found} masks for ${expected} iterations`, {
    at,
    help: 'list one mask for each iteration',
  })

/** A mask that stands in for something says nothing of a tensor. */
export const maskLacks = (at: Place, tensor: string, mask: string): Diagnostic =>
  entry('mask-lacks-tensor', `mask ${mask} has no tensor \`${tensor}\`, so what it stands for is not known there`, {
    at,
    help: 'take a mask that was made for this model, or leave such tensors out with `layers:`',
  })

/** A mask was made for tensors of another shape. */
export const maskShape = (
  at: Place,
  tensor: string,
  mask: string,
  found: readonly number[],
  expected: readonly number[],
): Diagnostic =>
  entry('mask-shape', `mask ${mask} has shape ${list(found)} for \`${tensor}\`, which is ${list(expected)}`, {
    at,
    help: 'make the mask from models of the same architecture as the models it is used on',
  })

/** A difference and a model are to be parts of one model. */
export const mixedSpaces = (at: Place, stranger: string, first: string): Diagnostic =>
  entry(
    'mixed-spaces',
    `one of ${stranger} and ${first} is a difference and the other a model; they cannot be parts of one`,
    {
      at,
      help: 'add the difference to a model with `model.add` first',
    },
  )

/** A model has no tensors that are named like attention. */
export const noAttention = (at: Place, model: string): Diagnostic =>
  entry('no-attention', `${model} has no attention layers with queries and keys in tensors of their own`, {
    at,
    help: 'they are found as `to_q` and `to_k`, or `q_proj` and `k_proj`; for other models use `method: all`',
  })

/** A part of a U-Net is asked for in a model that is none. */
export const noSuchPart = (at: Place, part: string, architecture: string, blocks: readonly string[]): Diagnostic =>
  entry('no-such-part', `${architecture} has no ${part} blocks`, {
    at,
    help: `its blocks are ${blocks.slice(0, 4).join(', ')}, …: use \`weights.gradient\`, \`weights.mbw\`, or patterns such as \`block:${blocks[1] ?? blocks[0]}\``,
  })

/** A model has no token positions to write anew. */
export const noPositions = (at: Place, model: string): Diagnostic =>
  entry('no-positions', `${model} has no tensor \`position_ids\``, {
    at,
    help: 'remove the step: there is nothing to repair',
  })

/** Weights are to be changed in no way, or in several ways at once. */
export const oneOperation = (at: Place, keys: readonly string[]): Diagnostic =>
  entry('one-operation', `weights are changed with exactly one of ${keys.map((key) => `\`${key}\``).join(', ')}`, {
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
    help: 'change them so that every parameter belongs to exactly one part',
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

/** A pattern is to select one layer and selects another number of them. */
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
    `\`${tensor}\` is ${list(first.shape)} in ${first.label} and ${list(other.shape)} in ${other.label}`,
    {
      at,
      help: `write \`mismatch: keep\` to take such tensors from ${first.label}, or merge models of one architecture`,
    },
  )

/** A generated file is not what the operators say. */
export const staleFile = (path: string): Diagnostic =>
  entry('stale-file', `${path} is out of date`, { help: 'run `npm run generate`' })

/** Weights by block or kind of layer are asked for, and nobody knows what the blocks are. */
export const unknownArchitecture = (at: Place, model: string, seen: string): Diagnostic =>
  entry(
    'unknown-architecture',
    `${model} is of no architecture that smelt knows, so its blocks have no names${seen === '' ? '' : `: ${seen}`}`,
    {
      at,
      help: 'give numbers by patterns of tensor names instead, with `weights.rules`',
    },
  )

/** A block that the architecture does not have. */
export const unknownBlock = (at: Place, name: string, architecture: string, blocks: readonly string[]): Diagnostic =>
  entry('unknown-block', `${architecture} has no block \`${name}\``, {
    at,
    help:
      didYouMean(name, blocks) ??
      `its blocks are ${blocks.slice(0, 6).join(', ')}${blocks.length > 6 ? `, … ${blocks.at(-1)}` : ''}; \`smelt inspect\` lists them`,
  })

/** Weights that are divided by their sum add up to zero, or to no number. */
export const zeroWeightSum = (at: Place, tensor: string, sum: number): Diagnostic =>
  entry('zero-weight-sum', `the weights of \`${tensor}\` add up to ${sum}, so they cannot be normalised`, {
    at,
    help: 'change a weight, or write `normalize: false`',
  })

/** A mask is to be read from elements that are smaller than a byte. */
export const maskOfSmallFloats = (at: Place, tensor: string, dtype: string): Diagnostic =>
  entry('mask-of-small-floats', `\`${tensor}\` is ${dtype}, which no mask can be read from`, {
    at,
    help: 'store masks as BOOL or U8',
  })
