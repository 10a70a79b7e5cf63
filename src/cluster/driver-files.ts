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
  isCancelled,
  lastBeat,
  placesOf,
  readAlarm,
  readDriver,
  readResult,
  writeWhole,
  type RunDriver,
  type RunPlan,
} from './layout.js'
import type { DriverFiles } from './observe.js'
import { isCommitted } from './ready.js'

/** What a driver reads and writes of the folder of a run. */
export const driverFiles = (
  run: string,
  { stages }: Pick<RunPlan, 'stages'>,
  { scheduler, options }: Pick<RunDriver, 'scheduler' | 'options'>,
): DriverFiles => {
  const submitted = (): RunDriver['jobs'] | undefined => {
    const found = readDriver(run)
    return found.type === 'ok' ? found.value?.jobs : undefined
  }
  const write = (jobs: RunDriver['jobs']): void =>
    writeWhole(placesOf(run).driver, { scheduler, started: new Date().toISOString(), options, jobs })
  return {
    stages,
    listDone: () => finishedParts(run),
    isDone: (part) => {
      const found = readResult(run, part)
      return found.type === 'ok' && found.value !== undefined
    },
    silence: (part) => {
      const attempt = attemptsOf(run).get(part)
      const beat = attempt === undefined ? undefined : lastBeat(run, part, attempt)
      return beat === undefined ? undefined : (fileSystemNow(run) - beat) / 1000
    },
    halted: () => {
      const alarm = readAlarm(run)
      return {
        isCancelled: isCancelled(run),
        isAlarmed: alarm.type === 'failed' || alarm.value !== undefined,
        isCommitted: isCommitted(run),
      }
    },
    submitted,
    willSubmit: () => write(submitted() ?? []),
    record: (job) => write([...(submitted() ?? []), job]),
    forget: () => write([]),
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
