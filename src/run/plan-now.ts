import { foundByBuild, stopped } from '../base/catalogue/run.js'
import { failed, ok, type Result } from '../base/result.js'
import { inTurns } from '../base/slices.js'
import { completeInSlices, completePlan, outlineInSlices } from '../plan/complete-plan.js'
import { draftQuestions } from '../plan/draft-questions.js'
import type { Plan } from '../plan/plan.js'
import type { Answers } from '../plan/questions.js'
import { lockPath, readLock, type Lock } from '../store/lock.js'
import type { Store } from '../store/store.js'
import { recallAnswers } from './answer.js'
import { withoutResults } from './build.js'
import { defaultWorkers } from './machine.js'
import type { DeviceRequest } from './devices/choose.js'
import { isInexact } from './devices/device.js'
import { loadPriorState, type Reading } from './load-prior-state.js'
import { draft, type Drafted, type DraftOptions } from './prepare.js'

/** How far to look for what earlier builds left. */
export interface PlanNowOptions extends DraftOptions {
  readonly reading: Reading
  readonly device?: DeviceRequest
  readonly store?: Store
  /** True for a plan that is only to be shown: its jobs may stand for others like them. */
  readonly shown?: boolean
}

/** A draft with all that earlier builds measured for it; what they did not is told. */
const draftNow = async (recipe: string, options: PlanNowOptions): Promise<Result<Drafted>> => {
  let drafted = await draft(recipe, options)
  let answers: Answers = new Map()
  while (drafted.type === 'ok' && drafted.value.draft.questions.size > 0) {
    const asking = draftQuestions(drafted.value.draft)
    const known = await loadPriorState(asking, options.store, options.reading, {
      workers: defaultWorkers(),
      device: 'cpu',
    })
    if (known.type === 'failed') return failed(...drafted.diagnostics, ...known.diagnostics)
    const recalled = recallAnswers(drafted.value.draft, completePlan(asking, known.value))
    if (recalled === undefined) {
      const steps = new Set([...drafted.value.draft.questions.values()].map(({ step }) => step))
      return ok(drafted.value, [...drafted.diagnostics, foundByBuild([...steps])])
    }
    answers = new Map([...answers, ...recalled])
    drafted = await draft(recipe, options, [], answers)
  }
  return drafted
}

/** What a build would do now, and the lock of the last one. */
export const planNow = async (
  recipe: string,
  options: PlanNowOptions,
): Promise<Result<{ readonly plan: Plan; readonly lock: Lock | undefined }>> => {
  const drafted = await draftNow(recipe, options)
  if (drafted.type === 'failed') return drafted
  const known = await loadPriorState(drafted.value.draft, options.store, options.reading, {
    workers: defaultWorkers(),
    device: 'cpu',
  })
  if (known.type === 'failed') return failed(...drafted.diagnostics, ...known.diagnostics)
  const lock = await readLock(lockPath(drafted.value.path))
  // Without a lock there is nothing to compare with, which is no reason not to plan.
  const unread = lock.type === 'ok' ? [] : lock.diagnostics.map((d) => ({ ...d, severity: 'warning' as const }))
  // What only one device gives is computed anew there.
  const alone = options.device !== undefined && options.device !== 'auto' && isInexact(options.device)
  const complete = options.shown === true ? outlineInSlices : completeInSlices
  const planned = await inTurns(
    complete(drafted.value.draft, alone ? withoutResults(known.value) : known.value),
    options.signal,
  )
  if (planned === undefined) return failed(stopped())
  return ok({ plan: planned.value, lock: lock.type === 'ok' ? lock.value : undefined }, [
    ...drafted.diagnostics,
    ...unread,
  ])
}
