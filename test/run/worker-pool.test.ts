import { noTime } from '#src/run/stopwatch.js'
import { expect, test } from 'vitest'
import { entry } from '#src/base/catalogue/entry.js'
import { runPool, type WorkerHandle, type TaskSource } from '#src/run/worker-pool.js'
import type { UnitOrder, UnitResult } from '#src/run/unit.js'
import type { WorkerAnswer, WorkerTask } from '#src/run/worker.js'

/** A worker that does nothing by itself: the test answers for it. */
const puppet = () => {
  const tasks: WorkerTask[] = []
  const answers: ((answer: WorkerAnswer) => void)[] = []
  const exits: ((reason: string | undefined) => void)[] = []
  const handle: WorkerHandle = {
    send: (task) => void tasks.push(task),
    onAnswer: (l) => void answers.push(l),
    onExit: (l) => void exits.push(l),
  }
  let answered = 0
  return {
    handle,
    tasks,
    /** Ids of the units of each task, `end` where it was told that there is no more. */
    told: () => tasks.map((task) => (task === undefined ? 'end' : task.map((u) => u.id).join())),
    finish: () => {
      const results = tasks[answered++]!.map(({ id }): UnitResult => ({
        id,
        found: [],
        readDigests: [],
        writeDigests: [],
        bytesRead: 0,
        bytesWritten: 0,
        spent: noTime(),
      }))
      answers.forEach((l) => l({ type: 'done', results }))
    },
    fail: (code: string) => answers.forEach((l) => l({ type: 'failed', diagnostics: [entry(code, code)] })),
    exit: (reason?: string) => exits.forEach((l) => l(reason)),
  }
}

const unit = (id: number, elements = 1 << 20): UnitOrder => ({
  type: 'compute',
  id,
  program: 0,
  start: 0,
  end: elements,
  reads: [],
  draws: [],
  uniforms: [],
  needsLength: false,
  takes: [],
  writes: [],
})

const sourceOf = (units: readonly UnitOrder[]) => {
  const left = [...units]
  const finished: string[] = []
  const source: TaskSource = {
    next: () => left.shift(),
    left: 0,
    finish: (worker, results) => {
      finished.push(...results.map((r) => `${r.id} by ${worker}`))
      return undefined
    },
  }
  return { source, finished }
}

test('work is handed out evenly, two tasks ahead, and the next when one is done', async () => {
  const [first, second] = [puppet(), puppet()]
  const { source, finished } = sourceOf(Array.from({ length: 6 }, (_, i) => unit(i)))
  const done = runPool([first.handle, second.handle], source, () => undefined)
  expect([first.told(), second.told()]).toEqual([
    ['0', '2'],
    ['1', '3'],
  ])
  second.finish()
  expect([first.told(), second.told()]).toEqual([
    ['0', '2'],
    ['1', '3', '4'],
  ])
  second.finish()
  second.finish()
  second.finish()
  expect([first.told(), second.told()]).toEqual([
    ['0', '2'],
    ['1', '3', '4', '5'],
  ])
  first.finish()
  first.finish()
  expect([first.told().at(-1), second.told().at(-1)]).toEqual(['end', 'end'])
  first.exit()
  second.exit()
  expect((await done).type).toBe('ok')
  expect(finished).toEqual(['1 by 1', '3 by 1', '4 by 1', '5 by 1', '0 by 0', '2 by 0'])
})

test('small units are put together into one task, up to 64 of them', () => {
  const handle = puppet()
  void runPool([handle.handle], sourceOf(Array.from({ length: 100 }, (_, i) => unit(i, 10))).source, () => undefined)
  expect(handle.tasks.map((task) => task!.length)).toEqual([64, 36])
})

test('large tensors go out in units of several segments, of fewer when less is left', () => {
  const handles = [puppet(), puppet()]
  const asked: number[] = []
  let left = 100 << 20
  const source: TaskSource = {
    next: (most) => {
      if (left <= 0) return undefined
      asked.push(most)
      left -= most << 20
      return unit(asked.length, most << 20)
    },
    get left() {
      return left
    },
    finish: () => undefined,
  }
  void runPool(
    handles.map((h) => h.handle),
    source,
    () => undefined,
  )
  for (let i = 0; handles[i % 2]!.tasks.at(-1) !== undefined; i++) handles[i % 2]!.finish()
  // First of all, every worker gets little, so that none waits for long.
  expect(asked.splice(0, 2)).toEqual([1, 1])
  expect(asked[0]).toBe(8)
  expect(asked.at(-1)).toBe(1)
  expect(asked).toEqual(asked.toSorted((x, y) => y - x))
})

test('a handle that had nothing to do gets work as soon as another’s results free some', () => {
  const [first, second] = [puppet(), puppet()]
  const waiting: UnitOrder[] = []
  const units = [unit(0)]
  void runPool(
    [first.handle, second.handle],
    {
      next: () => units.shift(),
      left: 0,
      finish: () => {
        units.push(...waiting.splice(0))
        return undefined
      },
    },
    () => undefined,
  )
  expect([first.told(), second.told()]).toEqual([['0'], []])
  waiting.push(unit(1), unit(2))
  first.finish()
  expect([first.told(), second.told()]).toEqual([['0', '1'], ['2']])
})

test('the first failure stops everything once and is the only one told', async () => {
  const [first, second] = [puppet(), puppet()]
  let stops = 0
  const { source } = sourceOf(Array.from({ length: 8 }, (_, i) => unit(i)))
  const done = runPool([first.handle, second.handle], source, () => stops++)
  first.fail('cause')
  second.fail('stopped')
  first.fail('stopped')
  expect([first.told(), second.told()]).toEqual([
    ['0', '2', 'end'],
    ['1', '3', 'end'],
  ])
  first.exit()
  second.exit()
  const result = await done
  expect(result.diagnostics.map((d) => d.code)).toEqual(['cause'])
  expect(result.type).toBe('failed')
  expect(stops).toBeGreaterThan(0)
})

test('answers that come after a failure do no harm', async () => {
  const [first, second] = [puppet(), puppet()]
  const { source, finished } = sourceOf(Array.from({ length: 8 }, (_, i) => unit(i)))
  const done = runPool([first.handle, second.handle], source, () => undefined)
  first.fail('cause')
  second.finish()
  second.finish()
  expect(second.told()).toEqual(['1', '3', 'end'])
  second.exit()
  first.exit()
  expect((await done).diagnostics.map((d) => d.code)).toEqual(['cause'])
  expect(finished).toEqual(['1 by 1', '3 by 1'])
})

test('a problem with a result ends the work like a failure of the handle', async () => {
  const handle = puppet()
  const done = runPool(
    [handle.handle],
    {
      next: (() => {
        const left = [unit(0)]
        return () => left.shift()
      })(),
      left: 0,
      finish: () => entry('unordered', 'NaN'),
    },
    () => undefined,
  )
  handle.finish()
  handle.exit()
  expect((await done).diagnostics.map((d) => d.code)).toEqual(['unordered'])
})

test.each([
  ['out of memory', /out of memory/],
  [undefined, /no reason given/],
])('a handle that ends before its work is done fails the run: %s', async (reason, message) => {
  const [first, second] = [puppet(), puppet()]
  const done = runPool([first.handle, second.handle], sourceOf([unit(0), unit(1), unit(2)]).source, () => undefined)
  second.exit(reason)
  expect(first.told().at(-1)).toBe('end')
  first.exit()
  const { diagnostics } = await done
  expect(diagnostics).toMatchObject([{ code: 'worker-lost', blame: 'run' }])
  expect(diagnostics[0]!.message).toMatch(message)
  expect(diagnostics[0]!.message).toContain('worker 1')
})

test('with nothing to do, all handles are told to end', async () => {
  const handle = puppet()
  const done = runPool([handle.handle], sourceOf([]).source, () => undefined)
  expect(handle.told()).toEqual(['end'])
  handle.exit()
  expect((await done).type).toBe('ok')
})
