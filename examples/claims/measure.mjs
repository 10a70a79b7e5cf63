import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, renderDiagnostics } from 'smelt'
import { accuracy, loadNetwork, readTask, readTensors } from '../quickstart/evaluate.mjs'

const MODELS = fileURLToPath(new URL('../../test/data/realmodels/', import.meta.url))

/** The networks whose claims are tested, each trained on handwritten digits. */
export const NETS = ['mlp', 'conv', 'transformer']

/** Opens a network, to measure files of its weights: `percent(path, task)` of a task's 600 test images are read. */
const openNet = async (net) => {
  const network = await loadNetwork(join(MODELS, net, 'forward.onnx'))
  const testsets = await readTensors(join(MODELS, 'testsets.safetensors'))
  return async (path, task) => 100 * (await accuracy(network, await readTensors(path), readTask(testsets, task)))
}

/**
 * Builds a recipe of this folder for every combination of the values of its params, and measures what comes out. `use`
 * gets two functions: `merged(name, task)` for a file that the recipe wrote to `build/`, `trained(name, task)` for one of
 * the files that came with the network.
 */
export const measure = async (recipe, net, params, use) => {
  const out = await mkdtemp(join(tmpdir(), 'smelt-claims-'))
  try {
    const set = Object.fromEntries(Object.entries({ net, ...params }).map(([name, values]) => [name, String(values)]))
    const path = fileURLToPath(new URL(recipe, import.meta.url))
    const built = await build(path, { set, out, lock: false })
    if (built.type === 'failed') throw new Error(renderDiagnostics(built.diagnostics, { color: false }))
    const percent = await openNet(net)
    return await use({
      merged: (name, task) => percent(join(out, 'build', `${name}.safetensors`), task),
      trained: (name, task) => percent(join(MODELS, net, `${name}.safetensors`), task),
    })
  } finally {
    await rm(out, { recursive: true, force: true })
  }
}

/** The mean of some numbers. */
export const mean = (numbers) => numbers.reduce((a, b) => a + b, 0) / numbers.length

/** One line of a table: a title, and cells that end where those of the other lines do. */
export const line = (title, cells) => title.padEnd(28) + cells.map((cell) => cell.padStart(13)).join('')

/** The specialists, and what each reads: rotated, mirrored and noisy digits. */
export const LETTERS = ['A', 'B', 'C']

/** One accuracy for each of the specialists' tasks, and their mean. */
export const row = async (accuracyOf) => {
  const found = []
  for (const letter of LETTERS) found.push(await accuracyOf(letter))
  return [...found, mean(found)]
}

/** Prints one line of a table of accuracies. */
export const print = (title, cells) =>
  console.log(
    line(
      title,
      cells.map((cell) => cell.toFixed(1)),
    ),
  )

/** Prints what stands above the accuracies of one network. */
export const printHead = (net) => console.log(`\n${line(net, [...LETTERS, 'mean'])}`)
