import { stopped } from '../base/catalogue/run.js'
import { failed, ok, type Result } from '../base/result.js'
import { inTurns } from '../base/slices.js'
import { completeInSlices } from '../plan/make-plan.js'
import type { Plan } from '../plan/plan.js'
import { defaultWorkers, withoutResults } from '../run/build.js'
import type { Wish } from '../run/devices/choose.js'
import { isInexact } from '../run/devices/device.js'
import { learn, type Reading } from '../run/learn.js'
import { draft, type PrepareOptions } from '../run/prepare.js'
import { lockPath, readLock, type Lock } from '../store/lock.js'
import { userStore } from './store.js'

/** What a build would do now, and the lock of the last one. */
export const planNow = async (recipe: string, options: PrepareOptions & { readonly reading: Reading; readonly device?: Wish }): Promise<Result<{ readonly plan: Plan; readonly lock: Lock | undefined }>> => {
  const drafted = await draft(recipe, options)
  if (drafted.type === 'failed') return drafted
  const known = await learn(drafted.value.draft, userStore(), options.reading, { workers: defaultWorkers(), device: 'cpu' })
  if (known.type === 'failed') return failed(...drafted.diagnostics, ...known.diagnostics)
  const lock = await readLock(lockPath(drafted.value.path))
  // Without a lock there is nothing to compare with, which is no reason not to plan.
  const unread = lock.type === 'ok' ? [] : lock.diagnostics.map((d) => ({ ...d, severity: 'warning' as const }))
  // What only one device gives is computed anew there.
  const alone = options.device !== undefined && options.device !== 'auto' && isInexact(options.device)
  const planned = await inTurns(completeInSlices(drafted.value.draft, alone ? withoutResults(known.value) : known.value), options.signal)
  if (planned === undefined) return failed(stopped())
  return ok({ plan: planned.value, lock: lock.type === 'ok' ? lock.value : undefined }, [...drafted.diagnostics, ...unread])
}
