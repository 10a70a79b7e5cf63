/**
 * What a worker's time goes to: reading inputs, filling in random and other numbers, running programs, counting and
 * summing, and writing outputs. Digests count with what is read or written.
 */
export const PARTS = ['read', 'draw', 'run', 'take', 'write'] as const

/** Seconds of each part. */
export type Timings = Readonly<Record<(typeof PARTS)[number], number>>

/** Sorts time by what it was spent on. */
export interface Stopwatch {
  /** Counts the time since the last lap, or since the start, to a part. */
  lap(part: keyof Timings): void
  readonly spent: Timings
}

/** Nothing spent. */
export const noTime = (): Timings => ({ read: 0, draw: 0, run: 0, take: 0, write: 0 })

/** Both together. */
export const addTimes = (a: Timings, b: Timings): Timings =>
  Object.fromEntries(PARTS.map((part) => [part, a[part] + b[part]] as const)) as Record<keyof Timings, number>

/** A stopwatch that has just been started. */
export const createStopwatch = (): Stopwatch => {
  const spent: Record<keyof Timings, number> = { ...noTime() }
  let last = performance.now()
  return {
    spent,
    lap: (part) => {
      const now = performance.now()
      spent[part] += (now - last) / 1000
      last = now
    },
  }
}
