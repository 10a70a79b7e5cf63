import type { BuildEvent, TimedEvent } from './build-event.js'
import { fold } from './fold.js'
import type { Key } from './keys.js'
import { paintLine } from './line.js'
import { createPainter, type RenderLines } from './painter.js'
import { NOTHING_HEARD, type DashboardState } from './state.js'
import { FIRST_LOOK, press, type Ui, type DashboardAction } from './ui.js'
import { extentOf, view, type DashboardFrame } from './view.js'

/** The terminal that a dashboard is drawn on, and the clock of the events in ms. */
export interface DashboardPort {
  write(text: string): void
  size(): { readonly columns: number; readonly rows: number }
  now(): number
  readonly color: boolean
  readonly unicode: boolean
  /** What `q` does, in a few words. */
  readonly stop: string
  readonly render: RenderLines
}

/** Draws a build. Receiving events costs almost nothing: they are processed only when something is drawn. */
export interface Dashboard {
  hear(event: BuildEvent, at?: number): void
  /** Draws what has changed, if a frame is due; called many times a second. */
  tick(): void
  /** Handles keys and draws at once; returns the requested action. */
  press(keys: readonly Key[]): readonly Exclude<DashboardAction, undefined>[]
  /** Redraws everything: the terminal was resized, or another program used its screen. */
  redraw(): void
  /** The state of the build so far. */
  state(): DashboardState
}

/** The least time between frames, in ms. */
const LEAST = 300
/** Frames are delayed, by up to a second, so that drawing takes at most this share of the time. */
const [SHARE, MOST] = [0.01, 1_000]

/** A dashboard that has drawn nothing yet. The screen it writes to is its own. */
export const createDashboard = (port: DashboardPort): Dashboard => {
  const painter = createPainter(port.render)
  let state = NOTHING_HEARD
  let ui: Ui = FIRST_LOOK
  let heard: TimedEvent[] = []
  let drawn = -Infinity
  let wait = 0

  const settle = (): DashboardState => {
    if (heard.length > 0) state = fold(state, heard)
    heard = []
    return state
  }
  const scene = (): DashboardFrame => ({ ...port.size(), now: port.now(), unicode: port.unicode, stop: port.stop })
  const draw = (): void => {
    const began = performance.now()
    const here = scene()
    const text = painter.paint(
      view(settle(), ui, here).map((row) => row.map((line) => paintLine(line, port.color))),
      here.columns,
    )
    if (text !== '') port.write(text)
    drawn = port.now()
    wait = Math.max(LEAST, Math.min(MOST, (performance.now() - began) / SHARE))
  }
  return {
    hear: (event, at = port.now()) => void heard.push({ event, at }),
    tick: () => {
      if (port.now() - drawn >= wait) draw()
    },
    press: (keys) => {
      const wishes = keys.flatMap((key) => {
        const pressed = press(ui, key, extentOf(settle(), ui, scene()))
        ui = pressed.ui
        return pressed.wish === undefined ? [] : [pressed.wish]
      })
      draw()
      return wishes
    },
    redraw: () => {
      painter.forget()
      draw()
    },
    state: settle,
  }
}
