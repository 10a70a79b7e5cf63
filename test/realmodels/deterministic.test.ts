import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { buildMerges } from './build.js'
import { waysOf, type Steps } from './merges.js'
import { loadNetwork, readWeights, type Network, type Weights } from './network.js'
import { FOLDER, NETS, results, type Task } from './results.js'

/** Float order moves an image or two of 600. */
const HALF_A_POINT = 0.005 + 1e-9

const sums = (weights: Weights): { readonly sum: number; readonly squares: number } => {
  let [sum, squares] = [0, 0]
  for (const { numbers } of weights.values()) for (const x of numbers) [sum, squares] = [sum + x, squares + x * x]
  return { sum, squares }
}

test.each(NETS)('every measured merge of %s is built', (net) => {
  const { deterministic_merges: measured, claims } = results.nets[net]
  const ids = [
    ...Object.keys(measured),
    ...claims.filter((c) => c.kind === 'deterministic' && c.id !== 'specialists').map((c) => c.id),
  ]
  expect(ids.filter((id) => waysOf(id, measured[id]?.recipe ?? '') === undefined)).toEqual([])
})

describe.each(NETS)('%s', (net) => {
  const { deterministic_merges: measured, claims, best_single_model_on_worse_of_A_B: best } = results.nets[net]
  const cases = Object.entries(measured).flatMap(([id, { recipe }]) =>
    Object.entries(waysOf(id, recipe) ?? {}).map(([way, steps]) => ({ id, way, steps, name: `${id} ${way}` })),
  )
  const recipes = Object.fromEntries(cases.map(({ name, steps }): readonly [string, Steps] => [name, steps]))
  let network: Network
  let merged: Readonly<Record<string, Weights>>
  beforeAll(async () => {
    network = await loadNetwork(net)
    merged = await buildMerges(net, recipes)
  })

  test.each(cases)('$id by $way has the measured sums', ({ id, name }) => {
    const { sum, squares } = sums(merged[name]!)
    expect(Math.abs(sum - measured[id]!.sum)).toBeLessThan(1e-4)
    expect(Math.abs(squares - measured[id]!.sum_sq)).toBeLessThan(1e-4)
  })

  test.each(cases)('$id by $way answers as measured', async ({ id, name }) => {
    const { accuracy, logits_first_2_of_A: logits } = measured[id]!
    const tasks: readonly Task[] = /ABC/.test(id)
      ? ['A', 'B', 'C']
      : id.startsWith('lora_D')
        ? ['A', 'B', 'D']
        : ['A', 'B']
    for (const task of tasks)
      expect(Math.abs((await network.accuracy(merged[name]!, task)) - accuracy[task])).toBeLessThanOrEqual(HALF_A_POINT)
    const found = await network.logits(merged[name]!, 'A', [0, 2])
    found.flat().forEach((x, i) => expect(Math.abs(x - logits.flat()[i]!)).toBeLessThan(5e-4))
  })

  const claimed = claims.filter((c) => c.kind === 'deterministic')
  test.each(claimed)('the claim $id holds', async ({ id, assert }) => {
    for (const { model, task, op, value } of assert) {
      const weights =
        model === undefined
          ? merged[cases.find((c) => c.id === id)!.name]!
          : await readWeights(join(FOLDER, net, `${model}.safetensors`))
      const found = await network.accuracy(weights, task)
      if (op === '>=') expect(found).toBeGreaterThanOrEqual(value)
      else expect(found).toBeLessThanOrEqual(value)
    }
  })

  test('a merge does on both tasks what no single file does', async () => {
    const average = merged['average_AB linear']!
    expect(Math.min(await network.accuracy(average, 'A'), await network.accuracy(average, 'B'))).toBeGreaterThan(best)
  })
})
