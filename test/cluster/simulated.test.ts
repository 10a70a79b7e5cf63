import { expect, test } from 'vitest'
import { PATIENCE } from '#src/cluster/decide.js'
import { simulate, type Aftermath, type Weather } from './simulator.js'

const STORM = {
  failing: 0.01,
  held: 0.01,
  lagging: 0.1,
  killed: 0.01,
  down: 0.02,
  slots: 8,
  patience: { ...PATIENCE, pause: 10 },
}

const run = (seed: number, parts: number, more: Partial<Weather> = {}): Promise<Aftermath> =>
  simulate({
    ...STORM,
    seed,
    stages: [
      { first: 0, parts: Math.ceil(parts / 5) },
      { first: Math.ceil(parts / 5), parts: parts - Math.ceil(parts / 5) },
    ],
    ...more,
  })

test('1,000 runs in bad weather lose no part, double none, and commit once', async () => {
  const all: Aftermath[] = []
  for (let seed = 1; seed <= 1000; seed++) all.push(await run(seed, 30))
  expect(all.filter((each) => each.commits !== 1 || each.lost > 0 || each.doubled > 0)).toEqual([])
  // The weather was bad: everything that can go wrong did.
  const sum = (of: (each: Aftermath) => number): number => all.reduce((total, each) => total + of(each), 0)
  expect(sum(({ killed }) => killed)).toBeGreaterThan(100)
  expect(sum(({ attempts }) => attempts)).toBeGreaterThan(30_500)
  expect(sum(({ actions }) => actions['requeue'] ?? 0)).toBeGreaterThan(50)
  expect(sum(({ actions }) => actions['look'] ?? 0)).toBeGreaterThan(100)
  expect(sum(({ actions }) => actions['release'] ?? 0)).toBeGreaterThan(100)
})

test('10,000 parts are driven in less than 200 MB', async () => {
  const { commits, lost, doubled, heap } = await run(1, 10_000, { slots: 500 })
  expect({ commits, lost, doubled }).toEqual({ commits: 1, lost: 0, doubled: 0 })
  expect(heap).toBeLessThan(200e6)
})

test('in good weather each part is begun once, and the driver does nothing in vain', async () => {
  const { attempts, actions } = await run(1, 50, { failing: 0, held: 0, lagging: 0, killed: 0, down: 0 })
  expect(attempts).toBe(50)
  expect(actions).toMatchObject({ submit: 2, commit: 1, stop: 1 })
  expect(actions['requeue'] ?? actions['look']).toBeUndefined()
})
