import { expect, test } from 'vitest'
import { PATIENCE } from '#src/cluster/decide.js'
import { simulate } from './simulator.js'

/** As many as fit into a few minutes; a thousand take half an hour on a core. */
const RUNS = Number(process.env['SMELT_SIMULATED_RUNS'] ?? 120)

test(`${RUNS} runs of 10,000 parts lose no part, double none, and commit once`, { timeout: 7_200_000 }, async () => {
  for (let seed = 1; seed <= RUNS; seed++) {
    const { commits, lost, doubled, heap } = await simulate({
      seed,
      stages: [
        { first: 0, parts: 2000 },
        { first: 2000, parts: 8000 },
      ],
      slots: 500,
      failing: 0.01,
      held: 0.01,
      lagging: 0.1,
      killed: 0.01,
      down: 0.02,
      patience: { ...PATIENCE, pause: 30 },
    })
    expect({ seed, commits, lost, doubled }).toEqual({ seed, commits: 1, lost: 0, doubled: 0 })
    expect(heap).toBeLessThan(200e6)
  }
})
