import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { buildMerges } from './build.js'
import { randomWaysOf, seeded, type Steps } from './merges.js'
import { loadNetwork, readWeights, type Network, type Weights } from './network.js'
import { FOLDER, NETS, results, type Bound } from './results.js'

const SEEDS = [1, 2, 3, 4, 5]

const holds = (found: number, { op }: Bound, limit: number): void =>
  op === '>=' ? expect(found).toBeGreaterThanOrEqual(limit) : expect(found).toBeLessThanOrEqual(limit)

test.each(NETS)('every random claim of %s is built', (net) => {
  expect(results.nets[net].claims.filter((c) => c.kind === 'random' && randomWaysOf(c.id) === undefined)).toEqual([])
})

/** How the parameters of one model end: what two deltas left of them, by the four sums they may have come to. */
const outcomes = (base: Weights, a: Weights, b: Weights, merged: Weights): readonly number[] => {
  const counts = [0, 0, 0, 0]
  for (const [name, { numbers }] of merged) {
    const [x, y, z] = [base, a, b].map((w) => w.get(name)!.numbers) as [Float32Array, Float32Array, Float32Array]
    numbers.forEach((value, i) => {
      const [da, db] = [2 * (y[i]! - x[i]!), 2 * (z[i]! - x[i]!)]
      const far = [0, da, db, da + db].map((d) => Math.abs(value - x[i]! - d))
      // Deltas that nearly cancel or vanish tell nothing.
      if (Math.min(Math.abs(da), Math.abs(db), Math.abs(da + db), Math.abs(da - db)) < 1e-5) return
      counts[far.indexOf(Math.min(...far))]!++
    })
  }
  return counts
}

/** Calls `see` for every parameter with its numbers in several models. */
const forEachParameter = (models: readonly Weights[], see: (...numbers: number[]) => void): number => {
  let count = 0
  for (const [name, { numbers }] of models[0]!) {
    const all = models.map((m) => m.get(name)!.numbers)
    for (let i = 0; i < numbers.length; i++, count++) see(...all.map((x) => x[i]!))
  }
  return count
}

describe.each(NETS)('%s', (net) => {
  const { claims } = results.nets[net]
  const random = claims
    .filter((c) => c.kind === 'random')
    .flatMap((claim) => Object.entries(randomWaysOf(claim.id) ?? {}).map(([way, steps]) => ({ ...claim, way, steps })))
  let network: Network
  let merged: Readonly<Record<string, Weights>>
  let [base, a, b]: Weights[] = []
  beforeAll(async () => {
    network = await loadNetwork(net)
    const half = [
      { model: 'A', density: 0.5 },
      { model: 'B', density: 0.5 },
    ]
    merged = await buildMerges(
      net,
      Object.fromEntries([
        ...random.flatMap(({ id, way, steps }) =>
          SEEDS.map((seed): readonly [string, Steps] => [`${id} ${way} ${seed}`, seeded(steps, seed)]),
        ),
        ['linear', { merge: { op: 'merge.dare_linear', base: 'base', models: half } }],
      ]),
    )
    ;[base, a, b] = await Promise.all(
      ['base', 'A', 'B'].map((name) => readWeights(join(FOLDER, net, `${name}.safetensors`))),
    )
  })

  test.each(random)('$id by $way: every run and the mean of five', async ({ id, way, assert }) => {
    for (const bound of assert) {
      const runs: number[] = []
      for (const seed of SEEDS) runs.push(await network.accuracy(merged[`${id} ${way} ${seed}`]!, bound.task))
      for (const found of runs) holds(found, bound, bound.one_run)
      holds(runs.reduce((x, y) => x + y) / runs.length, bound, bound.mean_of_5_runs)
    }
  })

  test.each(random)('$id by $way leaves the share of parameters that it should', ({ id, way }) => {
    const drop = Number(/drop([\d.]+)/.exec(id)![1])
    const trained = /_one_A/.test(id) ? [a!] : /_one_B/.test(id) ? [b!] : [a!, b!]
    let [expected, found] = [0, 0]
    const total = forEachParameter([merged[`${id} ${way} 1`]!, base!, ...trained], (y, x, ...ys) => {
      // A parameter that training left alone is never changed; of the others, one that every draw drops.
      expected += drop ** ys.filter((z) => z !== x).length
      found += Number(y === x)
    })
    expect(Math.abs(found - expected) / total).toBeLessThan(5 * Math.sqrt(0.25 / total))
  })

  test('two models of one step are dropped independently of each other', () => {
    const counts = outcomes(base!, a!, b!, merged['linear']!)
    const total = counts.reduce((x, y) => x + y)
    expect(total).toBeGreaterThan(10_000)
    for (const count of counts) expect(Math.abs(count / total - 0.25)).toBeLessThan(5 * Math.sqrt(0.1875 / total))
  })

  test('runs of different seeds drop different parameters', () => {
    const [first, second] = [1, 2].map((seed) => merged[`dare_one_A_drop0.9_rescaled dare ${seed}`]!)
    let [both, trained] = [0, 0]
    forEachParameter([first!, second!, base!, a!], (y, z, x, own) => {
      trained += Number(own !== x)
      both += Number(y !== x && z !== x)
    })
    expect(Math.abs(both / trained - 0.01)).toBeLessThan(5 * Math.sqrt(0.01 / trained))
  })
})
