import { copyFileSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { build } from '#src/run/build.js'
import { inFolder, readTensors } from '../support/build-run.js'
import { inlineWorker } from '../support/inline-worker.js'
import { writeSafetensors } from '../support/write-safetensors.js'
import { ROOT } from './program.js'

const tensor = (shape: readonly number[], values: readonly number[]) => ({ dtype: 'F32', shape, values }) as const

/** A linear layer of two inputs, and the statistics that collect.py would write for it. */
const FILES = {
  'models/one/model': { 'layer.weight': tensor([1, 2], [1, 2]), 'layer.bias': tensor([1], [0]) },
  'models/two/model': { 'layer.weight': tensor([1, 2], [5, 6]), 'layer.bias': tensor([1], [8]) },
  'statistics/one/fisher': { 'layer.weight': tensor([1, 2], [1, 3]), 'layer.bias': tensor([1], [2]) },
  'statistics/two/fisher': { 'layer.weight': tensor([1, 2], [3, 1]), 'layer.bias': tensor([1], [2]) },
  'statistics/one/gram': { layer: tensor([2, 2], [3, 0, 0, 1]) },
  'statistics/two/gram': { layer: tensor([2, 2], [1, 0, 0, 3]) },
}

test('the recipe of the example merges models by statistics in the layout of its page', () =>
  inFolder(async (folder) => {
    for (const [name, tensors] of Object.entries(FILES)) {
      const path = join(folder, `${name}.safetensors`)
      mkdirSync(dirname(path), { recursive: true })
      writeSafetensors(path, tensors)
    }
    copyFileSync(join(ROOT, 'examples/statistics/recipe.yaml'), join(folder, 'recipe.yaml'))
    const built = await build(join(folder, 'recipe.yaml'), { workers: 1, start: inlineWorker })
    expect(built.diagnostics).toEqual([])
    const [fisher, regmean] = await Promise.all(
      ['fisher', 'regmean'].map((name) => readTensors(join(folder, `build/${name}/model.safetensors`))),
    )
    const close = (numbers: readonly number[]) => numbers.map((x) => expect.closeTo(x, 4) as number)
    expect(fisher!['layer.weight']!.values).toEqual(close([4, 3]))
    expect(regmean!['layer.weight']!.values).toEqual(close([2, 5]))
    for (const merged of [fisher, regmean]) expect(merged!['layer.bias']!.values).toEqual(close([4]))
  }))
