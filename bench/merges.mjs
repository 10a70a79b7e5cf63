// Merges of SD1.5-shaped models: the floor, smelt and its peers, in turns.
import { join } from 'node:path'
import { bytesOf, inputBytes, readTable, writeInput } from './checkpoint.mjs'
import { measure, median } from './measure.mjs'
import { peersOf } from './peers.mjs'
import { bytesAt, closePlace, openPlace } from './place.mjs'
import { MERGES, OUT } from './recipes.mjs'
import { buildCommand, cleanEnvironment, placeRecipe } from './smelt.mjs'

/**
 * The seconds after which one round of a peer is enough, or too much: they are slow, and the others need not wait.
 */
const SLOW = 120
const TOO_SLOW = 600

/** What a peer may take of memory beside the data. */
const PEER_MEMORY = 9e9

/** Reads every input so many times and writes one output: what no merge can go below. */
const floorCommand = (paths, readings) => [
  '/bin/sh',
  '-c',
  `${'cat "$@" > /dev/null && '.repeat(readings)}cp "$1" ${OUT}`,
  'floor',
  ...paths,
]

const ONCE = 'one reading'
/** The floor of a merge, and where it has to read more than once, what one reading takes. */
const floorsOf = ({ readings = 1 }) => [
  { name: 'floor', readings },
  ...(readings === 1 ? [] : [{ name: ONCE, readings: 1 }]),
]

const entrantsOf = (merge, folder, work, { program, peers, runs, peerRounds }) => [
  ...floorsOf(merge).map(({ name, readings }) => ({
    name,
    rounds: runs,
    output: OUT,
    command: () =>
      floorCommand(
        merge.reads.map((model) => join(folder, `${model}.safetensors`)),
        readings,
      ),
  })),
  { name: 'smelt', rounds: runs, output: OUT, command: () => buildCommand(program, join(work, 'recipe.yaml')) },
  ...(peers ? (merge.peers?.() ?? peersOf(merge.name)) : []).map(({ command, ...peer }) => ({
    ...peer,
    rounds: Math.min(runs, peerRounds),
    limit: TOO_SLOW,
    command: () => command(folder, work, merge.reads),
  })),
]

/** One run in a fresh folder; an output much smaller than a model is a failure. */
const runOnce = async (entrant, work, recipe, bytes) => {
  placeRecipe(work, recipe)
  try {
    const figure = await measure(entrant.command(), { folder: work, env: cleanEnvironment(work), limit: entrant.limit })
    const written = bytesAt(join(work, entrant.output))
    if (written < bytes) throw new Error(`it wrote ${written} bytes, which is no whole model`)
    return figure
  } finally {
    closePlace(work)
  }
}

/**
 * All entrants of one merge, each round beginning with another, so that a busy spell of the machine strikes all alike.
 */
const compete = async (merge, folder, bytes, options) => {
  const work = join(folder, 'work')
  const entrants = entrantsOf(merge, folder, work, options).map((entrant) => ({ ...entrant, figures: [] }))
  for (let round = 0; round < options.runs; round++) {
    for (let turn = 0; turn < entrants.length; turn++) {
      const entrant = entrants[(turn + round) % entrants.length]
      if (entrant.reason !== undefined || round >= entrant.rounds) continue
      try {
        entrant.figures[round] = await runOnce(entrant, work, merge.write(folder), bytes)
        const spent = entrant.figures.reduce((sum, figure) => sum + figure.seconds, 0)
        if (entrant.limit !== undefined && entrant.figures[round].seconds > SLOW) entrant.rounds = round + 1
        if (spent > (options.patience ?? Infinity)) entrant.rounds = round + 1
        options.say(`${merge.name} · ${entrant.name} · ${entrant.figures[round].seconds.toFixed(2)} s`)
      } catch (error) {
        entrant.reason = error.message
        options.say(`${merge.name} · ${entrant.name} · failed: ${error.message}`)
      }
    }
  }
  return entrants
}

/** How much longer an entrant took than another in the rounds of both. */
const timesThat = (entrant, other) => {
  const ratios = entrant.figures.flatMap((figure, round) =>
    other?.figures[round] === undefined ? [] : [figure.seconds / other.figures[round].seconds],
  )
  return ratios.length === 0 ? undefined : median(ratios)
}

const toRow = (merge, entrant, entrants) => {
  const figures = entrant.figures.filter((figure) => figure !== undefined)
  const row = {
    work: merge.title,
    program: entrant.name,
    runs: figures.length,
    target: entrant.name === 'smelt' ? merge.target : undefined,
  }
  if (entrant.reason !== undefined || figures.length === 0)
    return { ...row, reason: entrant.reason ?? 'it was not run' }
  const seconds = figures.map((figure) => figure.seconds)
  return {
    ...row,
    seconds: median(seconds),
    least: Math.min(...seconds),
    most: Math.max(...seconds),
    ratio: timesThat(entrant, entrants[0]),
    once: timesThat(entrant, entrants.find(({ name }) => name === ONCE) ?? entrants[0]),
    gigaflop: entrant.name === 'smelt' ? merge.gigaflop : undefined,
    processor: figures[0].processor === undefined ? undefined : median(figures.map((figure) => figure.processor)),
    megabytes: figures[0].megabytes === undefined ? undefined : Math.max(...figures.map((figure) => figure.megabytes)),
  }
}

/** Measures the chosen merges on SD1.5-shaped models; a row for every program of every merge. */
export const measureMerges = ({ only, small, ...options }) =>
  measureOn(
    readTable('sd15', { shrink: small }),
    MERGES.filter(({ name }) => only === undefined || only === name),
    { ...options, memory: options.peers && !small ? PEER_MEMORY : undefined },
  )

/**
 * Measures merges on models of a table, and hands the rows of each to `take` as soon as it is done; after `patience`
 * seconds, a program takes part in no further round.
 */
export const measureOn = async (table, merges, { folder: parent, memory, ...options }) => {
  if (merges.length === 0) return []
  const bytes = bytesOf(table)
  const inputs = [...new Set(merges.flatMap(({ reads }) => reads))]
  const room = inputs.reduce((n, name) => n + inputBytes(table, name), bytes)
  const folder = openPlace(parent, room, memory)
  try {
    for (const name of inputs) {
      options.say(`makes ${name}: ${(inputBytes(table, name) / 1e9).toFixed(2)} GB`)
      writeInput(join(folder, `${name}.safetensors`), table, name)
    }
    const rows = []
    for (const merge of merges) {
      const entrants = await compete(merge, folder, merge.bytes?.(table) ?? bytes, options)
      const gigaflop = merge.operations === undefined ? undefined : merge.operations(table) / 1e9
      const measured = entrants.map((entrant) => toRow({ ...merge, gigaflop }, entrant, entrants))
      rows.push(...measured)
      options.take?.(measured)
    }
    return rows
  } finally {
    closePlace(folder)
  }
}
