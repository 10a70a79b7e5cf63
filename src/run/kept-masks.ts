import type { Fingerprints } from '../plan/fingerprint.js'
import type { PriorState } from '../plan/prior-state.js'
import { encodingOf } from '../plan/masks.js'
import type { Plan } from '../plan/plan.js'
import { errorCode } from '../safetensors/io-problem.js'
import type { MaskFile, StoredMask } from '../store/masks.js'
import type { Store } from '../store/store.js'
import type { Schedule } from './schedule.js'

/**
 * The parts of a store's limit that the mask of one step, and the masks of one build, may take: the rest of the store
 * is not to go for them.
 */
const [STEP_SHARE, BUILD_SHARE] = [1 / 4, 1 / 2]

/** Room in a store for the masks of one build. */
export const roomIn = (store: Store | undefined): PriorState['room'] => {
  const limit = store?.limit ?? 0
  return { step: limit * STEP_SHARE, all: limit * BUILD_SHARE }
}

/**
 * Starts a file for every mask that a plan keeps; for none where the store cannot be written, of which the build tells
 * when it is done.
 */
export const startMasks = (plan: Plan, store: Store | undefined): readonly MaskFile[] => {
  const started: MaskFile[] = []
  if (store === undefined) return started
  try {
    for (const { bytes } of plan.masks.files) started.push(store.masks.begin(bytes))
    return started
  } catch (error) {
    if (errorCode(error) === '') throw error
    for (const file of started) file.discard()
    return []
  }
}

/** Hands the masks that were written to the store, by what made them. */
export const finishMasks = (
  plan: Plan,
  { ledger }: Schedule,
  fingerprints: Fingerprints,
  files: readonly MaskFile[],
): void => {
  const whole = files.map(() => new Map<string, Omit<StoredMask, 'path'>>())
  for (const { value, tensor, elements, file, begin } of plan.jobs.flatMap((job) => job.kept)) {
    const digest = files[file] === undefined ? undefined : ledger.digest(files[file].path, tensor)
    const made = digest === undefined ? undefined : fingerprints.of(value, encodingOf(value))
    if (digest !== undefined && made !== undefined) whole[file]!.set(made, { tensor, begin, elements, digest })
  }
  for (const [i, masks] of whole.entries()) files[i]!.finish(masks)
}
