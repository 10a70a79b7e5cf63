import type { RunEvent } from '../run/events.js'
import { foldEvent, NO_PROGRESS, renderLogLine, renderPlanning, renderProgress, type Progress } from './progress.js'

/** Where progress is drawn, and the clock in ms. `terminal` redraws one line, otherwise lines are added to a log. */
export interface ProgressPort {
  readonly terminal: boolean
  write(text: string): void
  columns(): number
  now(): number
}

/**
 * Draws progress, and until there is any how long the planning takes: hears events at any rate, and draws only when
 * `tick` is called and its time has come.
 */
export interface ProgressLine {
  hear(event: RunEvent): void
  tick(): void
  /** Removes the line from the terminal, so that other text can be written; the next tick draws it again. */
  clear(): void
}

/** A redrawn line changes at most so often, in ms; a log gets a line at most so often. */
const REDRAW = 100
const LOG = 5_000
/** Before the work begins there is only the time to tell, which changes so often, in ms. */
const PLANNING = 1_000

const ACTIVE: ReadonlySet<Progress['state']> = new Set(['downloading', 'running'])

const TO_START = '\r\u001b[K'

/** A progress line that has drawn nothing yet. */
export const createProgressLine = (port: ProgressPort): ProgressLine => {
  let progress: Progress = NO_PROGRESS
  let began = port.now()
  let drawn = began
  let changed = false
  let shown = false
  const clear = (): void => {
    if (shown) port.write(TO_START)
    shown = false
  }
  return {
    hear: (event) => {
      progress = foldEvent(progress, event, port.now())
      changed = true
      if (event.type === 'download-finished') began = drawn = port.now()
    },
    tick: () => {
      const now = port.now()
      if (progress.state === 'waiting') {
        if (now - drawn < (port.terminal ? PLANNING : LOG)) return
        drawn = now
        const text = renderPlanning((now - began) / 1000)
        port.write(port.terminal ? TO_START + text : `${text}\n`)
        shown = port.terminal
        return
      }
      if (!changed || !ACTIVE.has(progress.state) || now - drawn < (port.terminal ? REDRAW : LOG)) return
      drawn = now
      changed = false
      // One column stays free: a full line would make the terminal wrap.
      port.write(
        port.terminal
          ? TO_START + renderProgress(progress, Math.max(10, port.columns() - 1))
          : `${renderLogLine(progress)}\n`,
      )
      shown = port.terminal
    },
    clear,
  }
}
