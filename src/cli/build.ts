import { resolve } from 'node:path'
import { stopping } from '../base/catalogue/cli.js'
import { exitCode, type Diagnostic } from '../base/diagnostic.js'
import { estimateMemory } from '../plan/memory.js'
import { build as buildRecipe, defaultWorkers, type BuildOptions } from '../run/build.js'
import type { RunEvent } from '../run/events.js'
import { diagnosticLines, eventLine, toJsonLine } from '../view/json.js'
import { outlinePlan, type PlanOutline } from '../view/plan-outline.js'
import { renderPlanShort } from '../view/plan-text.js'
import { createProgressLine } from '../view/progress-line.js'
import { renderReport } from '../view/report/render.js'
import { renderSummary } from '../view/summary.js'
import type { Console } from './console.js'
import { readDevice, readSet, readWorkers } from './options.js'
import { listenForStop } from './signals.js'
import { userStore } from './store.js'

/** What `smelt build` takes besides the recipe. */
export interface BuildFlags {
  readonly set: readonly string[]
  readonly out?: string
  readonly device: string
  readonly workers?: string
  readonly frozen?: boolean
  readonly force?: boolean
  readonly sha256?: boolean
  readonly attest?: string
  readonly json?: boolean
  readonly quiet?: boolean
}

/** What a build tells while it goes on, and how. */
interface Reporter {
  problems(diagnostics: readonly Diagnostic[]): void
  planned(outline: PlanOutline): void
  event(event: RunEvent): void
  stopAsked(signal: string): void
  /** Draws what is due; called many times a second. */
  tick(): void
  ended(code: number): void
}

const nothing = (): void => undefined

/** One line of JSON for everything that happens. */
const jsonReporter = (console: Console): Reporter => ({
  problems: (diagnostics) => console.out(diagnosticLines(diagnostics)),
  planned: (plan) => console.out(toJsonLine({ type: 'plan-made', plan })),
  event: (event) => console.out(eventLine(event)),
  stopAsked: (signal) => console.out(toJsonLine({ type: 'stop-requested', signal })),
  tick: nothing,
  ended: (exit) => console.out(toJsonLine({ type: 'command-ended', exit })),
})

const quietReporter = (console: Console): Reporter =>
  ({ problems: console.tell, planned: nothing, event: nothing, stopAsked: () => console.tell([stopping()]), tick: nothing, ended: nothing })

/** The plan first, then progress, then what was written. */
const screenReporter = (console: Console): Reporter => {
  const columns = (): number => console.look('err').width
  const line = createProgressLine({ terminal: console.errRedraws, write: console.err, columns, now: () => performance.now() })
  const events: RunEvent[] = []
  return {
    problems: (diagnostics) => {
      line.clear()
      console.tell(diagnostics)
    },
    planned: (plan) => console.err(`${renderPlanShort(plan, console.look('err'))}\n`),
    event: (event) => {
      line.hear(event)
      if (event.type !== 'units-finished') events.push(event)
    },
    stopAsked: () => {
      line.clear()
      console.tell([stopping()])
    },
    tick: line.tick,
    ended: () => {
      line.clear()
      console.err(renderSummary(events, console.look('err')))
    },
  }
}

const TICK = 100

/** Builds under the signals of the terminal; the code is 128 and the signal's number if one of them stopped it. */
const buildUnder = async (recipe: string, options: BuildOptions, workers: number, reporter: Reporter): Promise<number> => {
  const interruption = listenForStop(reporter.stopAsked)
  const ticking = setInterval(reporter.tick, TICK)
  let told = 0
  try {
    const built = await buildRecipe(recipe, {
      ...options,
      signal: interruption.signal,
      listener: reporter.event,
      render: renderReport,
      planned: (plan, diagnostics, lock) => {
        reporter.planned(outlinePlan(plan, workers, estimateMemory, lock))
        reporter.problems(diagnostics)
        told = diagnostics.length
      },
    })
    reporter.problems(built.diagnostics.slice(told))
    const stopped = built.type === 'failed' && built.diagnostics.some((d) => d.code === 'stopped')
    return stopped && interruption.exitCode !== undefined ? interruption.exitCode : exitCode(built.type === 'failed' ? built.diagnostics : [])
  } finally {
    clearInterval(ticking)
    interruption.end()
  }
}

/** `smelt build`: plans, shows the plan, runs it, and says what was written. */
export const build = async (console: Console, recipe: string, flags: BuildFlags): Promise<number> => {
  const reporter = flags.json === true ? jsonReporter(console) : flags.quiet === true ? quietReporter(console) : screenReporter(console)
  const end = (code: number): number => {
    reporter.ended(code)
    return code
  }
  const [set, workers, device] = [readSet(flags.set), readWorkers(flags.workers, defaultWorkers), readDevice(flags.device)]
  if (set.type === 'failed' || workers.type === 'failed' || device.type === 'failed') {
    const diagnostics = [set, workers, device].flatMap((r) => r.diagnostics)
    reporter.problems(diagnostics)
    return end(exitCode(diagnostics))
  }
  const options: BuildOptions = {
    set: set.value, workers: workers.value, device: device.value, store: userStore(),
    frozen: flags.frozen === true, force: flags.force === true, sha256: flags.sha256 === true,
    ...(flags.out === undefined ? {} : { out: flags.out }),
    ...(flags.attest === undefined ? {} : { attest: resolve(flags.attest) }),
  }
  return end(await buildUnder(recipe, options, workers.value, reporter))
}
