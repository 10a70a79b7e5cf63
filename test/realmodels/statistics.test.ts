import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { writeSafetensors } from '../support/write-safetensors.js'
import { buildMerges } from './build.js'
import { activationsOf, type Activations } from './layers.js'
import type { Steps } from './merges.js'
import { loadNetwork, readWeights, type Images, type Network, type Weights } from './network.js'
import { FOLDER, NETS, type Task } from './results.js'
import { fisherOf, gramsOf, type Statistics } from './statistics.js'

/** The statistics are of one half of the images, and the accuracies of the other. */
const [SEEN, UNSEEN]: readonly [Images, Images] = [
  [0, 300],
  [300, 600],
]
const SPECIALISTS = ['A', 'B', 'C'] as const
type Specialist = (typeof SPECIALISTS)[number]
const [TWO, THREE]: readonly (readonly Specialist[])[] = [['A', 'B'], SPECIALISTS]

type Method = 'regmean' | 'fisher'

/** A specialist, and its statistics for each method. */
interface Model {
  readonly weights: Weights
  readonly activations: Activations
  readonly statistics: Readonly<Record<Method, Statistics>>
}

const mergeOf = (method: Method, models: readonly Specialist[]): Steps => ({
  merge: {
    op: `merge.${method}`,
    models: models.map((model) => ({ model, statistics: `${method}_${model}` })),
  },
})
const averageOf = (models: readonly Specialist[]): Steps => ({ merge: { op: 'merge.linear', models } })

/** What RegMean keeps small: the squares by which the outputs of a layer differ from those of a model, tr(ΔGΔᵀ). */
const movedOutputs = (merged: Weights, { weights, statistics }: Model, layer: string): number => {
  const [to, from] = [merged, weights].map((w) => w.get(`${layer}.weight`)!.numbers) as [Float32Array, Float32Array]
  const { shape, values } = statistics.regmean[layer]!
  const [gram, inputs] = [values as readonly number[], shape[0]!]
  const delta = to.map((x, i) => x - from[i]!)
  let sum = 0
  for (let row = 0; row < delta.length; row += inputs)
    for (let i = 0; i < inputs; i++) {
      let along = 0
      for (let j = 0; j < inputs; j++) along += gram[i * inputs + j]! * delta[row + j]!
      sum += delta[row + i]! * along
    }
  return sum
}

describe.each(NETS)('%s', (net) => {
  const folder = mkdtempSync(join(tmpdir(), 'smelt-statistics-'))
  const methods: readonly Method[] = net === 'mlp' ? ['regmean', 'fisher'] : ['regmean']
  let network: Network
  let models: readonly Model[]
  let merged: Readonly<Record<string, Weights>>
  beforeAll(async () => {
    network = await loadNetwork(net)
    models = await Promise.all(
      SPECIALISTS.map(async (name) => {
        const weights = await readWeights(join(FOLDER, net, `${name}.safetensors`))
        const activations = await activationsOf(net, weights, name, SEEN)
        const fisher = methods.includes('fisher') ? fisherOf(weights, activations) : {}
        return { weights, activations, statistics: { regmean: gramsOf(activations), fisher } }
      }),
    )
    const files: Record<string, string> = {}
    for (const [i, { statistics }] of models.entries())
      for (const method of methods) {
        const name = `${method}_${SPECIALISTS[i]!}`
        files[name] = join(folder, `${name}.safetensors`)
        writeSafetensors(files[name], statistics[method])
      }
    merged = await buildMerges(
      net,
      Object.fromEntries(
        [TWO!, THREE!].flatMap((all) => [
          [`average ${all.length}`, averageOf(all)] as const,
          ...methods.map((method) => [`${method} ${all.length}`, mergeOf(method, all)] as const),
        ]),
      ),
      files,
    )
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  /** Points of accuracy, on unseen images, that a merge has over the average of the same models. */
  const gains = async (method: Method, tasks: readonly Task[]): Promise<number[]> => {
    const points: number[] = []
    for (const task of tasks) {
      const [found, average] = [
        await network.accuracy(merged[`${method} ${tasks.length}`]!, task, UNSEEN),
        await network.accuracy(merged[`average ${tasks.length}`]!, task, UNSEEN),
      ]
      points.push(100 * (found - average))
    }
    return points
  }

  test.each(methods)('merge.%s of two specialists reads unseen images of both better than their average', async (m) => {
    // Measured: RegMean gains 3 to 8 points, Fisher merging 3 and 7.
    for (const points of await gains(m, TWO!)) expect(points).toBeGreaterThan(2)
  })

  test.each(methods)('merge.%s of three specialists gains on the average, taken over their tasks', async (m) => {
    // Measured: RegMean 4.5 to 5.7 points, Fisher merging 1.4.
    const mean = (await gains(m, THREE!)).reduce((x, y) => x + y) / 3
    expect(mean).toBeGreaterThan(m === 'fisher' ? 0.5 : 3)
  })

  test('merge.regmean of two moves the outputs of every layer less than their average or either of them', () => {
    const two = models.slice(0, 2)
    for (const { layer } of models[0]!.activations.layers) {
      const moved = (merge: Weights): number => two.reduce((sum, model) => sum + movedOutputs(merge, model, layer), 0)
      for (const other of [merged['average 2']!, ...two.map(({ weights }) => weights)])
        expect(moved(merged['regmean 2']!)).toBeLessThan(moved(other))
    }
  })

  test.runIf(net === 'mlp')('merge.regmean averages the weights of pixels that are blank in every image', () => {
    const { layer, inputs } = models[0]!.activations.layers[0]!
    const sums = models.slice(0, 2).map(({ statistics }) => statistics.regmean[layer]!.values as readonly number[])
    const blank = Array.from({ length: inputs }, (_, i) => i).filter((i) =>
      sums.every((g) => g[i * (inputs + 1)] === 0),
    )
    expect(blank.length).toBeGreaterThan(0)
    const [found, average] = ['regmean 2', 'average 2'].map((name) => merged[name]!.get(`${layer}.weight`)!.numbers)
    for (const pixel of blank)
      for (let at = pixel; at < found!.length; at += inputs) expect(found![at]).toBeCloseTo(average![at]!, 6)
  })
})

test('the Fisher information of the tests is what differences of the log-likelihood give', async () => {
  const weights = await readWeights(join(FOLDER, 'mlp', 'A.safetensors'))
  const network = await loadNetwork('mlp')
  const images: Images = [0, 3]
  const activations = await activationsOf('mlp', weights, 'A', images)
  const fisher = fisherOf(weights, activations)
  const likelihoods = async (name: string, at: number, step: number): Promise<number[][]> => {
    const { shape, numbers } = weights.get(name)!
    const moved = numbers.with(at, numbers[at]! + step)
    const rows = await network.logits(new Map([...weights, [name, { shape, numbers: moved }]]), 'A', images)
    return rows.map((row) => row.map((x) => x - Math.log(row.reduce((sum, y) => sum + Math.exp(y), 0))))
  }
  const step = 1 / 256
  for (const [name, { numbers }] of weights) {
    const values = fisher[name]!.values as readonly number[]
    // The greatest one, for differences that rounding does not blur.
    const at = values.indexOf(values.reduce((x, y) => Math.max(x, y)))
    const [here, up, down] = [
      await likelihoods(name, at, 0),
      await likelihoods(name, at, step),
      await likelihoods(name, at, -step),
    ]
    const expected = here.flatMap((row, image) =>
      row.map((log, label) => Math.exp(log) * ((up[image]![label]! - down[image]![label]!) / (2 * step)) ** 2),
    )
    const mean = expected.reduce((x, y) => x + y) / images[1]
    expect(numbers).toHaveLength(values.length)
    expect(Math.abs(values[at]! / mean - 1)).toBeLessThan(0.01)
  }
})
