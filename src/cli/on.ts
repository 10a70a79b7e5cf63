import { resolve } from 'node:path'
import {
  runCount,
  runInexact,
  runNeedsOn,
  runPartFailed,
  runWithout,
  runWords,
  stoppingTasks,
  runAlarmed,
} from '../base/catalogue/cluster.js'
import { manifestNeeded, onlyOn, schedulerWords } from '../base/catalogue/schedulers.js'
import { stageRelative } from '../base/catalogue/stage.js'
import { exitCode, type Diagnostic } from '../base/diagnostic.js'
import { append } from '../base/lists.js'
import { failed, ok, type Result } from '../base/result.js'
import { commitRun } from '../cluster/commit.js'
import { accountOf } from '../cluster/account.js'
import { drive, type Driven } from '../cluster/drive.js'
import { claimRun, driverFiles } from '../cluster/driver-files.js'
import { loadClusterFile, type ClusterFile, type KubernetesSettings } from '../cluster/cluster-file.js'
import { checkTemplate, LOCAL_TEMPLATE } from '../cluster/exec.js'
import { layOut, type LaidOut, type LayOutOptions } from '../cluster/lay-out.js'
import { makeManifest } from '../cluster/kubernetes.js'
import { finishedParts } from '../cluster/layout.js'
import { createProgress } from '../cluster/progress.js'
import { partsIn } from '../cluster/run-state.js'
import { haltOf } from '../cluster/task.js'
import { isUpToDate } from '../cluster/up-to-date.js'
import { optionDestination } from '../run/destinations.js'
import { isInexact } from '../run/devices/device.js'
import type { RunEvent } from '../run/events.js'
import { writeOutput } from '../safetensors/output.js'
import { isLasting } from '../view/dashboard/ending.js'
import { documentAccount, renderAccount, stageWarnings } from '../view/run-account.js'
import { renderRunProgress } from '../view/run-progress.js'
import { renderSummary } from '../view/summary.js'
import { plural } from '../view/text.js'
import { buildOnce, type BuildFlags } from './build.js'
import type { Console } from './console.js'
import { createDriverNotes } from './driver-notes.js'
import { openScheduler, type SchedulerChoice } from './open-scheduler.js'
import { readDevice, readEngine, readSettings } from './options.js'
import { userHub } from './hub.js'
import { readReportPath, writeReport, type ReportPlace } from './run-report.js'
import { runTrouble } from './run-trouble.js'
import { listenForStop, sleepUnless } from './signals.js'
import { userStore } from './store.js'

/** What `smelt build --on` takes besides what a build on one machine does. */
export interface OnFlags extends BuildFlags {
  readonly on?: string
  readonly exec?: string
  readonly hosts?: string
  readonly parallel?: string
  readonly parts?: string
  readonly runDir?: string
  /** Where the manifest for Kubernetes is written. */
  readonly manifest?: string
  /** Where the cluster file is. */
  readonly cluster?: string
  /** Where tasks copy inputs to. */
  readonly stage?: string
}

const MOST_PARTS = 100_000
const MOST_PARALLEL = 1000

/** Options of a build that have no meaning, or none yet, where many machines do its work. */
const WITHOUT = [
  ['frozen', runWords.verifyAfter],
  ['rehash', runWords.trustsTimes],
  ['sha256', runWords.onOneMachine],
  ['watch', runWords.onOneMachine],
  ['attest', runWords.onOneMachine],
  ['update', runWords.onOneMachine],
  ['table', runWords.onOneMachine],
  ['json', runWords.followInstead],
] as const

const readCount = (option: string, text: string | undefined, most: number): Result<number | undefined> => {
  if (text === undefined) return ok(undefined)
  const count = /^\d+$/.test(text) ? Number(text) : 0
  return count >= 1 && count <= most ? ok(count) : failed(runCount(option, text, most))
}

/** Pods of a manifest that somebody else starts. */
interface ManifestChoice {
  readonly type: 'kubernetes'
  readonly settings: KubernetesSettings
  readonly manifest: string
}

interface ReadFlags {
  readonly layOut: LayOutOptions
  readonly report: ReportPlace | undefined
  readonly choice: SchedulerChoice | ManifestChoice
}

/** Tasks at a time that a run is cut for where nobody says how many there can be. */
const MANY = 16

const tasksAtOnce = (choice: ReadFlags['choice']): number => {
  if (choice.type === 'exec') return choice.parallel
  return (choice.type === 'slurm' ? choice.options.at_most : choice.settings.at_most) ?? MANY
}

/** Who starts the tasks: options win over the cluster file. */
const chooseScheduler = (
  flags: OnFlags,
  { exec, slurm, kubernetes }: ClusterFile,
  parallel: number | undefined,
): Result<SchedulerChoice | ManifestChoice> => {
  const problems = [
    ...(flags.on === 'exec' || flags.exec === undefined ? [] : [onlyOn('--exec', 'exec')]),
    ...(flags.on === 'exec' || flags.hosts === undefined ? [] : [onlyOn('--hosts', 'exec')]),
    ...(flags.on === 'kubernetes' || flags.manifest === undefined ? [] : [onlyOn('--manifest', 'kubernetes')]),
    ...(flags.on === 'kubernetes' && flags.manifest === undefined ? [manifestNeeded()] : []),
  ]
  if (flags.on === 'kubernetes' && flags.stage !== undefined)
    problems.push(runWithout('--stage', runWords.stageInManifest))
  if (flags.stage !== undefined && !/^[/$]/.test(flags.stage)) problems.push(stageRelative(flags.stage))
  if (problems.length > 0) return failed(...problems)
  if (flags.on === 'kubernetes') {
    const settings = { ...kubernetes, ...(parallel === undefined ? {} : { at_most: parallel }) }
    return ok({ type: 'kubernetes', settings, manifest: flags.manifest! })
  }
  if (flags.on === 'slurm') {
    const { smelt, stage, ...options } = { ...slurm, ...(parallel === undefined ? {} : { at_most: parallel }) }
    return ok({ type: 'slurm', smelt, stage: flags.stage ?? stage, options })
  }
  const template = flags.exec ?? exec.command ?? LOCAL_TEMPLATE
  const wrong = checkTemplate(template)
  if (wrong !== undefined) return failed(wrong)
  const hosts = flags.hosts?.split(',').filter((host) => host !== '') ?? exec.hosts ?? []
  const atOnce = parallel ?? exec.at_most ?? Math.max(1, hosts.length)
  return ok({ type: 'exec', template, hosts, parallel: atOnce, smelt: exec.smelt, stage: flags.stage ?? exec.stage })
}

const readFlags = async (console: Console, recipe: string, flags: OnFlags): Promise<Result<ReadFlags>> => {
  const problems = WITHOUT.flatMap(([name, help]) =>
    flags[name] === undefined || flags[name] === false ? [] : [runWithout(`--${name}`, help)],
  )
  if (flags.on === undefined) problems.push(runNeedsOn())
  if (flags.workers !== undefined) problems.push(runWithout('--workers', runWords.workersInTemplate))
  const [set, device, engine, parallel, parts, report, cluster] = [
    await readSettings(flags, console.cwd),
    readDevice(flags.device),
    readEngine(flags.engine),
    readCount('--parallel', flags.parallel, MOST_PARALLEL),
    readCount('--parts', flags.parts, MOST_PARTS),
    readReportPath(flags.report, console.cwd),
    await loadClusterFile(recipe, flags.cluster === undefined ? undefined : resolve(console.cwd, flags.cluster)),
  ]
  const choice =
    cluster.type === 'ok' && parallel.type === 'ok' ? chooseScheduler(flags, cluster.value, parallel.value) : failed()
  for (const read of [set, device, engine, parallel, parts, report, cluster, choice]) append(problems, read.diagnostics)
  if (device.type === 'ok' && device.value !== 'auto' && isInexact(device.value))
    problems.push(runInexact(device.value))
  if (
    problems.length > 0 ||
    set.type === 'failed' ||
    device.type === 'failed' ||
    engine.type === 'failed' ||
    parallel.type === 'failed' ||
    parts.type === 'failed' ||
    report.type === 'failed' ||
    choice.type === 'failed'
  )
    return failed(...problems)
  const atOnce = tasksAtOnce(choice.value)
  return ok({
    choice: choice.value,
    report: report.value,
    layOut: {
      ...set.value,
      device: device.value,
      engine: engine.value,
      parallel: atOnce,
      hub: userHub(),
      store: userStore(),
      ...(report.value === undefined ? {} : { more: [optionDestination('--report', flags.report!, console.cwd)] }),
      ...(parts.value === undefined ? {} : { parts: parts.value }),
      ...(flags.out === undefined ? {} : { out: resolve(console.cwd, flags.out) }),
      ...(flags.runDir === undefined ? {} : { runs: resolve(console.cwd, flags.runDir) }),
    },
  })
}

/** `smelt build --on`: cuts the plan into parts, has others do them, and commits. */
export const buildOn = async (console: Console, recipe: string, flags: OnFlags): Promise<number> => {
  const began = performance.now()
  const tell = (diagnostics: readonly Diagnostic[]): number => {
    console.tell(diagnostics)
    return exitCode(diagnostics)
  }
  const read = await readFlags(console, recipe, flags)
  if (read.type === 'failed') return tell(read.diagnostics)
  const interruption = listenForStop(() => (flags.on === 'exec' ? console.tell([stoppingTasks()]) : undefined))
  try {
    if (flags.force !== true && (await isUpToDate(recipe, { ...read.value.layOut, signal: interruption.signal })))
      return (await buildOnce(console, { path: recipe }, flags)).code
    const laid = await layOut(recipe, { ...read.value.layOut, signal: interruption.signal })
    console.tell(laid.diagnostics)
    if (laid.type === 'failed') return interruption.exitCode ?? exitCode(laid.diagnostics)
    const { choice } = read.value
    if (choice.type === 'kubernetes') return tell(await writeManifest(console, laid.value, choice))
    const claim = await claimRun(laid.value.run)
    if (claim.type === 'failed') return tell(claim.diagnostics)
    try {
      const code = await driveRun(
        console,
        laid.value,
        choice,
        { quiet: flags.quiet === true, began, report: read.value.report },
        interruption.signal,
      )
      return interruption.exitCode ?? code
    } catch (error) {
      return tell([runTrouble(error, laid.value.run)])
    } finally {
      claim.value.release()
    }
  } finally {
    interruption.end()
  }
}

/** Writes the manifest of a run that is laid out, and nothing else: whoever applies it starts the pods. */
const writeManifest = async (
  console: Console,
  { run, plan }: LaidOut,
  { settings, manifest }: ManifestChoice,
): Promise<readonly Diagnostic[]> => {
  const made = makeManifest(run, plan, settings)
  if (made.type === 'failed') return made.diagnostics
  const written = await writeOutput(resolve(console.cwd, manifest), new TextEncoder().encode(made.value))
  if (written.type === 'ok')
    console.err(schedulerWords.wroteManifest(manifest) + schedulerWords.applyManifest(manifest))
  return written.diagnostics
}

/** How often progress is told, in ms. */
const [REDRAW, LOG] = [500, 10_000]

interface DriveFlags {
  readonly quiet: boolean
  /** When the command began, in ms. */
  readonly began: number
  readonly report: ReportPlace | undefined
}

const driveRun = async (
  console: Console,
  { run, plan, drafted, isResumed }: LaidOut,
  choice: SchedulerChoice,
  { quiet, began, report }: DriveFlags,
  signal: AbortSignal,
): Promise<number> => {
  const say = (text: string): void => (quiet ? undefined : console.err(text))
  const parts = plural(partsIn(plan), 'part')
  say(isResumed ? runWords.resumed(plan.id, finishedParts(run).size, parts, run) : runWords.begun(plan.id, parts, run))
  let isHandedOver = false
  const opened = await openScheduler(choice, run, plan, {
    waited: () => say(runWords.awaited),
    handedOver: () => {
      if (!isHandedOver) line.aside(() => say(runWords.handedOver))
      isHandedOver = true
    },
    signal,
  })
  if (opened.type === 'failed') {
    console.tell(opened.diagnostics)
    return exitCode(opened.diagnostics)
  }
  const { scheduler, patience, pause, changed, complaintOf, close } = opened.value
  const progress = createProgress(run, plan)
  if (progress.type === 'failed') {
    console.tell(progress.diagnostics)
    return exitCode(progress.diagnostics)
  }
  const line = progressLine(console, () => renderRunProgress(progress.value()), quiet)
  const events: RunEvent[] = []
  const notes = createDriverNotes(run, () => performance.now() / 1000)
  let isOver = false
  try {
    const { stage } = choice
    const who = { scheduler: choice.type, options: { ...choice }, ...(stage === undefined ? {} : { stage }) }
    const driven = await drive(driverFiles(run, plan, who), scheduler, {
      patience,
      now: () => performance.now() / 1000,
      sleep: (seconds) => sleepUnless(signal, pause(seconds, (performance.now() - began) / 1000), changed),
      signal,
      told: (action) => {
        for (const text of notes(action)) line.aside(() => say(text))
      },
      commit: async () => {
        const done = await commitRun(run, {
          listener: (event) => void (isLasting(event) && events.push(event)),
          hub: userHub(),
          store: userStore(),
          drafted,
        })
        line.clear()
        console.tell(done.diagnostics.filter((d) => d.severity !== 'error' && done.type === 'ok'))
        return done.type === 'ok' ? [] : done.diagnostics
      },
    })
    isOver = driven.type !== 'left'
    line.clear()
    const diagnostics = problemsOf(driven, run, complaintOf)
    console.tell(diagnostics)
    if (driven.type === 'left') say(runWords.left(run, choice.type === 'exec'))
    if (driven.type === 'committed') {
      say(renderSummary(events, console.look('err'), (performance.now() - began) / 1000, true))
      const parts = accountOf(run) ?? []
      say(renderAccount(parts))
      if (!quiet) console.tell(stageWarnings(parts))
      if (report !== undefined) console.tell(await writeReport(report, documentAccount(plan.name, run, parts)))
    }
    return exitCode(diagnostics)
  } finally {
    line.end()
    await close(isOver)
  }
}

const problemsOf = (driven: Driven, run: string, complaintOf: (part: number) => string): readonly Diagnostic[] => {
  switch (driven.type) {
    case 'committed':
    case 'left':
      return []
    case 'problems':
      return driven.diagnostics
    case 'cancelled':
    case 'alarm': {
      const halted = haltOf(run)
      return halted.type === 'failed' ? halted.diagnostics : [runAlarmed(0, [], [])]
    }
    case 'given-up':
      return driven.parts.map(({ part, reason, last }) => runPartFailed(part, reason, last?.word, complaintOf(part)))
  }
}

/** One line that is redrawn in a terminal, and now and then a line of a log. */
const progressLine = (console: Console, render: () => string, quiet: boolean) => {
  let told = ''
  const clear = (): void => (console.errRedraws && told !== '' ? console.err('\r\u001b[K') : undefined)
  const tick = (): void => {
    const text = render()
    if (text === told) return
    console.err(console.errRedraws ? `\r\u001b[K${text}` : `${text}\n`)
    told = text
  }
  const ticking = quiet ? undefined : setInterval(tick, console.errRedraws ? REDRAW : LOG)
  return {
    clear,
    aside: (write: () => void): void => {
      clear()
      told = ''
      write()
    },
    end: (): void => clearInterval(ticking),
  }
}
