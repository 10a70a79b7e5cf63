import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { buildMerges } from './build.js'
import { randomWaysOf, seeded } from './merges.js'
import { loadNetwork, readWeights, type Network, type Weights } from './network.js'
import { FOLDER, NETS, results, type Net, type Task } from './results.js'

const SEEDS = [1, 2]

/** Float order moves an image or two of 600. */
const HALF_A_POINT = 0.005 + 1e-9

/** How far the mean of some runs may be from that of the 20 measured ones, whose standard deviation is `sd`. */
const marginOf = (sd: number): number => 4 * sd * Math.sqrt(1 / SEEDS.length + 1 / 20) + HALF_A_POINT

/** A merge by random numbers, as 20 seeds of another program did it. */
interface Case {
  readonly id: string
  readonly tasks: readonly Task[]
  readonly mean: readonly number[]
  readonly sd: readonly number[]
}

const casesOf = (net: Net): readonly Case[] => {
  const { random_merges_20_seeds: merges, dare_one_model_20_seeds: singles } = results.nets[net]
  return [
    ...Object.entries(merges).map(([id, spread]) => ({ id, ...spread })),
    ...Object.entries(singles).flatMap(([id, measured]) =>
      (['rescaled', 'not_rescaled'] as const).map((kind) => ({
        id: `dare_one_${id}_${kind}`,
        tasks: [id[0] as Task],
        mean: [measured[kind].mean],
        sd: [measured[kind].sd],
      })),
    ),
  ]
}

test.each(NETS)('every random merge of %s that was measured is built', (net) => {
  expect(casesOf(net).filter(({ id }) => randomWaysOf(id) === undefined)).toEqual([])
})

describe.each(NETS)('%s', (net) => {
  const cases = casesOf(net)
  let network: Network
  let merged: Readonly<Record<string, Weights>>
  beforeAll(async () => {
    network = await loadNetwork(net)
    merged = await buildMerges(
      net,
      Object.fromEntries(
        cases.flatMap(({ id }) =>
          SEEDS.map((seed) => [`${id} ${seed}`, seeded(Object.values(randomWaysOf(id)!).at(-1)!, seed)] as const),
        ),
      ),
    )
  })

  test.each(cases)('$id has the accuracy that was measured', async ({ id, tasks, mean, sd }) => {
    for (const [i, task] of tasks.entries()) {
      let sum = 0
      for (const seed of SEEDS) sum += await network.accuracy(merged[`${id} ${seed}`]!, task)
      expect(Math.abs(sum / SEEDS.length - mean[i]!), task).toBeLessThan(marginOf(sd[i]!))
    }
  })

  const { accuracy, accuracy_fp16_files: half } = results.nets[net]
  const files = [
    ...Object.entries(accuracy).map(([name, measured]) => ({ file: `${name}.safetensors`, measured })),
    ...Object.entries(half).map(([name, measured]) => ({ file: `fp16/${name}.safetensors`, measured })),
  ].filter(({ file }) => existsSync(join(FOLDER, net, file)))

  test.each(files)('$file has the accuracy that was measured', async ({ file, measured }) => {
    const weights = await readWeights(join(FOLDER, net, file))
    for (const [task, share] of Object.entries(measured))
      expect(Math.abs((await network.accuracy(weights, task as Task)) - share), task).toBeLessThan(HALF_A_POINT)
  })
})
