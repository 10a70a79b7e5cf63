import { spawn, type ChildProcess } from 'node:child_process'
import { constants, hostname } from 'node:os'
import { execUnknown } from '../base/catalogue/cluster.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { PATIENCE, type Patience, type Task } from './decide.js'
import { attemptsOf, readAttempt } from './layout.js'
import type { Scheduler, SubmittedJob } from './scheduler.js'
import { quoteWord } from './shell-word.js'

/** The command of a task where none is given: smelt itself, on this machine. */
export const LOCAL_TEMPLATE = '{smelt} work --run {run} --part {part}'

/** What a template can name. */
const NAMES = ['smelt', 'run', 'part', 'host', 'slot'] as const
const PLACEHOLDER = /\{(\w+)\}/g

/** What is wrong with a template; it has to name the run and the part. */
export const checkTemplate = (template: string): Diagnostic | undefined => {
  const named = [...template.matchAll(PLACEHOLDER)].map(([, name]) => name!)
  const unknown = named.find((name) => !NAMES.some((n) => n === name))
  const missing = (['run', 'part'] as const).find((name) => !named.includes(name))
  return unknown === undefined && missing === undefined ? undefined : execUnknown(unknown, missing, NAMES)
}

/** How tasks are started by commands. */
export interface ExecOptions {
  readonly run: string
  readonly template: string
  /** Where tasks run, if the template says so; this machine alone if empty. */
  readonly hosts: readonly string[]
  readonly parallel: number
  /** What starts smelt, as words of the shell. */
  readonly smelt: string
}

/** Tasks that are processes of this one. */
export interface Exec extends Scheduler {
  /** The end of what the last task of a part said on standard error. */
  complaintOf(part: number): string
  /** Calls what it is given, once, when a process has ended, or ended since a call before. */
  onceEnded(hear: () => void): void
  /** True while a process runs. */
  readonly isBusy: boolean
}

/** Characters of standard error that are kept. */
const MOST_COMPLAINT = 4000
/** How long a task has to end by itself, in ms. */
const GRACE = 10_000

/** How long a driver of commands waits: on this machine alone, a listing does not lag. */
export const patienceFor = (hosts: readonly string[]): Patience =>
  hosts.length === 0 ? { ...PATIENCE, lag: 1, pause: 0.2 } : { ...PATIENCE, pause: 1 }

interface Running {
  readonly id: string
  readonly child: ChildProcess
  readonly host: string
  /** The least number, from 0 on, that no other task on its host has. */
  readonly slot: number
  readonly began: number
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Tasks that a driver before this one started on this machine: processes, or nothing any more. */
const createOrphans = (run: string): ((part: number, attempt: number) => Task | undefined) => {
  // What began, and that it has ended, stays as it is: each is read once, however often the driver looks.
  const known = new Map<string, Task | { readonly pid: number; readonly began: number } | undefined>()
  const find = (part: number, attempt: number) => {
    const found = readAttempt(run, part, attempt)
    if (found.type === 'failed' || found.value?.host !== hostname()) return undefined
    return { pid: found.value.pid, began: Date.parse(found.value.started) }
  }
  return (part, attempt) => {
    const id = `${part}.${attempt}`
    const one = known.has(id) ? known.get(id) : find(part, attempt)
    known.set(id, one)
    if (one === undefined || 'state' in one) return one
    const seconds = Math.max(0, (Date.now() - one.began) / 1000)
    if (isAlive(one.pid)) return { id, state: 'running', running: seconds }
    const task: Task = { id, state: 'ended', running: seconds, ended: { exit: 0, word: '' } }
    known.set(id, task)
    return task
  }
}

/** Starts tasks by a command each, so many at a time. */
export const createExec = ({ run, template, hosts, parallel, smelt }: ExecOptions): Exec => {
  const queue: { readonly part: number; readonly accepted: (job: SubmittedJob) => void }[] = []
  const running = new Map<number, Running>()
  const ended = new Map<number, Task>()
  const orphans = createOrphans(run)
  const complaints = new Map<number, string>()
  let started = 0
  /** Whoever waits for a process to end; one that ended meanwhile is told of at once. */
  let hear: (() => void) | undefined
  let isNews = false

  const freest = (): string => {
    const load = (host: string): number => [...running.values()].filter((r) => r.host === host).length
    return hosts.toSorted((x, y) => load(x) - load(y))[0] ?? hostname()
  }
  const begin = (part: number): string => {
    const id = String(++started)
    const host = freest()
    const taken = new Set([...running.values()].flatMap((r) => (r.host === host ? r.slot : [])))
    let slot = 0
    while (taken.has(slot)) slot += 1
    const words: Readonly<Record<string, string>> = {
      smelt,
      run: quoteWord(run),
      part: String(part),
      host: quoteWord(host),
      slot: String(slot),
    }
    const command = template.replace(PLACEHOLDER, (whole, name: string) => words[name] ?? whole)
    // A group of its own, so that the shell and all that it starts can be stopped, and a key pressed stops only the driver.
    const child = spawn(command, { shell: true, detached: true, stdio: ['ignore', 'ignore', 'pipe'] })
    running.set(part, { id, child, host, slot, began: performance.now() })
    ended.delete(part)
    complaints.delete(part)
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaints.set(part, ((complaints.get(part) ?? '') + text).slice(-MOST_COMPLAINT))
    })
    const end = (exit: number, word: string): void => {
      if (running.get(part)?.child !== child) return
      running.delete(part)
      ended.set(part, { id, state: 'ended', running: 0, ended: { exit, word } })
      fill()
      isNews = hear === undefined
      hear?.()
      hear = undefined
    }
    child.on('error', (error) => end(1, error.message))
    child.on('close', (code, signal) =>
      end(code ?? 128 + (signal === null ? 0 : constants.signals[signal]), signal ?? `exit ${code ?? 0}`),
    )
    return id
  }
  const fill = (): void => {
    while (running.size < parallel && queue.length > 0) {
      const { part, accepted } = queue.shift()!
      // Told only now: what waits in a queue that dies with this process was never handed over.
      accepted({ id: begin(part), parts: [part] })
    }
  }
  const kill = ({ child }: Running, signal: NodeJS.Signals): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, signal)
    } catch {
      // It has ended.
    }
  }
  const stop = async (parts: readonly number[]): Promise<void> => {
    const own = parts.flatMap((part) => running.get(part) ?? [])
    const gone = own.map(
      ({ child }) =>
        new Promise<void>((done) => {
          if (child.exitCode !== null || child.signalCode !== null) done()
          else child.once('close', () => done())
        }),
    )
    for (const each of own) kill(each, 'SIGTERM')
    const late = setTimeout(() => own.forEach((each) => kill(each, 'SIGKILL')), GRACE)
    await Promise.all(gone)
    clearTimeout(late)
  }
  return {
    tasks: () => {
      const tasks = new Map<number, Task>()
      for (const [part, attempt] of attemptsOf(run)) {
        const task = running.has(part) || ended.has(part) ? undefined : orphans(part, attempt)
        if (task !== undefined) tasks.set(part, task)
      }
      for (const [part, task] of ended) tasks.set(part, task)
      for (const { part } of queue) tasks.set(part, { id: '', state: 'queued', running: 0 })
      for (const [part, { id, began }] of running)
        tasks.set(part, { id, state: 'running', running: (performance.now() - began) / 1000 })
      return Promise.resolve(tasks)
    },
    submit: (parts, accepted) => {
      for (const part of parts) queue.push({ part, accepted })
      fill()
      return Promise.resolve([])
    },
    requeue: async (parts, accepted) => {
      await stop(parts)
      for (const part of parts) queue.push({ part, accepted })
      fill()
    },
    release: () => Promise.resolve(),
    withdraw: async () => {
      queue.length = 0
      await stop([...running.keys()])
    },
    onceEnded: (next) => {
      hear = isNews ? undefined : next
      if (isNews) next()
      isNews = false
    },
    complaintOf: (part) => (complaints.get(part) ?? '').trim(),
    get isBusy() {
      return running.size > 0
    },
  }
}
