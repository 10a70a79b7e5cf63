import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Digest } from '#src/base/digest.js'
import {
  attemptsOf,
  beat,
  beginAttempt,
  cancelRun,
  fileSystemNow,
  finishedParts,
  forgetSubmitted,
  isCancelled,
  lastBeat,
  makeRunFolder,
  noteSubmitted,
  placesOf,
  raiseAlarm,
  readAlarm,
  readAttempt,
  readPlan,
  readResult,
  readSubmitted,
  runFolder,
  writeOnce,
  writeResult,
  type PartResult,
} from '#src/cluster/layout.js'
import { createTaskFollower, renderRunScreen } from '#src/view/run-tasks.js'

let run: string
beforeEach(() => {
  run = mkdtempSync(join(tmpdir(), 'smelt-run-'))
  makeRunFolder(run)
})
afterEach(() => rmSync(run, { recursive: true, force: true }))

const who = { host: 'one', pid: 1, started: '2026-01-01T00:00:00.000Z' }
const result = (attempt: number): PartResult => ({
  part: 3,
  attempt,
  host: 'one',
  device: 'cpu',
  reason: 'asked for',
  content: `blake3:${'0'.repeat(64)}` as Digest,
  written: [],
  read: [],
  outcomes: [],
  reports: [],
  files: [],
  odd: [],
  seconds: 0.5,
  readBytes: 0,
  writtenBytes: 0,
})

test('attempts at a part are numbered in the order in which they begin', () => {
  expect([1, 2].map(() => beginAttempt(run, 3, who).attempt)).toEqual([1, 2])
  expect(beginAttempt(run, 4, who).attempt).toBe(1)
  expect(Object.fromEntries(attemptsOf(run))).toEqual({ 3: 2, 4: 1 })
  expect(readAttempt(run, 3, 2)).toMatchObject({ type: 'ok', value: { ...who, part: 3, attempt: 2 } })
  expect(readAttempt(run, 3, 3)).toMatchObject({ type: 'ok', value: undefined })
})

test('of two results of a part the first stays', () => {
  expect([writeResult(run, result(2)), writeResult(run, result(1))]).toEqual([true, false])
  expect(readResult(run, 3)).toMatchObject({ type: 'ok', value: { attempt: 2 } })
  expect([...finishedParts(run)]).toEqual([3])
  expect(readResult(run, 4)).toMatchObject({ type: 'ok', value: undefined })
})

test('a heartbeat has the time of the file system', () => {
  beginAttempt(run, 0, who)
  utimesSync(placesOf(run).beat(0, 1), 1000, 1000)
  expect(lastBeat(run, 0, 1)).toBe(1_000_000)
  beat(run, 0, 1)
  expect(fileSystemNow(run)).toBeGreaterThanOrEqual(lastBeat(run, 0, 1)!)
  expect(lastBeat(run, 0, 1)).toBeGreaterThan(1_000_000)
  expect(lastBeat(run, 0, 2)).toBeUndefined()
})

test('a cancelled run stays cancelled, and of two alarms the first counts', () => {
  expect(isCancelled(run)).toBe(false)
  cancelRun(run)
  cancelRun(run)
  expect(isCancelled(run)).toBe(true)
  raiseAlarm(run, { part: 1, attempts: [1, 2], hosts: ['one', 'two'], differs: ['x'] })
  raiseAlarm(run, { part: 2, attempts: [1, 2], hosts: ['one', 'two'], differs: ['y'] })
  expect(readAlarm(run)).toMatchObject({ type: 'ok', value: { part: 1 } })
})

test('writing leaves nothing but the file', () => {
  writeOnce(join(run, 'x'), 'first')
  writeOnce(join(run, 'x'), 'second')
  expect(readFileSync(join(run, 'x'), 'utf8')).toBe('first')
  expect(readdirSync(run).filter((name) => name.endsWith('.tmp'))).toEqual([])
})

test('what is not a run, and what is not of this version, is told', () => {
  expect(readPlan(run)).toMatchObject({ diagnostics: [{ code: 'run-missing' }] })
  writeFileSync(placesOf(run).plan, '{"format": 2}')
  expect(readPlan(run)).toMatchObject({ diagnostics: [{ code: 'run-invalid' }] })
  writeFileSync(placesOf(run).result(0), '{"part"')
  expect(readResult(run, 0)).toMatchObject({ diagnostics: [{ code: 'run-invalid' }] })
})

test('the folder of a run is beside its recipe', () => {
  expect(runFolder('/a/r.yaml', 'f00')).toBe('/a/.smelt/runs/f00')
  expect(runFolder('/a/r.yaml', 'f00', '/shared')).toBe('/shared/f00')
})

test('what was handed over is known to the next driver, without the line that the last one was killed over', () => {
  expect(readSubmitted(run)).toBeUndefined()
  noteSubmitted(run)
  expect(readSubmitted(run)).toEqual([])
  noteSubmitted(run, { id: '7', parts: [0, 1] })
  appendFileSync(placesOf(run).submitted, '\n{"id":"8","pa')
  noteSubmitted(run, { id: '9', parts: [2] })
  expect(readSubmitted(run)).toEqual([
    { id: '7', parts: [0, 1] },
    { id: '9', parts: [2] },
  ])
  forgetSubmitted(run)
  expect(readSubmitted(run)).toEqual([])
})

test('the screen of a run shows how far each task is by the events that it has written so far', () => {
  const working = [
    { part: 0, attempt: 1, host: 'one', silent: 1 },
    { part: 12, attempt: 2, host: 'two\u001b[2J', silent: 40 },
  ]
  const events = placesOf(run).events(0, 1)
  const started =
    '{"v":1,"at":1,"type":"run-started","recipe":"r","device":"cpu","workers":1,"jobs":1,"readBytes":3000,"writeBytes":1000,"tensors":1,"reused":0,"cached":0,"memoryBudget":0}\n'
  const units = (read: number): string =>
    `{"v":1,"at":2,"type":"units-finished","worker":0,"tensor":"x","step":"s","units":1,"readBytes":${read},"writtenBytes":0}\n`
  writeFileSync(events, started + units(1000) + units(2000).slice(0, 20))
  const tasksOf = createTaskFollower(run)
  expect(tasksOf({ working })).toEqual([
    { ...working[0], device: 'cpu', moved: 1000, bytes: 4000 },
    { ...working[1], device: '', moved: 0, bytes: 0 },
  ])
  appendFileSync(events, units(2000).slice(20))
  const tasks = tasksOf({ working })
  expect(tasks[0]?.moved).toBe(2000)
  const progress = { parts: 20, done: 5, bytes: 8e9, doneBytes: 2e9, working, again: 1, state: 'open' } as const
  const screen = (rows: number) =>
    renderRunScreen('ties', progress, tasks, { columns: 100, rows, color: false, unicode: true })
  expect(screen(24)).toEqual([
    'ties',
    '5 of 20 parts · 2.00 GB of 8.00 GB · 2 running · 1 begun again',
    '━'.repeat(15) + '─'.repeat(45),
    '',
    'part 0              one           cpu  ━━━━━━━━━━──────────  2.00 kB of 4.00 kB',
    'part 12, attempt 2  two\\u{1b}[2J       ────────────────────  0 B of 0 B          silent for 40 s',
    '',
    'q closes this; the run goes on',
  ])
  expect(screen(24).join('')).not.toContain('\u001b')
  expect(screen(7).slice(4)).toEqual(['and 2 more', '', 'q closes this; the run goes on'])
})
