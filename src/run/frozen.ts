import { lockDiffers, lockMissing } from '../base/catalogue/store.js'
import type { Diagnostic } from '../base/diagnostic.js'
import type { PriorState } from '../plan/prior-state.js'
import { lockDraft } from '../plan/make-lock.js'
import type { Draft } from '../plan/draft.js'
import { compareLocks, describeChange } from '../store/compare-locks.js'
import { readLock } from '../store/lock.js'

/** How a build would differ from its lock, as far as is known before anything is computed. */
export const refuseFrozen = async (
  draft: Draft,
  known: PriorState,
  path: string,
  device?: string,
): Promise<readonly Diagnostic[]> => {
  const lock = await readLock(path)
  if (lock.type === 'failed') return lock.diagnostics
  if (lock.value === undefined) return [lockMissing(path)]
  const now = lockDraft(draft, known, lock.value, device)
  return compareLocks(lock.value, now).map((change) => lockDiffers(path, describeChange(change)))
}
