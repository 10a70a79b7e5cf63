import type { Result } from '../base/result.js'
import { ok } from '../base/result.js'
import {
  attemptsOf,
  fileSystemNow,
  isCancelled,
  lastBeat,
  readAlarm,
  readAttempt,
  type RunPart,
  type RunPlan,
} from './layout.js'
import { finishedParts } from './layout.js'
import { readParts } from './part-files.js'
import { isCommitted, partsIn } from './run-state.js'

/** How far a run is, from its files alone. */
export interface RunProgress {
  readonly parts: number
  readonly done: number
  /** Bytes to move, and those of parts that are done. */
  readonly bytes: number
  readonly doneBytes: number
  /** Parts that give signs of life, and where; `silent` is seconds since the last. */
  readonly working: readonly {
    readonly part: number
    readonly attempt: number
    readonly host: string
    readonly silent: number
  }[]
  /** Attempts beyond the first. */
  readonly again: number
  readonly state: 'open' | 'committed' | 'cancelled' | 'alarm'
}

/** Seconds without a sign of life after which a task is not counted as working. */
const SILENCE = 60

/** Looks how far a run is. Throws what the system says. */
export const createProgress = (run: string, plan: RunPlan): Result<() => RunProgress> => {
  const parts = readParts(run, partsIn(plan))
  if (parts.type === 'failed') return parts
  return ok(() => progressOf(run, plan, parts.value))
}

const progressOf = (run: string, plan: RunPlan, parts: readonly RunPart[]): RunProgress => {
  const attempts = attemptsOf(run)
  const finished = finishedParts(run)
  const now = fileSystemNow(run)
  const working = [...attempts].flatMap(([part, attempt]) => {
    if (finished.has(part)) return []
    const beat = lastBeat(run, part, attempt)
    const silent = beat === undefined ? Infinity : (now - beat) / 1000
    if (silent > SILENCE) return []
    const who = readAttempt(run, part, attempt)
    return who.type === 'ok' && who.value !== undefined ? [{ part, attempt, host: who.value.host, silent }] : []
  })
  const alarm = readAlarm(run)
  return {
    parts: partsIn(plan),
    done: finished.size,
    bytes: parts.reduce((n, p) => n + p.bytes, 0),
    doneBytes: parts.reduce((n, p) => n + (finished.has(p.number) ? p.bytes : 0), 0),
    working: working.sort((x, y) => x.part - y.part),
    again: [...attempts.values()].reduce((n, k) => n + k - 1, 0),
    state: isCommitted(run)
      ? 'committed'
      : alarm.type === 'failed' || alarm.value !== undefined
        ? 'alarm'
        : isCancelled(run)
          ? 'cancelled'
          : 'open',
  }
}
