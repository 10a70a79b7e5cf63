import { stopping } from '../base/catalogue/cli.js'
import { dashboardLost } from '../base/catalogue/watch.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { reasonOf } from '../base/reason.js'
import type { RunEvent } from '../run/events.js'
import { foldEvent, NO_PROGRESS, rateOf, type Progress } from '../view/progress.js'
import { problemEvents, toBuildEvent } from '../view/json.js'
import { createProgressLine } from '../view/progress-line.js'
import { renderPlanShort } from '../view/plan-text.js'
import { renderSummary } from '../view/summary.js'
import type { BuildEvent } from '../view/dashboard/build-event.js'
import { isLasting } from '../view/dashboard/ending.js'
import type { Console } from './console.js'
import type { DashboardScreen } from './dashboard-screen.js'
import type { Reporter } from './reporter.js'
import { isForeground } from './terminal.js'

/**
 * The dashboard opens after this many ms, and only if enough work is left: loading it takes half a second of one core,
 * which slows a short build with few workers, and a screen that disappears at once shows nothing.
 */
const OPEN_AFTER = 1_000
const leastLeft = (workers: number): number => Math.max(3, 22 / workers)

const secondsLeft = (progress: Progress): number => {
  const rate = rateOf(progress)
  return rate === undefined || rate <= 0 ? Infinity : (progress.total - progress.done) / rate
}

/**
 * The plan first, then one line of progress, then the dashboard if the build is long enough; at the end what was
 * written. The command began at `commandBegan` ms of this process.
 */
export const dashboardReporter = (console: Console, commandBegan: number): Reporter => {
  const now = (): number => performance.now()
  const line = createProgressLine({ terminal: true, write: console.err, columns: () => console.look('err').width, now })
  const [early, kept]: [{ readonly event: BuildEvent; readonly at: number }[], RunEvent[]] = [[], []]
  let progress = NO_PROGRESS
  let began: number | undefined
  let workers = 1
  let screen: DashboardScreen | undefined
  let phase: 'line' | 'opening' | 'screen' | 'over' = 'line'
  let failed = false
  let held: readonly Diagnostic[] = []

  const hear = (event: BuildEvent): void => {
    if (screen !== undefined) screen.hear(event, now())
    else if (phase !== 'over') early.push({ event, at: now() })
  }
  const open = async (): Promise<void> => {
    phase = 'opening'
    const { openDashboard } = await import('./dashboard-screen.js')
    // As the terminal's own Ctrl-C, which it does not send while keys are read one by one.
    const stop = (): void => void process.kill(process.pid, 'SIGINT')
    if (phase !== 'opening') return
    line.clear()
    const opened = await openDashboard(console, { stop, word: 'stop', now, lost: giveUp })
    if (phase !== 'opening') return opened.leave()
    for (const { event, at } of early.splice(0)) opened.hear(event, at)
    screen = opened
    phase = 'screen'
  }
  // A dashboard that cannot be drawn is no reason to fail a build: the line goes on.
  const giveUp = (error: unknown): void => {
    failed = true
    screen = undefined
    if (phase === 'over') return
    phase = 'line'
    console.tell([...held, dashboardLost(reasonOf(error))])
    held = []
  }
  const release = (): void => {
    phase = 'over'
    line.clear()
    screen?.leave()
    screen = undefined
    console.tell(held)
    held = []
  }
  return {
    problems: (diagnostics) => {
      problemEvents(diagnostics).forEach(hear)
      if (phase === 'opening' || phase === 'screen') held = [...held, ...diagnostics]
      else {
        line.clear()
        console.tell(diagnostics)
      }
    },
    planned: (plan) => {
      hear({ type: 'plan-made', plan })
      line.clear()
      console.err(`${renderPlanShort(plan, console.look('err'))}\n`)
    },
    event: (event) => {
      hear(toBuildEvent(event))
      line.hear(event)
      if (phase === 'line') progress = foldEvent(progress, event, now())
      if (event.type === 'run-started') {
        began = now()
        workers = event.workers
      }
      if (isLasting(event)) kept.push(event)
    },
    stopAsked: (signal) => {
      hear({ type: 'stop-requested', signal })
      if (phase !== 'line') return
      line.clear()
      console.tell([stopping()])
    },
    tick: () => {
      if (phase !== 'line') return
      line.tick()
      if (began === undefined) return
      if (
        !failed &&
        progress.state === 'running' &&
        now() - began >= OPEN_AFTER &&
        secondsLeft(progress) >= leastLeft(workers) &&
        isForeground()
      )
        open().catch(giveUp)
    },
    release,
    ended: () => {
      release()
      console.err(renderSummary(kept, console.look('err'), (now() - commandBegan) / 1000))
    },
  }
}
