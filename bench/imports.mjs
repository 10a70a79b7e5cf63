// `npm run build && node bench/imports.mjs [workflow|grid] [--small]`: the import of a ComfyUI workflow of 500 nodes, and
// a grid of ten merges of two SD1.5-shaped models beside ten builds, which takes 26 GB of disk. Five runs of each, in turns.
import { rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readTable, writeCheckpoint } from './checkpoint.mjs'
import { measure, median } from './measure.mjs'
import { closePlace, openPlace } from './place.mjs'
import { buildCommand, cleanEnvironment, placeRecipe, PROGRAM } from './smelt.mjs'

const ROUNDS = 5
const words = process.argv.slice(2)
const isSmall = words.includes('--small')
const only = words.find((word) => !word.startsWith('--'))

const round = (x) => x.toFixed(2)
const said = (title, figures) => {
  const of = (key) => figures.map((f) => f[key] ?? NaN)
  const [seconds, processor] = [of('seconds'), of('processor')]
  process.stdout.write(
    `${title}: ${round(median(seconds))} s (${round(Math.min(...seconds))} to ${round(Math.max(...seconds))}), ${round(median(processor))} s of the processor (${round(Math.min(...processor))} to ${round(Math.max(...processor))})\n`,
  )
}

/** A workflow of `count` nodes: checkpoints that are merged one after the other, by a LoRA and a slider each. */
const workflow = (count) => {
  const nodes = {}
  const add = (class_type, inputs) => {
    const id = String(Object.keys(nodes).length + 1)
    nodes[id] = { class_type, inputs }
    return id
  }
  let last = add('CheckpointLoaderSimple', { ckpt_name: 'base.safetensors' })
  let [model, clip] = [
    [last, 0],
    [last, 1],
  ]
  const vae = [last, 2]
  for (let i = 0; Object.keys(nodes).length + 4 < count; i++) {
    last = add('CheckpointLoaderSimple', { ckpt_name: `tuned-${i}.safetensors` })
    const lora = { lora_name: `style-${i}.safetensors`, strength_model: 0.5, strength_clip: 0.25 }
    const styled = add('LoraLoader', { ...lora, model: [last, 0], clip: [last, 1] })
    model = [add('ModelMergeSimple', { ratio: 0.75, model1: model, model2: [styled, 0] }), 0]
    clip = [add('CLIPMergeSimple', { ratio: 0.5, clip1: clip, clip2: [styled, 1] }), 0]
  }
  while (Object.keys(nodes).length + 1 < count) add('Note', {})
  add('CheckpointSave', { filename_prefix: 'merged', model, clip, vae })
  return nodes
}

const measureWorkflow = async (folder) => {
  const figures = []
  const nodes = workflow(500)
  for (let i = 0; i < ROUNDS; i++) {
    const work = join(folder, 'work')
    placeRecipe(work, '')
    writeFileSync(join(work, 'flow.json'), JSON.stringify(nodes))
    const command = [process.execPath, PROGRAM, 'import', 'flow.json', '-o', 'imported.yaml']
    figures.push(await measure(command, { folder: work, env: cleanEnvironment(work) }))
    closePlace(work)
  }
  said(`import of a workflow of ${Object.keys(nodes).length} nodes`, figures)
}

const SHARES = Array.from({ length: 10 }, (_, i) => (i + 1) / 20)
const recipe = (folder) => `smelt: 1
params: { keep: 0.5 }
models: { a: ${join(folder, 'a.safetensors')}, b: ${join(folder, 'b.safetensors')}, base: ${join(folder, 'base.safetensors')} }
steps:
  delta: { op: merge.ties, base: base, models: [{ model: a, density: 0.3 }, { model: b, density: 0.3 }] }
  mixed: { op: merge.blend, a: base, b: delta, keep: $keep }
outputs: { mixed: { from: mixed, path: "mixed-\${keep}.safetensors" } }
`

/** Ten merges in one build, and in ten of which none knows of another. */
const measureGrid = async (folder) => {
  const table = readTable('sd15', { shrink: isSmall })
  for (const name of ['base', 'a', 'b']) writeCheckpoint(join(folder, `${name}.safetensors`), table, name)
  const [grids, tens] = [[], []]
  const build = async (set) => {
    const work = join(folder, 'work')
    const path = placeRecipe(work, recipe(folder))
    const taken = await measure([...buildCommand(PROGRAM, path), '--set', `keep=${set}`], {
      folder: work,
      env: cleanEnvironment(work),
    })
    rmSync(work, { recursive: true })
    return taken
  }
  for (let i = 0; i < ROUNDS; i++) {
    grids.push(await build(SHARES.join(',')))
    const each = []
    for (const share of SHARES) each.push(await build(share))
    const sum = (key) => each.reduce((total, one) => total + one[key], 0)
    tens.push({ seconds: sum('seconds'), processor: sum('processor') })
    said(`round ${i + 1}, a grid of ten`, grids.slice(-1))
    said(`round ${i + 1}, ten builds`, tens.slice(-1))
  }
  said('a grid of ten', grids)
  said('ten builds', tens)
  const share = (key) => median(grids.map((g, i) => g[key] / tens[i][key])) * 100
  process.stdout.write(
    `the grid takes ${share('seconds').toFixed(0)} % of the time and ${share('processor').toFixed(0)} % of the processor time of ten builds\n`,
  )
}

const folder = openPlace(tmpdir(), isSmall ? 2e9 : 30e9)
try {
  if (only !== 'grid') await measureWorkflow(folder)
  if (only !== 'workflow') await measureGrid(folder)
} finally {
  closePlace(folder)
}
