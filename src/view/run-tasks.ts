import { closeSync, openSync, readSync } from 'node:fs'
import { RUN_SCREEN } from '../base/catalogue/screens.js'
import { escapeControls } from '../base/excerpt.js'
import { placesOf } from '../cluster/layout.js'
import type { RunProgress } from '../cluster/progress.js'
import { drawBar, glyphsFor } from './dashboard/glyphs.js'
import { createLineCutter, readEvent } from './dashboard/read-events.js'
import { renderRunProgress } from './run-progress.js'
import { align, cutEnd, formatBytes, formatDuration, paint } from './text.js'

/** A task that works, and how far it is by what it told itself. */
export interface TaskView {
  readonly part: number
  readonly attempt: number
  readonly host: string
  /** Empty until the task has told it. */
  readonly device: string
  /** Bytes moved so far, and those to move; 0 until the task has told it. */
  readonly moved: number
  readonly bytes: number
  /** Seconds since its last sign of life. */
  readonly silent: number
}

type Told = Pick<TaskView, 'device' | 'moved' | 'bytes'>

const PIECE = 1 << 16

/** What a file has from a position on; nothing where there is no file yet. */
const readFrom = (path: string, position: number): Uint8Array => {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch {
    return new Uint8Array(0)
  }
  try {
    const pieces: Uint8Array[] = []
    for (let at = position; ;) {
      const piece = new Uint8Array(PIECE)
      const length = readSync(file, piece, 0, PIECE, at)
      if (length === 0) return Buffer.concat(pieces)
      pieces.push(piece.subarray(0, length))
      at += length
    }
  } finally {
    closeSync(file)
  }
}

/** Follows the event files of one attempt: what it has told so far, each time it is asked. */
const followTask = (path: string): (() => Told) => {
  const [cut, decoder] = [createLineCutter(), new TextDecoder()]
  let position = 0
  let told: Told = { device: '', moved: 0, bytes: 0 }
  return () => {
    const piece = readFrom(path, position)
    position += piece.length
    for (const line of cut(decoder.decode(piece, { stream: true }))) {
      const read = readEvent(line)
      if (read.type !== 'event') continue
      const { event } = read
      if (event.type === 'run-started')
        told = { ...told, device: event.device, bytes: event.readBytes + event.writeBytes }
      else if (event.type === 'units-finished') told = { ...told, moved: event.readBytes + event.writtenBytes }
    }
    return told
  }
}

/** Follows the tasks of a run by their event files, each of which is read once, as it grows. */
export const createTaskFollower = (run: string): ((progress: Pick<RunProgress, 'working'>) => readonly TaskView[]) => {
  let tasks = new Map<string, () => Told>()
  return ({ working }) => {
    const now = new Map<string, () => Told>()
    const views = working.map(({ part, attempt, host, silent }) => {
      const key = `${part}.${attempt}`
      const told = tasks.get(key) ?? followTask(placesOf(run).events(part, attempt))
      now.set(key, told)
      return { part, attempt, host, silent, ...told() }
    })
    // Those that have ended are forgotten.
    tasks = now
    return views
  }
}

/** How the screen of a run looks. */
export interface RunScreen {
  readonly columns: number
  readonly rows: number
  readonly color: boolean
  readonly unicode: boolean
}

/** Seconds of silence from which on they are shown: a heartbeat comes every ten. */
const SILENT = 20
const BAR = 20

const share = (moved: number, bytes: number): number => (bytes === 0 ? 0 : Math.min(1, moved / bytes))

const barOf = (part: number, width: number, unicode: boolean): string =>
  drawBar(glyphsFor(unicode), part, width).join('')

/** The lines of a screen that shows a run and its tasks; no more than fit. */
export const renderRunScreen = (
  name: string,
  progress: RunProgress,
  tasks: readonly TaskView[],
  { columns, rows, color, unicode }: RunScreen,
): readonly string[] => {
  const look = { color, width: columns }
  const line = (text: string): string => cutEnd(text, columns)
  const head = [
    paint(look, 'title', line(escapeControls(name))),
    line(renderRunProgress(progress)),
    line(barOf(share(progress.doneBytes, progress.bytes), Math.min(columns, 3 * BAR), unicode)),
    '',
  ]
  const foot = ['', paint(look, 'faint', line(RUN_SCREEN.keys))]
  const room = Math.max(0, rows - head.length - foot.length)
  const shown = tasks.length > room ? tasks.slice(0, Math.max(0, room - 1)) : tasks
  const table = align(
    shown.map(({ part, attempt, host, device, moved, bytes, silent }) => [
      RUN_SCREEN.part(part, attempt),
      escapeControls(host),
      escapeControls(device),
      barOf(share(moved, bytes), BAR, unicode),
      RUN_SCREEN.of(formatBytes(moved), formatBytes(bytes)),
      silent >= SILENT ? RUN_SCREEN.silent(formatDuration(silent)) : '',
    ]),
  ).map(line)
  const more = tasks.length > shown.length && room > 0 ? [line(RUN_SCREEN.more(tasks.length - shown.length))] : []
  return [...head, ...table, ...more, ...foot].slice(0, rows)
}
