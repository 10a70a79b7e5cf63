import { appendFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { runPartUnknown } from '../base/catalogue/cluster.js'
import { stageUnused, stageWords } from '../base/catalogue/stage.js'
import { exitCode, type Diagnostic } from '../base/diagnostic.js'
import { claimRun } from '../cluster/driver-files.js'
import { placesOf, readDriver, readPlan } from '../cluster/layout.js'
import { isCommitted, partsIn } from '../cluster/run-state.js'
import { workOn, type StagePlace } from '../cluster/task.js'
import { defaultWorkers } from '../run/machine.js'
import type { Listener } from '../run/events.js'
import { buildEventLine, toBuildEvent } from '../view/json.js'
import { renderReport } from '../view/report/render.js'
import type { Console } from './console.js'
import { cudaPlaces } from './cuda-places.js'
import { readWorkers } from './options.js'
import { userHub } from './hub.js'
import { runTrouble } from './run-trouble.js'
import { listenForStop } from './signals.js'

/** What `smelt work` takes. */
export interface WorkFlags {
  readonly run: string
  readonly part: string
  readonly workers?: string
  readonly stage?: string
}

/** The events of a task go to a file that others read while it grows; that it cannot be written is no reason to fail. */
const listenInto = (path: string): Listener => {
  const began = performance.now()
  let waiting = ''
  let flushed = began
  return (event) => {
    waiting += buildEventLine(toBuildEvent(event), performance.now() - began)
    const isPassing = event.type === 'units-finished' || event.type === 'tensor-finished'
    if (isPassing && performance.now() - flushed < 1000) return
    try {
      appendFileSync(path, waiting)
    } catch {
      // The dashboard lacks it then, and the result does not.
    }
    waiting = ''
    flushed = performance.now()
  }
}

/** `smelt work`: does one part of a run, or commits it; what schedulers start on each machine. */
export const work = async (console: Console, flags: WorkFlags): Promise<number> => {
  const run = resolve(console.cwd, flags.run)
  const workers = readWorkers(flags.workers, defaultWorkers)
  if (workers.type === 'failed') {
    console.tell(workers.diagnostics)
    return exitCode(workers.diagnostics)
  }
  const interruption = listenForStop(() => undefined)
  try {
    const diagnostics = await workUnder(run, flags, workers.value, interruption.signal).catch((error: unknown) => [
      runTrouble(error, run),
    ])
    console.tell(diagnostics)
    return diagnostics.some((d) => d.code === 'stopped') && interruption.exitCode !== undefined
      ? interruption.exitCode
      : exitCode(diagnostics)
  } finally {
    interruption.end()
  }
}

/** Commits, unless a driver is alive, which will. */
const commitAlone = async (run: string, signal: AbortSignal): Promise<readonly Diagnostic[]> => {
  const { commitRun } = await import('../cluster/commit.js')
  const { userStore } = await import('./store.js')
  const claim = await claimRun(run)
  if (claim.type === 'failed') return claim.diagnostics
  try {
    return isCommitted(run) ? [] : (await commitRun(run, { signal, hub: userHub(), store: userStore() })).diagnostics
  } finally {
    claim.value.release()
  }
}

const workUnder = async (
  run: string,
  { part, stage }: WorkFlags,
  workers: number,
  signal: AbortSignal,
): Promise<readonly Diagnostic[]> => {
  if (part === 'commit') return commitAlone(run, signal)
  const plan = readPlan(run)
  if (plan.type === 'failed') return plan.diagnostics
  if (!/^\d{1,9}$/.test(part)) return [runPartUnknown(part, partsIn(plan.value))]
  // Where each task sees its GPUs alone, they are number 0 to all of them: Slurm knows which they are.
  const gpus = process.env['SLURM_JOB_GPUS'] ?? process.env['CUDA_VISIBLE_DEVICES']
  const place = placeOfStage(stage ?? stageOf(run))
  const done = await workOn(run, Number(part), {
    workers,
    signal,
    ...(place === undefined ? {} : { stage: place }),
    render: renderReport,
    places: cudaPlaces(),
    hub: userHub(),
    listen: ({ part: number, attempt }) => listenInto(placesOf(run).events(number, attempt)),
    ...(process.env['SLURM_JOB_ID'] === undefined ? {} : { job: process.env['SLURM_JOB_ID'] }),
    ...(gpus === undefined ? {} : { gpus }),
  })
  const problem = done.type === 'ok' ? done.value.staged?.problem : undefined
  return problem === undefined ? done.diagnostics : [...done.diagnostics, stageUnused(hostname(), problem)]
}

/** What the driver says of copies of inputs. */
const stageOf = (run: string): string | undefined => {
  const driver = readDriver(run)
  return driver.type === 'ok' ? driver.value?.stage : undefined
}

/** The folder that a text names here: variables in it are those of this process. */
const placeOfStage = (text: string | undefined): StagePlace | undefined => {
  if (text === undefined) return undefined
  const unset: string[] = []
  const folder = text.replace(/\$(?:(\w+)|\{(\w+)\})/g, (_, plain?: string, braced?: string) => {
    const name = plain ?? braced!
    const value = process.env[name] ?? ''
    if (value === '') unset.push(name)
    return value
  })
  return unset.length === 0 ? { folder: resolve(folder) } : { problem: stageWords.unset(unset[0]!) }
}
