import { join } from 'node:path'
import { outputClaimed } from '../base/catalogue/store.js'
import { runDriven } from '../base/catalogue/cluster.js'
import { failed, ok, type Result } from '../base/result.js'
import { claimOutput, type Claim } from '../safetensors/claim.js'
import { createRunId } from '../safetensors/run-id.js'
import {
  attemptsOf,
  fileSystemNow,
  finishedParts,
  forgetSubmitted,
  isCancelled,
  lastBeat,
  noteSubmitted,
  placesOf,
  readAlarm,
  readResult,
  readSubmitted,
  writeWhole,
  type RunDriver,
  type RunPlan,
} from './layout.js'
import type { DriverFiles } from './observe.js'
import { isCommitted } from './run-state.js'

/** What a driver reads and writes of the folder of a run. */
export const driverFiles = (
  run: string,
  { stages }: Pick<RunPlan, 'stages'>,
  who: Omit<RunDriver, 'started'>,
): DriverFiles => {
  const begin = (): void => writeWhole(placesOf(run).driver, { ...who, started: new Date().toISOString() })
  return {
    stages,
    listDone: () => finishedParts(run),
    isDone: (part) => {
      const found = readResult(run, part)
      return found.type === 'ok' && found.value !== undefined
    },
    silences: () => {
      // Most looks ask about no part.
      let seen: { readonly attempts: ReadonlyMap<number, number>; readonly now: number } | undefined
      return (part) => {
        seen ??= { attempts: attemptsOf(run), now: fileSystemNow(run) }
        const attempt = seen.attempts.get(part)
        const beat = attempt === undefined ? undefined : lastBeat(run, part, attempt)
        return beat === undefined ? undefined : (seen.now - beat) / 1000
      }
    },
    halted: () => {
      const alarm = readAlarm(run)
      return {
        isCancelled: isCancelled(run),
        isAlarmed: alarm.type === 'failed' || alarm.value !== undefined,
        isCommitted: isCommitted(run),
      }
    },
    submitted: () => readSubmitted(run),
    willSubmit: () => {
      begin()
      noteSubmitted(run)
    },
    record: (job) => noteSubmitted(run, job),
    forget: () => forgetSubmitted(run),
  }
}

/** How often the claim of a driver is renewed, in ms. */
const RENEWAL = 10_000

/** Claims a run for one driver, until `release`: a second one is refused as long as the first is alive. */
export const claimRun = async (run: string): Promise<Result<Pick<Claim, 'release'>>> => {
  const claim = await claimOutput(join(run, 'driver'), createRunId())
  if (claim.type === 'failed') {
    const code = outputClaimed('', '', '').code
    return failed(
      ...claim.diagnostics.map((d) => (d.code === code ? runDriven(d.message.split(' by ').at(-1)!, run) : d)),
    )
  }
  const renewing = setInterval(claim.value.renew, RENEWAL)
  renewing.unref()
  return ok({
    release: () => {
      clearInterval(renewing)
      claim.value.release()
    },
  })
}
