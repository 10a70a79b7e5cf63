import { setImmediate as nextTurn } from 'node:timers/promises'

/**
 * Long work that yields wherever it may pause, so that others have their turn: timers, signals, the messages of
 * workers.
 */
export type Sliced<T> = Generator<void, T, void>

/** Longest time, in ms, that sliced work goes on before others have their turn. */
const SLICE = 25

/** Does sliced work without a pause. */
export const atOnce = <T>(work: Sliced<T>): T => {
  for (;;) {
    const next = work.next()
    if (next.done === true) return next.value
  }
}

/** Does sliced work and lets others have their turn in between; undefined when it was to stop before the end. */
export const inTurns = async <T>(work: Sliced<T>, signal?: AbortSignal): Promise<{ readonly value: T } | undefined> => {
  let began = performance.now()
  for (;;) {
    if (signal?.aborted === true) return undefined
    const next = work.next()
    if (next.done === true) return { value: next.value }
    if (performance.now() - began < SLICE) continue
    await nextTurn()
    began = performance.now()
  }
}

/** Takes pieces of work in order. While there are many, others have their turn in between. */
export interface Turns {
  take(work: () => void): void
}

/** Turns of which none has been taken: work that comes alone is done at once. */
export const createTurns = (): Turns => {
  const waiting: (() => void)[] = []
  let next = 0
  /** When the first work of this turn of the event loop came; undefined where there was none yet. */
  let began: number | undefined
  const go = (): void => {
    if (began === undefined) {
      began = performance.now()
      setImmediate(() => {
        began = undefined
        if (waiting.length > 0) go()
      })
    }
    while (next < waiting.length && performance.now() - began < SLICE) waiting[next++]!()
    if (next < waiting.length) return
    waiting.length = 0
    next = 0
  }
  return {
    take: (work) => {
      waiting.push(work)
      go()
    },
  }
}
