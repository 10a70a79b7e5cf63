import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { runUnknown, runWords } from '../base/catalogue/cluster.js'
import { exitCode } from '../base/diagnostic.js'
import { failed, ok, type Result } from '../base/result.js'
import { accountOf } from '../cluster/account.js'
import { removeParts } from '../cluster/commit.js'
import { cancelRun, placesOf, readDriver, readPlan } from '../cluster/layout.js'
import { createProgress } from '../cluster/progress.js'
import { renderAccount } from '../view/run-account.js'
import { renderRunHosts, renderRunProgress } from '../view/run-progress.js'
import type { Console } from './console.js'
import { withdrawFromSlurm } from './open-scheduler.js'
import { eitherOf } from './rebuild.js'
import { openRunScreen } from './run-screen.js'
import { runTrouble } from './run-trouble.js'
import { listenForStop, sleepUnless } from './signals.js'
import { isTerminal } from './terminal.js'

/** The folder of a run that is named by its path, or by its name below the current folder. */
const findRun = (console: Console, name: string): Result<string> => {
  const places = [resolve(console.cwd, name), join(console.cwd, '.smelt', 'runs', name)]
  const found = places.find((run) => existsSync(placesOf(run).plan))
  return found === undefined ? failed(runUnknown(name)) : ok(found)
}

/** `smelt cancel`: asks all tasks of a run to stop, for good, and removes what they wrote. */
export const cancel = async (console: Console, name: string): Promise<number> => {
  const run = findRun(console, name)
  const plan = run.type === 'failed' ? run : readPlan(run.value)
  if (run.type === 'failed' || plan.type === 'failed') {
    console.tell(plan.diagnostics)
    return exitCode(plan.diagnostics)
  }
  cancelRun(run.value)
  const driver = readDriver(run.value)
  const isWithSlurm = driver.type === 'ok' && driver.value?.scheduler === 'slurm'
  const problems = isWithSlurm ? await withdrawFromSlurm(run.value, plan.value) : []
  console.tell(problems)
  await removeParts(plan.value)
  console.err(runWords.cancelled(run.value))
  // Tasks that wait in Slurm’s queue find out when they begin.
  return exitCode(problems)
}

/** What `smelt follow` takes besides the run. */
export interface FollowFlags {
  /** Shows how far the run is, and ends. */
  readonly once?: boolean
}

/** How often a run is looked at, in seconds. */
const LOOK = 2
/** What a run that is over means for whoever waited for it. */
const CODES = { open: 0, committed: 0, cancelled: 3, alarm: 3 } as const

/** `smelt follow`: shows how far a run is until it is over, from any machine that sees its folder. */
export const followRun = async (console: Console, name: string, { once }: FollowFlags): Promise<number> => {
  const run = findRun(console, name)
  const plan = run.type === 'failed' ? run : readPlan(run.value)
  const look = run.type === 'failed' || plan.type === 'failed' ? undefined : createProgress(run.value, plan.value)
  if (run.type === 'failed' || look?.type !== 'ok') {
    const { diagnostics } = look ?? plan
    console.tell(diagnostics)
    return exitCode(diagnostics)
  }
  const interruption = listenForStop(() => undefined)
  const close = new AbortController()
  const over = eitherOf(interruption.signal, close.signal)
  const screen =
    once !== true && isTerminal(true) && plan.type === 'ok'
      ? await openRunScreen(console, run.value, plan.value.name, () => close.abort())
      : undefined
  let told = ''
  try {
    for (;;) {
      const progress = look.value()
      if (screen !== undefined && progress.state === 'open' && !over.aborted) screen.show(progress)
      else {
        screen?.leave()
        const text = `${renderRunProgress(progress)}\n${renderRunHosts(progress)}`
        if (text !== told) console.out(text)
        told = text
      }
      if (progress.state === 'committed') console.out(renderAccount(accountOf(run.value) ?? []))
      if (once === true || progress.state !== 'open') return CODES[progress.state]
      if (over.aborted) return interruption.exitCode ?? 0
      await sleepUnless(over, LOOK)
    }
  } catch (error) {
    screen?.leave()
    const trouble = [runTrouble(error, run.value)]
    console.tell(trouble)
    return exitCode(trouble)
  } finally {
    screen?.leave()
    interruption.end()
  }
}
