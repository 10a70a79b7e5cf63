import { afterEach, describe, expect, test, vi } from 'vitest'
import { atOnce, createTurns, inTurns, type Sliced } from '#src/base/slices.js'

afterEach(() => void vi.restoreAllMocks())

/** A clock that goes on by so many ms whenever work says so. */
const clock = (): { pass(ms: number): void } => {
  let now = 1000
  vi.spyOn(performance, 'now').mockImplementation(() => now)
  return {
    pass: (ms) => {
      now += ms
    },
  }
}

/** Counts the turns of the event loop until it is told to stop. */
const countTurns = (): { readonly count: () => number; stop(): void } => {
  let [count, going] = [0, true]
  const turn = (): void => {
    count += 1
    if (going) setImmediate(turn)
  }
  setImmediate(turn)
  return {
    count: () => count,
    stop: () => {
      going = false
    },
  }
}

function* steps(count: number, step: (i: number) => void = () => undefined): Sliced<number> {
  for (let i = 0; i < count; i++) {
    yield
    step(i)
  }
  return count
}

describe('sliced work', () => {
  test('comes to the same at once and in turns', async () => {
    expect(atOnce(steps(1000))).toBe(1000)
    expect(await inTurns(steps(1000))).toEqual({ value: 1000 })
  })

  test('lets others have their turn after a moment, and not before', async () => {
    const { pass } = clock()
    const turns = countTurns()
    await inTurns(steps(100, () => pass(10)))
    turns.stop()
    // 25 ms are three steps of 10 ms.
    expect(turns.count()).toBeGreaterThanOrEqual(32)
    expect(turns.count()).toBeLessThanOrEqual(36)
  })

  test('stops between two steps', async () => {
    const controller = new AbortController()
    const done: number[] = []
    expect(
      await inTurns(
        steps(10, (i) => {
          done.push(i)
          if (i === 3) controller.abort()
        }),
        controller.signal,
      ),
    ).toBeUndefined()
    expect(done).toEqual([0, 1, 2, 3])
  })
})

describe('turns', () => {
  test('do what comes alone at once', () => {
    const done: number[] = []
    createTurns().take(() => done.push(1))
    expect(done).toEqual([1])
  })

  test('put off what comes together and takes long, and keep its order', async () => {
    const { pass } = clock()
    const turns = createTurns()
    const done: number[] = []
    for (let i = 0; i < 9; i++)
      turns.take(() => {
        done.push(i)
        pass(10)
      })
    const seen = [done.length]
    while (done.length < 9) {
      await new Promise((resolve) => setImmediate(resolve))
      seen.push(done.length)
    }
    expect(done).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8])
    expect(seen).toEqual([3, 6, 9])
  })
})
