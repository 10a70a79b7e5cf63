import type { Fingerprints } from '../plan/fingerprint.js'
import type { PriorState } from '../plan/prior-state.js'
import { encodingOf } from '../plan/masks.js'
import type { Plan } from '../plan/plan.js'
import { errorCode } from '../safetensors/io-problem.js'
import type { MaskFile, StoredMask } from '../store/masks.js'
import type { Store } from '../store/store.js'
import type { Schedule } from './schedule.js'

/**
 * The shares of the cache that the mask of one step, and all masks of one build, may take, so that masks do not evict
 * everything else.
 */
const [STEP_SHARE, BUILD_SHARE] = [1 / 4, 1 / 2]

/** The space in the cache for the masks of one build. */
export const roomIn = (store: Store | undefined): PriorState['room'] => {
  const limit = store?.limit ?? 0
  return { step: limit * STEP_SHARE, all: limit * BUILD_SHARE }
}

/**
 * Starts a file for every step with masks to cache; none if the cache cannot be written, which the build reports at its
 * end.
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

/** Adds the masks that were written to the cache, by fingerprint. */
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
