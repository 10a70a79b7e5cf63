import { describe, expect, it, test } from 'vitest'
import { decide, isPermanent, PATIENCE, type Action, type Observation, type Task } from '#src/cluster/decide.js'
import { createDriverNotes } from '#src/cli/driver-notes.js'
import { createObserver, type DriverFiles } from '#src/cluster/observe.js'

/** A run of one part in each of two stages, handed over once and long ago; nothing of it is there unless `more` says. */
const seen = (more: Partial<Observation> = {}): Observation => ({
  stages: [
    { first: 0, parts: 1 },
    { first: 1, parts: 1 },
  ],
  done: new Set(),
  silence: () => undefined,
  tasks: new Map(),
  tries: new Map([[0, 1]]),
  missing: () => 1000,
  isCancelled: false,
  isAlarmed: false,
  isCommitted: false,
  ...more,
})

const task = (more: Partial<Task> = {}): ReadonlyMap<number, Task> =>
  new Map([[0, { id: '1', state: 'running', running: 1000, ...more }]])
const ended = (exit: number): ReadonlyMap<number, Task> => task({ state: 'ended', ended: { exit, word: 'FAILED' } })

/** What is done, without the waiting. */
const deeds = (observation: Observation): readonly Action[] => decide(observation).filter(({ type }) => type !== 'wait')
const submit = (stage: number): Action => ({ type: 'submit', stage, parts: [stage] })

describe('a part without a marker', () => {
  it.each<readonly [title: string, more: Partial<Observation>, deeds: readonly Action[]]>([
    ['is submitted when it never was', { tries: new Map(), missing: () => undefined }, [submit(0)]],
    ['is waited for when a driver that was killed may have submitted it', { tries: new Map(), missing: () => 59 }, []],
    [
      'is waited for when somebody gives its heartbeats whom nobody submitted',
      { tries: new Map(), silence: () => 9 },
      [],
    ],
    ['is submitted a minute after that', { tries: new Map(), missing: () => 60 }, [submit(0)]],
    [
      'is submitted though it gave heartbeats a moment ago, when its task of an earlier command is known to have ended',
      { tries: new Map(), tasks: ended(1), silence: () => 9 },
      [submit(0)],
    ],
    ['is waited for while the scheduler does not answer', { tasks: undefined }, []],
    ['is waited for while its task is queued', { tasks: task({ state: 'queued' }) }, []],
    [
      'is waited for when its task has just been held',
      { tasks: task({ state: 'queued', held: 'x' }), missing: () => 59 },
      [],
    ],
    [
      'is released when its task was held for a minute',
      { tasks: task({ state: 'queued', held: 'x' }) },
      [{ type: 'release', parts: [0] }],
    ],
    [
      'is given up when its task is held after three tries, once no task is left',
      { tasks: task({ state: 'queued', held: 'x' }), tries: new Map([[0, 3]]) },
      [{ type: 'withdraw' }],
    ],
    ['is waited for while its task is being cleaned up', { tasks: task({ state: 'ending' }) }, []],
    ['is waited for while its task gives heartbeats', { tasks: task(), silence: () => 179 }, []],
    ['is waited for while its task has just begun', { tasks: task({ running: 179 }), silence: () => 999 }, []],
    [
      'is requeued when its task runs in silence',
      { tasks: task(), silence: () => 180 },
      [{ type: 'requeue', parts: [0] }],
    ],
    ['is requeued when its task never gave a heartbeat', { tasks: task() }, [{ type: 'requeue', parts: [0] }]],
    ['is looked for when its task has vanished', { missing: () => 59 }, [{ type: 'look', parts: [0] }]],
    ['is submitted again when its marker did not appear in a minute', { missing: () => 60 }, [submit(0)]],
    ['is waited for when somebody gives its heartbeats without a task', { silence: () => 100 }, []],
    [
      'is submitted again after exit code 75, whatever its last heartbeat',
      { tasks: ended(75), silence: () => 70 },
      [submit(0)],
    ],
    ['is submitted again after a signal', { tasks: ended(137) }, [submit(0)]],
    ['is looked for after exit code 0', { tasks: ended(0), missing: () => 5 }, [{ type: 'look', parts: [0] }]],
    [
      'is given up after an exit code that would come again',
      { tasks: ended(1), missing: () => 0 },
      [
        {
          type: 'stop',
          outcome: { type: 'given-up', parts: [{ part: 0, reason: 'failed', last: { exit: 1, word: 'FAILED' } }] },
        },
      ],
    ],
    [
      'is given up after three tries',
      { tries: new Map([[0, 3]]) },
      [{ type: 'stop', outcome: { type: 'given-up', parts: [{ part: 0, reason: 'tried-enough', last: undefined }] } }],
    ],
    [
      'is tried anew by a driver that finds no tries, whatever its last task said',
      { tries: new Map(), tasks: ended(1) },
      [submit(0)],
    ],
  ])('%s', (_, more, expected) => {
    expect(deeds(seen(more))).toEqual(expected)
  })
})

test('a stage starts when all parts of the one before are done', () => {
  expect(deeds(seen({ done: new Set([0]), tries: new Map([[0, 1]]), missing: () => undefined }))).toEqual([submit(1)])
})

test('outputs are made when every part is done, even if the scheduler does not answer', () => {
  expect(decide(seen({ done: new Set([0, 1]), tasks: undefined }))).toEqual([{ type: 'commit' }])
})

test('a part that is given up ends the tasks of the others first', () => {
  const tasks = new Map([...ended(1), [1, { id: '1', state: 'running', running: 5 } as const]])
  const stages = [{ first: 0, parts: 2 }]
  expect(
    deeds(
      seen({
        stages,
        tasks,
        tries: new Map([
          [0, 1],
          [1, 1],
        ]),
      }),
    ),
  ).toEqual([{ type: 'withdraw' }])
})

describe.each([
  ['isAlarmed', 'alarm'],
  ['isCommitted', 'committed'],
  ['isCancelled', 'cancelled'],
] as const)('when %s', (flag, type) => {
  test('tasks are ended first, whatever else is seen', () => {
    expect(deeds(seen({ [flag]: true, tasks: task() }))).toEqual([{ type: 'withdraw' }])
    expect(deeds(seen({ [flag]: true, tasks: undefined }))).toEqual([{ type: 'withdraw' }])
  })

  test('the driver stops when none is left', () => {
    expect(deeds(seen({ [flag]: true, tasks: ended(143) }))).toEqual([{ type: 'stop', outcome: { type } }])
  })
})

test('an alarm outranks that outputs were made, and that outranks a cancellation', () => {
  const all = { isAlarmed: true, isCommitted: true, isCancelled: true }
  expect(decide(seen(all))).toEqual([{ type: 'stop', outcome: { type: 'alarm' } }])
  expect(decide(seen({ ...all, isAlarmed: false }))).toEqual([{ type: 'stop', outcome: { type: 'committed' } }])
})

test('exit codes of problems come again, those of signals and of bad luck do not', () => {
  expect([1, 2, 3, 4, 70].every(isPermanent)).toBe(true)
  expect([0, 75, 130, 137, 143].some(isPermanent)).toBe(false)
})

test('the limits are those of the documentation', () => {
  expect(PATIENCE).toEqual({ lag: 60, silence: 180, tries: 3, pause: 2 })
})

test('a task that began and ended between two looks is waited for like any other, though the one before it ended long ago', async () => {
  let [now, id] = [0, 'first']
  const files: DriverFiles = {
    stages: [{ first: 0, parts: 1 }],
    listDone: () => [],
    isDone: () => false,
    silences: () => () => undefined,
    halted: () => ({ isCancelled: false, isAlarmed: false, isCommitted: false }),
    submitted: () => [{ id: 'first', parts: [0] }],
    willSubmit: () => undefined,
    record: () => undefined,
    forget: () => undefined,
  }
  const never = () => Promise.reject(new Error('not asked for'))
  const tasks = () => Promise.resolve(task({ id, state: 'ended', ended: { exit: 75, word: 'exit 75' } }))
  const observer = createObserver(
    files,
    { tasks, submit: never, requeue: never, release: never, withdraw: never },
    () => now,
  )
  const look = async (at: number): Promise<readonly string[]> => {
    now = at
    return decide(await observer.observe()).map(({ type }) => type)
  }
  expect(await look(0)).toEqual(['look', 'wait'])
  expect(await look(59)).toEqual(['look', 'wait'])
  id = 'second'
  expect(await look(60)).toEqual(['look', 'wait'])
  expect(await look(119)).toEqual(['look', 'wait'])
  expect(await look(120)).toEqual(['submit', 'wait'])
})

test('a scheduler that is silent for long is told of once, and so is that it answers again', () => {
  let now = 0
  const notes = createDriverNotes('run', () => now)
  const wait = (at: number, isAnswered: boolean): number => {
    now = at
    return notes({ type: 'wait', seconds: 1, isAnswered }).length
  }
  expect([wait(0, true), wait(5, false), wait(29, false), wait(30, false), wait(60, false)]).toEqual([0, 0, 0, 1, 0])
  expect([wait(70, true), wait(80, false), wait(90, true), wait(119, false), wait(120, false)]).toEqual([1, 0, 0, 0, 1])
})

test('a reason for which Slurm lets tasks wait is told of once, after half a minute', () => {
  let now = 0
  const notes = createDriverNotes('/runs/abc', () => now)
  const wait = (at: number, reason?: string): readonly string[] => {
    now = at
    const waiting = reason === undefined ? {} : { waiting: { part: 3, reason } }
    return notes({ type: 'wait', seconds: 1, isAnswered: true, ...waiting })
  }
  expect([wait(0), wait(10, 'PartitionConfig'), wait(39, 'PartitionConfig')]).toEqual([[], [], []])
  expect(wait(40, 'PartitionConfig')).toEqual([
    expect.stringMatching(/part 3 .*PartitionConfig.*smelt cancel \/runs\/abc/),
  ])
  expect([wait(41, 'PartitionConfig'), wait(90, 'PartitionConfig')]).toEqual([[], []])
})
