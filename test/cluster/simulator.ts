import { drive, type Driven } from '#src/cluster/drive.js'
import { numbersOf, PATIENCE, type Patience, type Stage, type Task } from '#src/cluster/decide.js'
import type { DriverFiles } from '#src/cluster/observe.js'
import type { Scheduler, SubmittedJob } from '#src/cluster/scheduler.js'

/** A cluster that does not exist, and what goes wrong in it: shares are of attempts, or of the driver's actions. */
export interface Weather {
  readonly seed: number
  readonly stages: readonly Stage[]
  /** Tasks that run at one time. */
  readonly slots: number
  /** Attempts that end with 75, and as many each that are killed, vanish, turn into phantoms, or go on unseen. */
  readonly failing: number
  /** Tasks that the scheduler holds when their turn has come. */
  readonly held: number
  /** Listings that lag, by up to a minute. */
  readonly lagging: number
  /** Actions of the driver at which it is killed. */
  readonly killed: number
  /** Questions at which the scheduler goes down for a while. */
  readonly down: number
  readonly patience?: Patience
}

/** What came of a simulated run. */
export interface Aftermath {
  readonly commits: number
  /** Parts that had no marker when the outputs were made. */
  readonly lost: number
  /** Tasks that began while another of the same part was at work, or when it was done. */
  readonly doubled: number
  readonly attempts: number
  /** How often a driver was killed, and gave up and was begun again by its user. */
  readonly killed: number
  readonly givenUp: number
  readonly seconds: number
  readonly heap: number
  readonly actions: Readonly<Record<string, number>>
}

/** The driver was killed. */
const KILL = new Error('killed')

/** Numbers from 0 to 1 that a seed determines (mulberry32). */
const numbersFrom = (seed: number): (() => number) => {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

interface SimulatedTask {
  readonly part: number
  readonly job: number
  state: Task['state']
  began: number
  ended: { readonly exit: number; readonly word: string; readonly at: number } | undefined
  /** When its process gives its last heartbeat. */
  lastBeat: number
  /** Counts its starts: events of an earlier start mean nothing. */
  start: number
  /** The scheduler has lost sight of it. */
  unseen: boolean
  /** The scheduler does not let it begin. */
  held: boolean
}

const UNBEGUN = {
  state: 'queued',
  began: 0,
  ended: undefined,
  lastBeat: 0,
  start: 0,
  unseen: false,
  held: false,
} as const

/** A heap of what happens when. */
const createAgenda = () => {
  const heap: { at: number; act: () => void }[] = []
  const swap = (i: number, j: number): void => {
    ;[heap[i], heap[j]] = [heap[j]!, heap[i]!]
  }
  return {
    next: (): number => heap[0]?.at ?? Infinity,
    add: (at: number, act: () => void): void => {
      let i = heap.push({ at, act }) - 1
      for (; i > 0 && heap[(i - 1) >> 1]!.at > heap[i]!.at; i = (i - 1) >> 1) swap(i, (i - 1) >> 1)
    },
    take: (): { at: number; act: () => void } => {
      const first = heap[0]!
      const last = heap.pop()!
      if (heap.length > 0) {
        heap[0] = last
        for (let i = 0; ;) {
          const child = 2 * i + 1
          const least = child + 1 < heap.length && heap[child + 1]!.at < heap[child]!.at ? child + 1 : child
          if (least >= heap.length || heap[least]!.at >= heap[i]!.at) break
          swap(i, least)
          i = least
        }
      }
      return first
    },
  }
}

/** Runs the real driver on a cluster that does not exist, to the end. */
export const simulate = async (weather: Weather): Promise<Aftermath> => {
  const random = numbersFrom(weather.seed)
  const patience = weather.patience ?? PATIENCE
  const agenda = createAgenda()
  let time = 0
  const known = new Map<number, SimulatedTask>()
  const queue: SimulatedTask[] = []
  const markers = new Map<number, { listed: number; named: number }>()
  const lastBeats = new Map<number, () => number>()
  const processes = new Map<number, number>()
  let jobs: SubmittedJob[] | undefined
  const tally = { running: 0, commits: 0, lost: 0, doubled: 0, attempts: 0, killed: 0, givenUp: 0, heap: 0 }
  const actions: Record<string, number> = {}
  let [downUntil, isCommitted, acted] = [0, false, 0]

  const advance = (until: number): void => {
    while (agenda.next() <= until) {
      const { at, act } = agenda.take()
      time = at
      act()
    }
    time = until
  }
  const leave = (task: SimulatedTask, exit: number, word: string): void => {
    if (!task.unseen) tally.running -= 1
    task.ended = { exit, word, at: time }
    task.state = 'ended'
    begin()
  }
  const mark = (part: number): void => {
    const lag = random() < weather.lagging ? random() * 55 : 0
    if (!markers.has(part)) markers.set(part, { listed: time + lag, named: time + lag / 2 })
  }
  const begin = (): void => {
    while (tally.running < weather.slots && queue.length > 0) {
      const task = queue.shift()!
      if (task.state !== 'queued') continue
      task.held = random() < weather.held
      if (!task.held) start(task)
    }
  }
  const start = (task: SimulatedTask): void => {
    const { part } = task
    task.state = 'running'
    task.began = time
    const mine = ++task.start
    tally.running += 1
    tally.attempts += 1
    if ((processes.get(part) ?? 0) > 0 || markers.has(part)) tally.doubled += 1
    processes.set(part, (processes.get(part) ?? 0) + 1)
    const seconds = Math.exp(3 + 0.8 * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()))
    const [fate, share] = [random(), weather.failing]
    const fails = fate < 5 * share
    const end = time + (fails && fate < 4 * share ? seconds * random() : seconds)
    task.lastBeat = end
    lastBeats.set(part, () => Math.min(time, task.lastBeat))
    // What becomes of a process, unless its task was begun anew meanwhile.
    const later = (act: () => void): void =>
      agenda.add(end, () => {
        if (task.start !== mine || task.state !== 'running') return
        processes.set(part, processes.get(part)! - 1)
        act()
      })
    if (!fails) later(() => (mark(part), leave(task, 0, 'COMPLETED')))
    else if (fate < share) later(() => leave(task, 75, 'FAILED'))
    else if (fate < 2 * share) later(() => leave(task, 137, 'FAILED'))
    else if (fate < 3 * share)
      later(() => {
        leave(task, 0, 'GONE')
        if (known.get(part) === task) known.delete(part)
      })
    // A phantom: the process is gone, and the scheduler does not know.
    else if (fate < 4 * share) later(() => undefined)
    // A lost node: the scheduler does not see the task any more, which goes on and ends well.
    else {
      agenda.add(time + seconds * random(), () => {
        if (task.start !== mine || task.state !== 'running') return
        task.unseen = true
        tally.running -= 1
        if (known.get(part) === task) known.delete(part)
        begin()
      })
      agenda.add(end, () => {
        if (task.start !== mine || task.state !== 'running') return
        processes.set(part, processes.get(part)! - 1)
        mark(part)
        task.state = 'ended'
      })
    }
  }
  const isDown = (): boolean => {
    if (time >= downUntil && random() < weather.down) downUntil = time + 120 * random()
    return time < downUntil
  }
  const end = (task: SimulatedTask): void => {
    if (task.state === 'running') {
      if (task.lastBeat > time) processes.set(task.part, processes.get(task.part)! - 1)
      task.lastBeat = Math.min(task.lastBeat, time)
      leave(task, 143, 'CANCELLED')
    } else if (task.state === 'queued') task.state = 'ended'
  }
  let job = 0
  const scheduler: Scheduler = {
    tasks: async () => {
      if (isDown()) return undefined
      const tasks = new Map<number, Task>()
      for (const [part, task] of known) {
        if (task.ended !== undefined && time - task.ended.at > 300) known.delete(part)
        else
          tasks.set(part, {
            id: `${task.job}.${task.start}`,
            state: task.state,
            ...(task.state === 'queued' && task.held ? { held: 'JobHeldUser' } : {}),
            running: task.state === 'running' ? time - task.began : 0,
            ...(task.ended === undefined ? {} : { ended: task.ended }),
          })
      }
      return tasks
    },
    submit: async (parts, accepted) => {
      for (let at = 0; at < parts.length; at += 1000) {
        if (isDown()) return []
        const some = parts.slice(at, at + 1000)
        const accept = (): void => {
          job += 1
          for (const part of some) {
            const task: SimulatedTask = { part, job, ...UNBEGUN }
            known.set(part, task)
            queue.push(task)
          }
          begin()
        }
        // A driver that is killed may leave a call behind that ends without it.
        if (random() < weather.killed) {
          agenda.add(time + 30 * random(), accept)
          throw KILL
        }
        accept()
        // The answer of the scheduler may be lost.
        if (random() < weather.down) return []
        if (random() < weather.killed) throw KILL
        accepted({ id: String(job), parts: some })
      }
      return []
    },
    requeue: async (parts, accepted) => {
      if (isDown()) return
      for (const part of parts) {
        const task = known.get(part)
        if (task?.state !== 'running') continue
        end(task)
        task.state = 'queued'
        task.ended = undefined
        queue.push(task)
      }
      begin()
      accepted({ id: 'again', parts })
    },
    release: async (parts, accepted) => {
      if (isDown()) return
      const held = parts.flatMap((part) => {
        const task = known.get(part)
        return task?.state === 'queued' && task.held ? [task] : []
      })
      for (const task of held) {
        task.held = false
        queue.push(task)
      }
      begin()
      accepted({ id: 'released', parts: held.map(({ part }) => part) })
    },
    withdraw: async () => {
      if (!isDown()) for (const task of known.values()) end(task)
    },
  }
  const files: DriverFiles = {
    stages: weather.stages,
    listDone: function* () {
      for (const [part, { listed }] of markers) if (listed <= time) yield part
    },
    isDone: (part) => (markers.get(part)?.named ?? Infinity) <= time,
    silences: () => (part) => {
      const beat = lastBeats.get(part)
      return beat === undefined ? undefined : time - beat() + (random() < weather.lagging ? random() * 55 : 0)
    },
    halted: () => ({ isCancelled: false, isAlarmed: false, isCommitted }),
    submitted: () => jobs,
    willSubmit: () => {
      jobs ??= []
    },
    record: (one) => void (jobs ??= []).push(one),
    forget: () => {
      jobs = []
    },
  }
  const before = process.memoryUsage().heapUsed
  const driveOnce = (): Promise<Driven> =>
    drive(files, scheduler, {
      patience,
      now: () => time,
      sleep: async (seconds) => advance(time + seconds),
      commit: async () => {
        tally.commits += 1
        tally.lost += weather.stages.flatMap(numbersOf).filter((part) => !markers.has(part)).length
        isCommitted = true
        if (random() < weather.killed) throw KILL
        return []
      },
      told: ({ type }) => {
        actions[type] = (actions[type] ?? 0) + 1
        if (++acted % 64 === 0) tally.heap = Math.max(tally.heap, process.memoryUsage().heapUsed - before)
        if (random() < weather.killed) throw KILL
      },
    })
  for (let begun = 0; begun < 1000; begun++) {
    const driven = await driveOnce().catch((error: unknown) => {
      if (error !== KILL) throw error
      tally.killed += 1
      return undefined
    })
    if (driven?.type === 'committed') return { ...tally, seconds: time, actions }
    if (driven?.type === 'given-up') tally.givenUp += 1
    advance(time + 5 + 100 * random() ** 4)
  }
  throw new Error('the run does not end')
}
