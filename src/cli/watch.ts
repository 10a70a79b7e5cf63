import { constants } from 'node:os'
import { resolve } from 'node:path'
import {
  dashboardLost,
  eventNotUnderstood,
  eventsEndEarly,
  eventsTooNew,
  speedOutOfRange,
} from '../base/catalogue/watch.js'
import { exitCode, type Diagnostic } from '../base/diagnostic.js'
import { reasonOf } from '../base/reason.js'
import { openingProblem } from '../safetensors/open.js'
import type { BuildEvent, TimedEvent } from '../view/dashboard/build-event.js'
import { isLasting, renderEnding, toRunEvent } from '../view/dashboard/ending.js'
import { createClockwork, createLineCutter, readEvent } from '../view/dashboard/read-events.js'
import { JSON_VERSION } from '../view/json.js'
import { createProgressLine } from '../view/progress-line.js'
import type { Console } from './console.js'
import { openDashboard, type DashboardScreen } from './dashboard-screen.js'
import { eventsProblem, follow, receive } from './follow.js'
import { isTerminal } from './terminal.js'

/** What `smelt watch` takes besides the events. */
export interface WatchFlags {
  readonly speed?: string
}

/**
 * The exit code for events that end before their build does: whether it failed is not known, that it succeeded neither.
 */
const CUT_SHORT = 3
const MOST_SPEED = 1000

const readSpeed = (text: string | undefined): number | undefined | Diagnostic => {
  if (text === undefined) return undefined
  const speed = Number(text)
  return speed > 0 && speed <= MOST_SPEED ? speed : speedOutOfRange(text)
}

/** What shows the events while they come: a dashboard, or lines for a log. */
interface Display {
  hear(heard: TimedEvent): void
  /** Called once all that there is for now has been heard: time to show something. */
  show(): void
  leave(): void
}

const logDisplay = (console: Console, now: () => number): Display => {
  const line = createProgressLine({
    terminal: false,
    write: console.err,
    columns: () => console.look('err').width,
    now,
  })
  const ticking = setInterval(line.tick, 1_000)
  return {
    hear: ({ event }) => {
      const told = toRunEvent(event)
      if (told !== undefined) line.hear(told)
    },
    show: () => undefined,
    leave: () => {
      clearInterval(ticking)
      line.clear()
    },
  }
}

/** Opens the dashboard at the first `show`: a stream that is over before that needs none. */
const screenDisplay = (console: Console, now: () => number, stop: () => void, keysFromInput: boolean): Display => {
  let screen: DashboardScreen | undefined
  let opening = false
  let left = false
  const early: TimedEvent[] = []
  const lost = (error: unknown): void => console.tell([dashboardLost(reasonOf(error))])
  return {
    hear: (heard) => {
      if (screen === undefined) early.push(heard)
      else screen.hear(heard.event, heard.at)
    },
    show: () => {
      if (opening || left) return
      opening = true
      void openDashboard(console, { stop, word: 'leave', now, lost, keysFromInput }).then((opened) => {
        for (const { event, at } of early.splice(0)) opened.hear(event, at)
        if (left) opened.leave()
        else screen = opened
      }, lost)
    },
    leave: () => {
      left = true
      screen?.leave()
    },
  }
}

/**
 * `smelt watch`: the dashboard of a build somewhere else, from the events that it writes. The exit code is that of the
 * build;
 * 0 if one leaves before its end, 128 and the signal's number if a signal does.
 */
export const watch = async (console: Console, path: string, flags: WatchFlags): Promise<number> => {
  const refuse = (diagnostic: Diagnostic): number => {
    console.tell([diagnostic])
    return exitCode([diagnostic])
  }
  const speed = readSpeed(flags.speed)
  if (typeof speed === 'object') return refuse(speed)
  const fromInput = path === '-'
  const label = fromInput ? 'standard input' : path
  const began = performance.now()
  // The clock of the events: the last of them is now, and time goes on from there until the next.
  const clock = { at: 0, read: began }
  const now = (): number => clock.at + (performance.now() - clock.read) * (speed ?? 1)
  const controller = new AbortController()
  let left: number | undefined
  const leave = (code: number): void => {
    left ??= code
    controller.abort()
  }
  const interrupt = (name: NodeJS.Signals): void => leave(128 + constants.signals[name])
  const display = isTerminal(!fromInput)
    ? screenDisplay(console, now, () => leave(0), !fromInput)
    : logDisplay(console, now)
  const settle = createClockwork(() => performance.now() - began)
  const cut = createLineCutter()
  const kept: BuildEvent[] = []
  let lines = 0
  let exit: number | undefined

  const wait = (at: number): Promise<void> =>
    new Promise((done) => {
      const stop = (): void => {
        clearTimeout(timer)
        done()
      }
      const timer = setTimeout(
        () => {
          controller.signal.removeEventListener('abort', stop)
          done()
        },
        Math.max(0, (at - now()) / (speed ?? 1)),
      )
      controller.signal.addEventListener('abort', stop, { once: true })
    })
  const take = async (line: string): Promise<Diagnostic | undefined> => {
    lines += 1
    const found = readEvent(line)
    if (found.type === 'unknown') return undefined
    if (found.type === 'broken') return eventNotUnderstood(label, lines)
    if (found.type === 'newer') return eventsTooNew(label, found.version, JSON_VERSION)
    const heard = settle(found.event, found.at)
    if (speed !== undefined && lines > 1) {
      display.show()
      await wait(heard.at)
    }
    clock.at = heard.at
    clock.read = performance.now()
    if (isLasting(heard.event)) kept.push(heard.event)
    if (heard.event.type === 'command-ended') exit = heard.event.exit
    display.hear(heard)
    return undefined
  }
  const read = async (): Promise<Diagnostic | undefined> => {
    const unreadable = fromInput ? undefined : await eventsProblem(resolve(console.cwd, path))
    if (unreadable !== undefined) return unreadable
    const pieces = fromInput
      ? receive(controller.signal, display.show)
      : follow(resolve(console.cwd, path), controller.signal, display.show)
    for await (const piece of pieces) {
      for (const line of cut(piece)) {
        const problem = await take(line)
        if (problem !== undefined || exit !== undefined || controller.signal.aborted) return problem
      }
    }
    return undefined
  }

  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, interrupt)
  let problem: Diagnostic | undefined
  try {
    problem = await read()
  } catch (error) {
    problem = await openingProblem(error, resolve(console.cwd, path))
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.removeListener(signal, interrupt)
    display.leave()
    controller.abort()
  }
  console.err(renderEnding(kept, console.look('err'), clock.at / 1000))
  if (problem !== undefined) return refuse(problem)
  if (exit === undefined && left === undefined) return refuse(eventsEndEarly(label)) || CUT_SHORT
  return left ?? exit ?? 0
}
