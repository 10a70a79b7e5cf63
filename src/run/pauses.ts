import { monitorEventLoopDelay } from 'node:perf_hooks'

/** Watches how long the thread that answers signals and tells of progress was busy without a pause. */
export interface Pauses {
  /** The longest time so far in which nothing else had its turn, in seconds. */
  longest(): number
  end(): void
}

/** How often it is looked whether the thread answers, in ms: the least that is told apart. */
const RESOLUTION = 10

/** Begins to watch. */
export const watchPauses = (): Pauses => {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION })
  delay.enable()
  return {
    // The time between two looks is counted too, and before the first there is no figure.
    longest: () => Math.max(0, (delay.count === 0 ? 0 : delay.max) / 1e6 - RESOLUTION) / 1000,
    end: () => void delay.disable(),
  }
}
