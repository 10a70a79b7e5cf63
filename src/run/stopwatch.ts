/**
 * What a worker's time goes to: reading inputs, filling in random and other numbers, running programs, counting and
 * summing, and writing outputs. Digests count with what is read or written.
 */
type Part = 'read' | 'draw' | 'run' | 'take' | 'write'

/** Seconds of each part. */
export type Timings = Readonly<Record<Part, number>>

/** Sorts time by what it was spent on. */
export interface Stopwatch {
  /** Counts the time since the last lap, or since the start, to a part. */
  lap(part: Part): void
  readonly spent: Timings
}

/** Nothing spent. */
export const noTime = (): Timings => ({ read: 0, draw: 0, run: 0, take: 0, write: 0 })

/** Both together. */
export const addTimes = (a: Timings, b: Timings): Timings => ({
  read: a.read + b.read,
  draw: a.draw + b.draw,
  run: a.run + b.run,
  take: a.take + b.take,
  write: a.write + b.write,
})

/** All parts. */
export const totalOf = ({ read, draw, run, take, write }: Timings): number => read + draw + run + take + write

/** A stopwatch that has just been started. */
export const createStopwatch = (): Stopwatch => {
  const spent: Record<Part, number> = noTime()
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
