import type { Diagnostic } from '../diagnostic.js'
import { entry } from './entry.js'
import { listNames, quoteName } from './file-entry.js'

/**
 * NaN or infinities that were copied from an input as they are. A warning: smelt did not make them, and masks of
 * attention hold them on purpose.
 */
export const copiedNonFinite = (path: string, tensors: readonly string[]): Diagnostic =>
  entry(
    'copied-non-finite',
    `${tensors.length === 1 ? 'a tensor that is copied holds' : `${tensors.length} tensors that are copied hold`} NaN or infinities: ${listNames(tensors)}`,
    {
      at: { type: 'file', path, tensor: tensors[0]! },
      severity: 'warning',
      help: 'check the input with `smelt inspect --stats`, unless these are masks; write `non_finite: allow` on the output to accept them',
    },
  )

/** An output of a recipe with adapters that is what a stored model is. A warning: they were meant to change something. */
export const outputUnchanged = (path: string, computed: number, input: string): Diagnostic =>
  entry(
    'output-unchanged',
    `nothing has changed in ${path}: ${computed === 1 ? 'the tensor that was computed is' : `all ${computed} tensors that were computed are`} byte for byte what \`${input}\` has`,
    {
      at: { type: 'file', path },
      severity: 'warning',
      help: 'check that the adapter holds what was trained, and its `strength`: a change below half a unit of the dtype is rounded away',
    },
  )

/** An adapter that a build made and that changes nothing. A warning. */
export const adapterOfZeros = (path: string): Diagnostic =>
  entry('adapter-idle', `every change of the adapter that was made is zero: ${path} changes nothing`, {
    at: { type: 'file', path },
    severity: 'warning',
    help: 'check that the recipe compares or merges what was trained, such as a `model` that differs from its `base`',
  })

/** A plan of what builds measure first, by someone who has not measured it. A warning. */
export const foundByBuild = (steps: readonly string[]): Diagnostic =>
  entry('found-by-build', `the plan shows upper bounds for ${listNames(steps)}, whose ranks are found by the build`, {
    severity: 'warning',
    help: 'run `smelt build`: it measures the differences before it writes anything, and later plans know the ranks',
  })

/** A plan is to be run before what its steps ask for was measured. */
export const notMeasured = (steps: readonly string[]): Diagnostic =>
  entry('not-measured', `what ${listNames(steps)} make depends on something that was not measured`, {
    blame: 'run',
    help: 'use `smelt build`, or `build` of the library: these measure it before they plan what is written',
  })

/** A NaN or infinity is about to be written; `advice` is what the operator of the step says of it. */
export const nonFinite = (
  path: string,
  tensor: string,
  element: number,
  step: string,
  advice: string | undefined,
): Diagnostic =>
  entry('non-finite', `step \`${step}\` produced NaN or infinity at element ${element} of \`${tensor}\``, {
    at: { type: 'file', path, tensor },
    blame: 'run',
    help: `${advice === undefined ? '' : `${advice}; or `}inspect the inputs with \`smelt inspect --stats\`, use smaller weights or a wider \`dtype\`, or write \`non_finite: allow\` on the output`,
  })

/** A whole tensor of an adapter that would be written as it is, and is damaged. */
export const trainedNonFinite = (path: string, trained: string, tensor: string, step: string): Diagnostic =>
  entry(
    'non-finite',
    `${quoteName(trained)} of ${path}, which step \`${step}\` takes for ${quoteName(tensor)} as it is, holds NaN or infinities`,
    {
      at: { type: 'file', path, tensor: trained },
      blame: 'run',
      help: 'download the adapter again, leave the tensor out with `exclude`, or write `non_finite: allow` on the output',
    },
  )

/**
 * Token positions that do not count up were copied from an input. A warning: whoever loads them reads tokens in wrong
 * places.
 */
export const oddPositions = (path: string, tensors: readonly string[]): Diagnostic =>
  entry(
    'odd-positions',
    `${listNames(tensors)} ${tensors.length === 1 ? 'does' : 'do'} not hold 0, 1, 2, …: an earlier merge averaged the token positions`,
    {
      at: { type: 'file', path, tensor: tensors[0]! },
      severity: 'warning',
      help: 'repair the input with a step `op: model.renumber`',
    },
  )

/** The magnitudes of a tensor cannot be sorted, because one of them is NaN or infinite. */
export const unordered = (tensor: string, step: string): Diagnostic =>
  entry('unordered', `step \`${step}\` cannot sort the magnitudes of \`${tensor}\`: one of them is NaN or infinite`, {
    blame: 'run',
    help: 'repair the input, or leave the tensor out with `layers: ["**", "!…"]`',
  })

const UNSOLVED = {
  singular: [
    'the sum of its Gram matrices is singular',
    'collect the statistics from more examples, or scale the off-diagonal elements down further (a smaller `alpha`)',
  ],
  asymmetric: [
    'a Gram matrix is not symmetric',
    'check that the statistics are XᵀX of the layer’s inputs X, and belong to this model',
  ],
  'not-finite': [
    'its inputs contain NaN or infinity',
    'repair the models or statistics that it is computed from (`smelt inspect FILE` counts such numbers)',
  ],
  'singular-rotation': [
    'no rotation is nearest, because the two models have too little in common there',
    'merge the tensor with another operator',
  ],
  'half-turn': [
    'the rotation turns by half a circle, and a part of that has no direction',
    'use `alignment: 1` for it',
  ],
} as const satisfies Readonly<Record<string, readonly [string, string]>>

/** A solver has no result for a tensor. */
export const unsolved = (problem: keyof typeof UNSOLVED, tensor: string, step: string): Diagnostic => {
  const [reason, help] = UNSOLVED[problem]
  return entry('unsolved', `step \`${step}\` cannot solve for \`${tensor}\`: ${reason}`, {
    blame: 'run',
    help: `${help}, or leave the tensor out with \`layers: ["**", "!…"]\``,
  })
}

/** The build was stopped by a signal. */
export const stopped = (): Diagnostic =>
  entry('stopped', 'the build was stopped; nothing was changed', {
    blame: 'run',
    help: 'run the same command again to build it',
  })

/** A worker thread exited unexpectedly. */
export const workerLost = (worker: number, reason = 'no reason given'): Diagnostic =>
  entry('worker-lost', `worker ${worker} stopped unexpectedly: ${reason}`, {
    blame: 'run',
    help: 'run the same command again; if it happens again, try `--workers 1` and report the message above',
  })

/** An input changed after the plan was made. */
export const inputChanged = (path: string): Diagnostic =>
  entry('input-changed', `${path} changed while it was being read`, {
    at: { type: 'file', path },
    blame: 'run',
    help: 'wait until whatever writes it is done, then run the same command again',
  })
