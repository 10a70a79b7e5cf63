// What a person waits for before anything is computed.
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { readTable, writeSparse } from './checkpoint.mjs'
import { measure, measureUntil, median } from './measure.mjs'
import { closePlace, openPlace } from './place.mjs'
import { fullRecipe, longRecipe, MERGES, partsOf, partsRecipe } from './recipes.mjs'
import { buildCommand, cleanEnvironment, placeRecipe } from './smelt.mjs'

/** Room for a header; a temporary that takes more has been given data. */
const HEADER_ROOM = 1 << 20

const hasData = (work) =>
  readdirSync(work).some((name) => {
    const found = name.endsWith('.partial') ? statSync(join(work, name), { throwIfNoEntry: false }) : undefined
    return found !== undefined && found.blocks * 512 > HEADER_ROOM
  })

const timeCommand = (name) => (program, path, where) => measure([process.execPath, program, name, path], where)

/** The cases: the architecture whose (empty) files they read, the recipe and the parts it uses, and what is timed. */
const CASES = {
  help: {
    title: '`smelt --help`',
    architecture: 'sd15',
    target: 0.1,
    recipe: fullRecipe,
    time: (program, _path, where) => measure([process.execPath, program, '--help'], where),
  },
  start: {
    title: '`smelt build` of two SD1.5-shaped models, from the command to the first bytes of the output',
    architecture: 'sd15',
    target: 0.4,
    recipe: (folder) => MERGES[0].write(folder),
    time: (program, path, where) => measureUntil(buildCommand(program, path), () => hasData(where.folder), where),
  },
  check: {
    title: '`smelt check` of a recipe of 500 lines: 13 merges with masks and 24 block numbers each',
    architecture: 'sd15',
    target: 0.4,
    recipe: (folder) => longRecipe(folder, 24),
    time: timeCommand('check'),
  },
  chain: {
    title: '`smelt check` of a recipe of 500 lines: 31 merges with masks and 3 block numbers each',
    architecture: 'sd15',
    target: 0.4,
    recipe: (folder) => longRecipe(folder, 3),
    time: timeCommand('check'),
  },
  parts: {
    title: '`smelt check` of a recipe of 20 parts, each in a file of its own with 24 block numbers',
    architecture: 'sd15',
    target: 0.5,
    recipe: partsRecipe,
    parts: partsOf(false),
    time: timeCommand('check'),
  },
  'masked-parts': {
    title: '`smelt check` of the same, each under a magnitude mask of the result of the one before',
    architecture: 'sd15',
    target: 0.5,
    recipe: partsRecipe,
    parts: partsOf(true),
    time: timeCommand('check'),
  },
  plan: {
    title: '`smelt plan` of two SDXL-shaped models',
    architecture: 'sdxl',
    target: 0.4,
    recipe: fullRecipe,
    time: timeCommand('plan'),
  },
}

/** Measures the chosen cases, with an empty Node.js beside them: what no command of this program can go below. */
export const measureCommands = async ({ only, folder: parent, program, runs, say }) => {
  const chosen = Object.entries(CASES).filter(([name]) => only === undefined || only === name)
  if (chosen.length === 0) return []
  const folder = openPlace(parent, 4e9)
  const rows = []
  try {
    for (const [name, { title, architecture, target, recipe, parts, time }] of chosen) {
      for (const model of ['a', 'b']) writeSparse(join(folder, `${model}.safetensors`), readTable(architecture), model)
      const figures = []
      try {
        for (let round = 0; round < runs; round++) {
          const work = join(folder, 'work')
          const path = placeRecipe(work, recipe(folder), parts)
          const where = { folder: work, env: cleanEnvironment(work) }
          const floor = await measure([process.execPath, '-e', '0'], where)
          figures.push({ floor, own: await time(program, path, where) })
          closePlace(work)
          say(`${name} · ${figures.at(-1).own.seconds.toFixed(2)} s`)
        }
        const seconds = figures.map((figure) => figure.own.seconds)
        rows.push({
          work: title,
          runs,
          target,
          seconds: median(seconds),
          least: Math.min(...seconds),
          most: Math.max(...seconds),
          processor: median(figures.map((f) => f.own.processor ?? NaN)),
          floor: median(figures.map((f) => f.floor.seconds)),
          floorProcessor: median(figures.map((f) => f.floor.processor ?? NaN)),
        })
      } catch (error) {
        say(`${name} · failed: ${error.message}`)
        rows.push({ work: title, runs, target, reason: error.message })
      }
    }
    return rows
  } finally {
    closePlace(folder)
  }
}
