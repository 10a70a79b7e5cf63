import { isObject } from '../../base/is-object.js'
import { JSON_VERSION } from '../json.js'
import type { BuildEvent, TimedEvent } from './build-event.js'

/** A line of an event stream; `at` is undefined for a stream without times. */
export type ReadLine =
  | { readonly type: 'event'; readonly event: BuildEvent; readonly at: number | undefined }
  /** An event of a newer smelt, which is ignored. */
  | { readonly type: 'unknown' }
  | { readonly type: 'newer'; readonly version: number }
  | { readonly type: 'broken' }

/** Fields that may be missing, but are nothing else where they are there. */
const OPTIONAL: Shape = { deviceReason: 'string' }

type Shape = Readonly<Record<string, 'string' | 'number' | 'object' | 'boolean' | 'list'>>

const OUTPUT: Shape = {
  name: 'string',
  path: 'string',
  files: 'number',
  bytes: 'number',
  tensors: 'number',
  digest: 'string',
}

/** The fields that no event of a type may lack: what draws them relies on them. */
const SHAPES: Readonly<Record<BuildEvent['type'], Shape>> = {
  'plan-made': { plan: 'object' },
  'run-started': {
    recipe: 'string',
    device: 'string',
    workers: 'number',
    jobs: 'number',
    readBytes: 'number',
    writeBytes: 'number',
    tensors: 'number',
    reused: 'number',
    cached: 'number',
    memoryBudget: 'number',
  },
  'step-counted': { step: 'string', op: 'string', tensors: 'number', counts: 'object' },
  'work-planned': { tensors: 'list' },
  'units-finished': {
    worker: 'number',
    tensor: 'string',
    step: 'string',
    units: 'number',
    readBytes: 'number',
    writtenBytes: 'number',
  },
  'tensor-finished': {
    output: 'string',
    tensor: 'string',
    steps: 'list',
    how: 'string',
    bytes: 'number',
    seconds: 'number',
  },
  'memory-measured': { bytes: 'number' },
  'download-started': { repository: 'string', files: 'number', bytes: 'number' },
  'bytes-downloaded': { repository: 'string', bytes: 'number', total: 'number' },
  'download-finished': { repository: 'string', ok: 'boolean', bytes: 'number', total: 'number' },
  'output-written': OUTPUT,
  'output-kept': OUTPUT,
  'report-written': { name: 'string', path: 'string', format: 'string', bytes: 'number' },
  'lock-written': { path: 'string', changed: 'boolean', changes: 'list' },
  'problem-found': { diagnostic: 'object' },
  'stop-requested': { signal: 'string' },
  'run-finished': { seconds: 'number', readBytes: 'number', writtenBytes: 'number', peakMemory: 'number' },
  'run-failed': { seconds: 'number' },
  'command-ended': { exit: 'number' },
}

const MOST_WORKERS = 1024

const hasShape = (value: Readonly<Record<string, unknown>>, shape: Shape): boolean =>
  Object.entries(shape).every(([key, kind]) => {
    const field = value[key]
    if (kind === 'list') return Array.isArray(field)
    if (kind === 'object') return isObject(field)
    return typeof field === kind && (kind !== 'number' || Number.isFinite(field))
  })

const mayHave = (value: Readonly<Record<string, unknown>>, shape: Shape): boolean =>
  hasShape(value, Object.fromEntries(Object.entries(shape).filter(([key]) => key in value)))

const isSeed = (value: unknown): boolean =>
  value === undefined || typeof value === 'number' || typeof value === 'string'

const isText = (value: unknown): boolean => typeof value === 'string'
const areTexts = (value: unknown): boolean => Array.isArray(value) && value.every(isText)

/** What the shape of an event does not say about what lies in it. */
const isSound = (event: Readonly<Record<string, unknown>>): boolean => {
  const { plan, diagnostic, steps, tensors, worker, workers, how, changes } = event
  const whole = (n: unknown): boolean => Number.isInteger(n) && (n as number) >= 0 && (n as number) < MOST_WORKERS
  switch (event['type']) {
    case 'plan-made': {
      const { steps: planned, outputs, reports, work, name } = plan as Readonly<Record<string, unknown>>
      const lists = [planned, outputs, reports].every((list) => Array.isArray(list) && list.every(isObject))
      return (
        isText(name) &&
        isSeed((plan as Readonly<Record<string, unknown>>)['seed']) &&
        lists &&
        isObject(work) &&
        hasShape(work, { peakMemory: 'number' }) &&
        (outputs as Readonly<Record<string, unknown>>[]).every((o) =>
          hasShape(o, { name: 'string', path: 'string', bytes: 'number' }),
        ) &&
        (reports as Readonly<Record<string, unknown>>[]).every((r) =>
          hasShape(r, { name: 'string', path: 'string', from: 'string' }),
        ) &&
        (planned as Readonly<Record<string, unknown>>[]).every(
          (s) =>
            hasShape(s, { name: 'string', op: 'string', kind: 'string', tensors: 'number', counts: 'object' }) &&
            mayHave(s, { reason: 'string', numbers: 'object', neededBy: 'list' }) &&
            areTexts(s['uses']) &&
            areTexts(s['wantedBy']),
        )
      )
    }
    case 'problem-found':
      return hasShape(diagnostic as Readonly<Record<string, unknown>>, {
        code: 'string',
        severity: 'string',
        message: 'string',
      })
    case 'work-planned':
      return (tensors as unknown[]).every(
        (t) =>
          isObject(t) && hasShape(t, { output: 'string', tensor: 'string', bytes: 'number' }) && areTexts(t['steps']),
      )
    case 'tensor-finished':
      return areTexts(steps) && (how === 'computed' || how === 'copied' || how === 'reused')
    case 'units-finished':
      return whole(worker) && mayHave(event, { next: 'string' })
    case 'run-finished':
      return mayHave(event, { longestPause: 'number' })
    case 'run-started':
      return whole(workers) && mayHave(event, OPTIONAL) && isSeed(event['seed'])
    case 'lock-written':
      return areTexts(changes)
    case 'step-counted':
      return Object.values(event['counts'] as object).every(Number.isFinite)
    default:
      return true
  }
}

/** Parses one line of an event stream. Never throws, and checks everything that drawing relies on. */
export const readEvent = (line: string): ReadLine => {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return { type: 'broken' }
  }
  if (!isObject(value)) return { type: 'broken' }
  const { v, at, type } = value
  if (!Number.isInteger(v) || typeof type !== 'string') return { type: 'broken' }
  if ((v as number) > JSON_VERSION) return { type: 'newer', version: v as number }
  if (!Object.hasOwn(SHAPES, type)) return { type: 'unknown' }
  if (!hasShape(value, SHAPES[type as BuildEvent['type']]) || !isSound(value)) return { type: 'broken' }
  return {
    type: 'event',
    event: value as unknown as BuildEvent,
    at: typeof at === 'number' && Number.isFinite(at) ? at : undefined,
  }
}

/** Cuts a stream into lines as its pieces come; a line is whole once its end has come. */
export const createLineCutter = (): ((piece: string) => readonly string[]) => {
  let rest = ''
  return (piece) => {
    const lines = (rest + piece).split('\n')
    rest = lines.pop()!
    return lines.map((line) => line.replace(/\r$/, '')).filter((line) => line.trim() !== '')
  }
}

/** Gives events without times the time of reading, and keeps times monotonic. */
export const createClockwork = (now: () => number): ((event: BuildEvent, at: number | undefined) => TimedEvent) => {
  let last = 0
  return (event, at) => {
    last = Math.max(last, at ?? now())
    return { event, at: last }
  }
}
