// Builds of what has been built before, and the reading that the lock asks for.
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readTable, writeCheckpoint, writeSparse } from './checkpoint.mjs'
import { measure, median } from './measure.mjs'
import { closePlace, openPlace } from './place.mjs'
import { MERGES, OUT } from './recipes.mjs'
import { buildCommand, cleanEnvironment, placeRecipe, WORKERS } from './smelt.mjs'

/** A lerp with a number for the whole model and one for a block of its own. */
const recipe = (folder, keep, block) => `smelt: 1
name: bench
models: { a: ${folder}/a.safetensors, b: ${folder}/b.safetensors }
steps:
  merged: { op: merge.blend, a: a, b: b, keep: { default: ${keep}, "block:in.4": ${block} } }
outputs:
  merged: { from: merged, path: ${OUT} }
`

const copyCommand = ['/bin/sh', '-c', `cp ${OUT} COPY && rm COPY`]
const readCommand = ['/bin/sh', '-c', `cat ../a.safetensors ../b.safetensors ${OUT} > /dev/null`]

/** A copy of the program that takes digests of almost nothing, to see what digests cost. Gives its main file. */
const withoutDigests = (program) => {
  const dist = dirname(dirname(program))
  const copy = fileURLToPath(new URL('.variant/', import.meta.url))
  rmSync(copy, { recursive: true, force: true })
  cpSync(dist, join(copy, 'dist'), { recursive: true })
  cpSync(join(dirname(dist), 'package.json'), join(copy, 'package.json'))
  const update = 'update: (bytes) => void hasher.update('
  for (const name of ['files.cjs', 'worker.js']) {
    const file = join(copy, 'dist/bin', name)
    const text = readFileSync(file, 'utf8')
    if (!text.includes(update)) throw new Error('the hasher is not written as this benchmark expects')
    // Pieces of tensors are large, and names and locks small.
    writeFileSync(file, text.replace(update, 'update: (bytes) => void (bytes.length > 65536) || hasher.update('))
  }
  return join(copy, 'dist/bin/smelt.js')
}

/** A linear merge with and without digests, in turns, each built as if for the first time. */
const measureDigests = async (folder, { program, runs, say }) => {
  const variants = { with: program, without: withoutDigests(program) }
  const work = join(folder, 'work')
  const path = placeRecipe(work, MERGES[0].write(folder))
  const figures = { with: [], without: [] }
  for (let round = 0; round < runs; round++) {
    for (const name of round % 2 === 0 ? ['with', 'without'] : ['without', 'with']) {
      for (const left of [OUT, 'recipe.lock.json', 'cache']) rmSync(join(work, left), { recursive: true, force: true })
      figures[name][round] = await measure(buildCommand(variants[name], path), {
        folder: work,
        env: { ...cleanEnvironment(work), SMELT_CACHE: join(work, 'cache') },
      })
      say(`digests · ${name} · ${figures[name][round].seconds.toFixed(2)} s`)
    }
  }
  rmSync(dirname(dirname(dirname(variants.without))), { recursive: true })
  const of = (name, key) => median(figures[name].map((f) => f[key] ?? NaN))
  return {
    title: 'a linear merge of two with digests, beside one without',
    target: 'at most 1.25 times',
    seconds: of('with', 'seconds'),
    processor: of('with', 'processor'),
    floor: of('without', 'seconds'),
    ratio: median(figures.with.map((f, i) => f.seconds / figures.without[i].seconds)),
  }
}

/** What is done to the recipe before each round, the command, and the command beside it that moves the same bytes. */
const CASES = {
  digests: { architecture: 'sd15', measure: measureDigests },
  unchanged: {
    title: 'nothing changed, two SD1.5-shaped models',
    architecture: 'sd15',
    floor: undefined,
    target: '1 s',
    change: () => undefined,
  },
  'unchanged-sdxl': {
    title: 'nothing changed, two SDXL-shaped models',
    architecture: 'sdxl',
    floor: undefined,
    target: '1 s',
    sparse: true,
    change: () => undefined,
  },
  block: {
    title: 'the number of one block changed: the rest is copied',
    architecture: 'sd15',
    floor: copyCommand,
    target: 'as a copy',
    change: (folder, round) => recipe(folder, 0.7, 0.1 + round / 100),
  },
  all: {
    title: 'every number changed, the same recipe',
    architecture: 'sd15',
    floor: undefined,
    target: undefined,
    change: (folder, round) => recipe(folder, 0.6 - round / 100, 0.5),
  },
  verify: {
    title: '`smelt verify` of two inputs and one output',
    architecture: 'sd15',
    floor: readCommand,
    target: '2 GB/s',
    command: 'verify',
    change: () => undefined,
  },
}

/** Measures the chosen cases; `rounds` of each after one build that is not counted. */
export const measureRebuilds = async ({ only, folder: parent, disk, program, runs, small, say }) => {
  const rows = []
  for (const [name, { title, architecture, floor, target, sparse, change, command, measure: own }] of Object.entries(
    CASES,
  )) {
    if ((only !== undefined && only !== name && only !== 'rebuilds') || (small && sparse)) continue
    const folder = openPlace(sparse ? disk : parent, sparse ? 8e9 : 10.7e9)
    try {
      const table = readTable(architecture, { shrink: small })
      for (const model of ['a', 'b'])
        (sparse ? writeSparse : writeCheckpoint)(join(folder, `${model}.safetensors`), table, model)
      if (own !== undefined) {
        rows.push({ name, ...(await own(folder, { program, runs, say })) })
        continue
      }
      const work = join(folder, 'work')
      const path = placeRecipe(work, recipe(folder, 0.7, 0.5))
      const where = { folder: work, env: { ...cleanEnvironment(work), SMELT_CACHE: join(work, 'cache') } }
      await measure(buildCommand(program, path), where)
      const figures = []
      for (let round = 0; round < runs; round++) {
        const beside = floor === undefined ? undefined : (await measure(floor, where)).seconds
        const text = change(folder, round)
        if (text !== undefined) writeFileSync(path, text)
        const run =
          command === undefined
            ? buildCommand(program, path)
            : [process.execPath, program, command, path, '--workers', String(WORKERS)]
        const { seconds, processor } = await measure(run, where)
        figures.push({ beside, seconds, processor })
        say(
          `${name} · ${seconds.toFixed(2)} s${beside === undefined ? '' : `, floor ${beside.toFixed(2)} s`}${processor === undefined ? '' : `, ${processor.toFixed(2)} s of processor time`}`,
        )
      }
      rows.push({
        name,
        title,
        target,
        seconds: median(figures.map((f) => f.seconds)),
        processor: median(figures.map((f) => f.processor ?? NaN)),
        floor: floor === undefined ? undefined : median(figures.map((f) => f.beside)),
        ratio: floor === undefined ? undefined : median(figures.map((f) => f.seconds / f.beside)),
      })
    } finally {
      closePlace(folder)
    }
  }
  return rows
}
