import type { BuildEvent } from '../view/dashboard/build-event.js'
import { createDashboard } from '../view/dashboard/dashboard.js'
import type { Console } from './console.js'
import { enterTerminal } from './terminal.js'

/** A dashboard on the terminal of this process. */
export interface DashboardScreen {
  hear(event: BuildEvent, at?: number): void
  /** Gives the terminal back. May be called more than once. */
  leave(): void
}

/** What a dashboard is opened for. */
export interface DashboardWants {
  /** Called for each `q` or Ctrl-C; the dashboard stays until `leave`. */
  stop(): void
  /** What `q` does, in a word. */
  readonly word: string
  /** The clock of the events, in ms. */
  now(): number
  /**
   * Called when the dashboard could not be drawn, after it gave the terminal back: what it shows goes on without it.
   */
  lost(error: unknown): void
  /** False where standard input is something else: keys then come from the terminal itself. */
  readonly keysFromInput?: boolean
}

/** How often the dashboard is asked whether a frame is due, in ms. */
const TICK = 50

/** Opens a dashboard. */
export const openDashboard = async (
  console: Console,
  { stop, word, now, lost, keysFromInput = true }: DashboardWants,
): Promise<DashboardScreen> => {
  const guarded = (draw: () => void): void => {
    try {
      draw()
    } catch (error) {
      leave()
      lost(error)
    }
  }
  const terminal = await enterTerminal(
    console.look('err').color,
    {
      keys: (keys) =>
        guarded(() => {
          for (const wish of dashboard.press(keys)) {
            if (wish === 'suspend') terminal.suspend()
            else stop()
          }
        }),
      resized: () => guarded(dashboard.redraw),
    },
    keysFromInput,
  )
  const dashboard = createDashboard({ ...terminal.port, now, stop: word })
  const ticking = setInterval(() => guarded(dashboard.tick), TICK)
  const leave = (): void => {
    clearInterval(ticking)
    terminal.leave()
  }
  return { hear: dashboard.hear, leave }
}
