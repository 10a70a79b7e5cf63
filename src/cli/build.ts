import { resolve } from 'node:path'
import { stopping } from '../base/catalogue/cli.js'
import { exitCode } from '../base/diagnostic.js'
import { resolvePath } from '../base/resolve-path.js'
import { build as buildRecipe, type BuildOptions } from '../run/build.js'
import type { Plan } from '../plan/plan.js'
import { shownPart } from '../run/parts.js'
import { optionDestination } from '../run/destinations.js'
import { defaultWorkers } from '../run/machine.js'
import type { RunEvent } from '../run/events.js'
import type { BuildEvent } from '../view/dashboard/build-event.js'
import { isLasting } from '../view/dashboard/ending.js'
import { buildEventLine, problemEvents, toBuildEvent } from '../view/json.js'
import { outlinePlan } from '../view/plan-outline.js'
import { renderPlanShort } from '../view/plan-text.js'
import { renderReport } from '../view/report/render.js'
import { renderSummary, renderWatching } from '../view/summary.js'
import type { Console } from './console.js'
import { cudaPlaces } from './cuda-places.js'
import { readDevice, readEngine, readSettings, readWorkers, type SetFlags } from './options.js'
import { eitherOf, rebuildOnChange, type WatchedBuild } from './rebuild.js'
import { readTablePlace, writeOutputTable, type TablePlace } from './output-table.js'
import type { Reporter } from './reporter.js'
import { reportingOn } from './run-report.js'
import { listenForStop } from './signals.js'
import { userHub } from './hub.js'
import { userStore } from './store.js'
import { isTerminal } from './terminal.js'
import { progressLineOn, TICK } from './with-progress.js'

/** What `smelt build` takes besides the recipe. */
export interface BuildFlags extends SetFlags {
  readonly out?: string
  readonly device: string
  readonly engine?: string
  readonly workers?: string
  readonly frozen?: boolean
  readonly force?: boolean
  readonly update?: boolean
  readonly rehash?: boolean
  readonly sha256?: boolean
  readonly attest?: string
  readonly json?: boolean
  readonly quiet?: boolean
  /** False keeps to one line of progress. */
  readonly dashboard?: boolean
  /** Where a report on the build goes. */
  readonly report?: string
  /** Where a table of the outputs goes. */
  readonly table?: string
  /** Builds again when the recipe or an input changes. */
  readonly watch?: boolean
}

const nothing = (): void => undefined

/** Prints events as JSON, one per line. */
const jsonReporter = (console: Console, began: number): Reporter => {
  const tell = (event: BuildEvent): void => console.out(buildEventLine(event, performance.now() - began))
  return {
    problems: (diagnostics) => problemEvents(diagnostics).forEach(tell),
    planned: (plan) => tell({ type: 'plan-made', plan }),
    event: (event) => tell(toBuildEvent(event)),
    stopAsked: (signal) => tell({ type: 'stop-requested', signal }),
    tick: nothing,
    release: nothing,
    ended: (exit) => tell({ type: 'command-ended', exit }),
  }
}

const quietReporter = (console: Console): Reporter => ({
  problems: console.tell,
  planned: nothing,
  event: nothing,
  stopAsked: () => console.tell([stopping()]),
  tick: nothing,
  release: nothing,
  ended: nothing,
})

/** The plan first, then progress, then what was written. */
const screenReporter = (console: Console, began: number): Reporter => {
  const line = progressLineOn(console)
  const events: RunEvent[] = []
  return {
    problems: (diagnostics) => {
      line.clear()
      console.tell(diagnostics)
    },
    planned: (plan) => {
      line.clear()
      console.err(`${renderPlanShort(plan, console.look('err'))}\n`)
    },
    event: (event) => {
      line.hear(event)
      if (isLasting(event)) events.push(event)
    },
    stopAsked: () => {
      line.clear()
      console.tell([stopping()])
    },
    tick: line.tick,
    release: line.clear,
    ended: () => {
      line.clear()
      console.err(renderSummary(events, console.look('err'), (performance.now() - began) / 1000))
    },
  }
}

/** A dashboard in a terminal, else plain lines for a log. The dashboard's packages are loaded only when it opens. */
const loudReporter = async (console: Console, { dashboard }: BuildFlags, began: number): Promise<Reporter> =>
  dashboard !== false && isTerminal(true)
    ? (await import('./dashboard-reporter.js')).dashboardReporter(console, began)
    : screenReporter(console, began)

/** The files of the parts that a plan's recipe uses. */
const partsOf = (plan: Plan, recipe: string): readonly string[] =>
  [...plan.settings[0]!.recipe.parts.keys()].map((part) => resolvePath('', shownPart(part, recipe)))

/**
 * Builds until done or stopped by a signal, when the exit code is 128 plus the signal's number. `cancel` stops it
 * silently.
 */
const buildUnder = async (
  recipe: string,
  options: BuildOptions,
  reporter: Reporter,
  table: TablePlace | undefined,
  cancel: AbortSignal | undefined,
): Promise<WatchedBuild> => {
  const interruption = listenForStop(reporter.stopAsked, reporter.release)
  const ticking = setInterval(reporter.tick, TICK)
  let told = 0
  let files: readonly string[] = []
  let made: Plan | undefined
  try {
    const built = await buildRecipe(recipe, {
      ...options,
      signal: cancel === undefined ? interruption.signal : eitherOf(interruption.signal, cancel),
      listener: reporter.event,
      render: renderReport,
      planned: (plan, device, diagnostics, lock) => {
        reporter.planned(
          outlinePlan(plan, device, {
            lock,
            force: options.force === true,
            speed: options.store?.speeds.find(device.name),
          }),
        )
        reporter.problems(diagnostics)
        told = diagnostics.length
        made = plan
        files = [
          resolve(recipe),
          ...partsOf(plan, recipe),
          ...plan.models.flatMap((m) => [m.path, ...m.files.map((f) => f.path), ...m.absent]),
        ]
      },
    })
    const cancelled = cancel?.aborted === true && interruption.exitCode === undefined
    reporter.problems(built.diagnostics.slice(told).filter((d) => !cancelled || d.code !== 'stopped'))
    if (built.type === 'ok' && table !== undefined) await writeOutputTable(table, made!, built.value, reporter)
    const stopped = built.type === 'failed' && built.diagnostics.some((d) => d.code === 'stopped')
    const code =
      stopped && interruption.exitCode !== undefined
        ? interruption.exitCode
        : exitCode(built.type === 'failed' ? built.diagnostics : [])
    return { code, files: [...new Set(files)], stale: built.diagnostics.some((d) => d.code === 'input-changed') }
  } finally {
    clearInterval(ticking)
    reporter.release()
    interruption.end()
  }
}

/** `smelt build`: plans, shows the plan, runs it, and says what was written; with `--watch` again after each change. */
export const build = async (console: Console, recipe: string, flags: BuildFlags): Promise<number> => {
  if (flags.watch !== true) return (await buildOnce(console, { path: recipe }, flags)).code
  const interruption = listenForStop(() => undefined)
  try {
    const code = await rebuildOnChange(
      resolve(recipe),
      async (signal) => {
        const done = await buildOnce(console, { path: recipe }, flags, performance.now(), signal)
        if (!interruption.signal.aborted) console.err(`${renderWatching(done.files.length)}\n`)
        return done
      },
      interruption.signal,
    )
    return interruption.exitCode ?? code
  } finally {
    interruption.end()
  }
}

/** What to build: a recipe file, or the text of a recipe without a file and a lock. */
export interface BuildSubject {
  readonly path: string
  readonly text?: string
}

/**
 * One build, from reading its options to the summary; `began` is when it was requested: 0 for the start of this
 * process.
 */
export const buildOnce = async (
  console: Console,
  { path, text }: BuildSubject,
  flags: BuildFlags,
  began = 0,
  cancel?: AbortSignal,
): Promise<WatchedBuild> => {
  const told =
    flags.json === true
      ? jsonReporter(console, began)
      : flags.quiet === true
        ? quietReporter(console)
        : await loudReporter(console, flags, began)
  const reporting = reportingOn(console, told, flags.report, began)
  const { reporter } = reporting
  const end = (done: WatchedBuild): WatchedBuild => {
    reporter.ended(done.code)
    return done
  }
  const [set, workers, device, engine] = [
    await readSettings(flags, console.cwd),
    readWorkers(flags.workers, defaultWorkers),
    readDevice(flags.device),
    readEngine(flags.engine),
  ]
  const [place, table] = [reporting.place, readTablePlace(flags.table, console.cwd)]
  if (
    set.type === 'failed' ||
    workers.type === 'failed' ||
    device.type === 'failed' ||
    engine.type === 'failed' ||
    place.type === 'failed' ||
    table.type === 'failed'
  ) {
    const diagnostics = [set, workers, device, engine, place, table].flatMap((r) => r.diagnostics)
    reporter.problems(diagnostics)
    return end({ code: exitCode(diagnostics), files: [], stale: false })
  }
  const options: BuildOptions = {
    ...set.value,
    workers: workers.value,
    device: device.value,
    engine: engine.value,
    store: userStore(),
    hub: userHub(),
    places: cudaPlaces(),
    reporting: flags.report !== undefined,
    ...(text === undefined ? {} : { text, lock: false }),
    frozen: flags.frozen === true,
    force: flags.force === true,
    update: flags.update === true,
    rehash: flags.rehash === true,
    sha256: flags.sha256 === true,
    ...(flags.out === undefined ? {} : { out: flags.out }),
    ...(flags.attest === undefined ? {} : { attest: resolvePath(console.cwd, flags.attest) }),
    more: [
      ...(place.value === undefined ? [] : [optionDestination('--report', flags.report!, console.cwd)]),
      ...(table.value === undefined ? [] : [optionDestination('--table', flags.table!, console.cwd)]),
    ],
  }
  const { code, files, stale } = await buildUnder(path, options, reporter, table.value, cancel)
  await reporting.write(path, set.value, workers.value, flags.quiet === true || flags.json === true)
  const setFile = flags.setFile === undefined ? [] : [resolvePath(console.cwd, flags.setFile)]
  return end({ code, files: [...files, ...setFile], stale })
}
