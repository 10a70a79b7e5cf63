// SD1.5-shaped merges: the least they could cost, smelt on the processor and smelt on the device, in turns.
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { bytesOf, readTable, writeCheckpoint } from '../checkpoint.mjs'
import { median } from '../measure.mjs'
import { compareFiles, sameBytes } from './compare.mjs'
import { build, reasonOf, runCommand } from './program.mjs'

const OUT = 'OUT.safetensors'
const OUT_OF_TIME = 'not measured: out of time'
const three = ['a', 'b', 'c']

/** What the device has to reach: a share of what its bus can do, or times as fast as all cores. */
const AIMS = { bus: 0.7, faster: 3 }

/** What each merge reads and does. */
const MERGES = [
  {
    name: 'linear',
    title: 'linear merge of two',
    reads: ['a', 'b'],
    aim: 'bus',
    steps: { merged: { op: 'merge.linear', models: { a: 0.5, b: 0.5 } } },
  },
  {
    name: 'slerp',
    title: 'slerp of two',
    reads: ['a', 'b'],
    aim: 'faster',
    steps: { merged: { op: 'merge.blend', a: 'a', b: 'b', keep: 0.5, method: 'slerp' } },
  },
  {
    name: 'dare_ties',
    title: 'DARE-TIES of three, density 0.2',
    reads: ['base', ...three],
    aim: 'faster',
    steps: { merged: { op: 'merge.dare_ties', base: 'base', models: three.map((model) => ({ model, density: 0.2 })) } },
  },
  {
    name: 'ties',
    title: 'exact TIES of three, density 0.2',
    reads: ['base', ...three],
    aim: 'faster',
    steps: { merged: { op: 'merge.ties', base: 'base', models: three.map((model) => ({ model, density: 0.2 })) } },
  },
  {
    name: 'mask',
    title: 'lerp where one model moved most',
    reads: ['base', 'a', 'b'],
    aim: 'faster',
    steps: {
      moved: { op: 'mask.magnitude', model: 'a', base: 'base', select: 'above', quantile: 0.8 },
      merged: { op: 'merge.blend', a: 'a', b: 'b', keep: 0.3, mask: 'moved' },
    },
  },
]

/** The recipe of a merge over models of a folder. */
export const mergeRecipe = ({ reads, steps }, folder) =>
  JSON.stringify({
    smelt: 1,
    name: 'check',
    seed: 42,
    models: Object.fromEntries(reads.map((model) => [model, join(folder, `${model}.safetensors`)])),
    steps,
    outputs: { merged: { from: 'merged', path: OUT } },
  })

/** The merge of a name. */
export const findMerge = (name) => MERGES.find((merge) => merge.name === name)

/** Makes the models, a sixteenth of SD1.5 if `small`; gives the bytes of one. */
export const makeModels = (folder, { small, say }) => {
  mkdirSync(folder, { recursive: true })
  const table = readTable('sd15', { shrink: small })
  for (const model of ['base', ...three]) {
    writeCheckpoint(join(folder, `${model}.safetensors`), table, model)
    say(`made ${model}: ${(bytesOf(table) / 1e9).toFixed(2)} GB`)
  }
  return bytesOf(table)
}

const freshFolder = (folder, text) => {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  if (text !== undefined) writeFileSync(join(folder, 'recipe.yaml'), text)
  return folder
}

/** Reads every input once and writes one output. */
const runFloor = async (work, paths) => {
  const { code, seconds, said } = await runCommand(
    ['/bin/sh', '-c', `cat "$@" > /dev/null && cp "$1" ${OUT}`, 'floor', ...paths],
    { folder: freshFolder(work) },
  )
  return { ok: code === 0, seconds, problems: [], said, code }
}

const runSmelt = (work, text, device, workers, limit) =>
  build('recipe.yaml', { folder: freshFolder(work, text), device, workers, limit, cache: join(work, 'cache') })

const figuresOf = (runs) => {
  const good = runs.filter(({ ok }) => ok)
  if (good.length === 0) return { runs: 0, problem: runs.length === 0 ? 'it was not run' : reasonOf(runs.at(-1)) }
  const seconds = good.map((run) => run.seconds)
  const ends = good.flatMap(({ run }) => run ?? [])
  const over = (read) => median(ends.map(read))
  const parts = ends.length > 0 && ends.every(({ spent }) => spent !== undefined) ? Object.keys(ends[0].spent) : []
  return {
    runs: good.length,
    failed: runs.length - good.length,
    ...(runs.length > good.length ? { problem: reasonOf(runs.find(({ ok }) => !ok)) } : {}),
    seconds: median(seconds),
    least: Math.min(...seconds),
    most: Math.max(...seconds),
    ...(ends.length === 0
      ? {}
      : {
          runSeconds: over((end) => end.seconds),
          besideTheRun: median(
            good.flatMap(({ run, seconds: whole }) => (run === undefined ? [] : [whole - run.seconds])),
          ),
          readBytes: ends[0].readBytes,
          writtenBytes: ends[0].writtenBytes,
          peakMemory: Math.max(...ends.map(({ peakMemory }) => peakMemory ?? 0)),
        }),
    ...(parts.length === 0
      ? {}
      : { workerSeconds: Object.fromEntries(parts.map((part) => [part, over(({ spent }) => spent[part])])) }),
    device: good.at(-1).device,
  }
}

/** The part of the work that took the workers longest, and its share of all their seconds. */
const longestPart = ({ workerSeconds }) => {
  if (workerSeconds === undefined) return undefined
  const total = Object.values(workerSeconds).reduce((sum, x) => sum + x, 0)
  const [part, most] = Object.entries(workerSeconds).reduce((best, entry) => (entry[1] > best[1] ? entry : best))
  return total === 0 ? undefined : { part, share: most / total }
}

/**
 * How much of its run the bus alone would need: all bytes up and down at the rates measured, each direction beside the
 * other.
 */
const judgeBus = (device, bus) => {
  if (bus?.up === undefined || device.runSeconds === undefined)
    return { met: undefined, limit: 'the bus was not measured' }
  const oneAfterOther = (device.readBytes + device.writtenBytes) / bus.both.bytesPerSecond
  const needed = Math.max(
    device.readBytes / bus.up.bytesPerSecond,
    device.writtenBytes / bus.down.bytesPerSecond,
    oneAfterOther,
  )
  const rate = (device.readBytes + device.writtenBytes) / device.runSeconds
  return {
    busSeconds: needed,
    bytesPerSecond: rate,
    share: needed / device.runSeconds,
    met: needed / device.runSeconds >= AIMS.bus,
  }
}

/**
 * Whether the aim is met, from figures of one run of the check; small models, which are mostly start, judge nothing.
 */
const judge = (merge, cpu, device, { bus, judged }) => {
  const aim =
    merge.aim === 'bus' ? `at least ${AIMS.bus} of the bus` : `at least ${AIMS.faster} times as fast as all cores`
  if (device.seconds === undefined || cpu.seconds === undefined) return { aim, met: undefined }
  const found =
    merge.aim === 'bus'
      ? judgeBus(device, bus)
      : {
          timesAsFast: cpu.seconds / device.seconds,
          runTimesAsFast: cpu.runSeconds / device.runSeconds,
          met: cpu.seconds / device.seconds >= AIMS.faster,
        }
  return { aim, ...found, longest: longestPart(device), ...(judged ? {} : { met: undefined }) }
}

/** Differences of an output from the one that was kept; the first one is kept. */
const compareToKept = (kept, output) => {
  if (existsSync(kept)) return sameBytes(kept, output) ? [] : compareFiles(kept, output).slice(0, 5)
  renameSync(output, kept)
  return undefined
}

/**
 * One merge, its entrants in turns; each round begins with another. The first output of the processor and of the device
 * are compared.
 */
const compete = async (merge, folder, settings) => {
  const work = join(folder, 'work')
  const [paths, text] = [merge.reads.map((model) => join(folder, `${model}.safetensors`)), mergeRecipe(merge, folder)]
  const entrants = [
    { name: 'floor', start: () => runFloor(work, paths) },
    { name: 'cpu', start: () => runSmelt(work, text, 'cpu', settings.cores, settings.limit) },
    { name: 'device', start: () => runSmelt(work, text, settings.device, undefined, settings.limit) },
  ].map((entrant) => ({ ...entrant, runs: [] }))
  const kept = join(folder, 'kept.safetensors')
  let differences
  for (let round = 0; round < settings.runs && !settings.late(); round++) {
    for (let turn = 0; turn < entrants.length; turn++) {
      const entrant = entrants[(turn + round) % entrants.length]
      if (entrant.runs.some(({ ok }) => !ok)) continue
      const run = await entrant.start()
      entrant.runs.push(run)
      settings.say(`${merge.name} · ${entrant.name} · ${run.ok ? `${run.seconds.toFixed(2)} s` : reasonOf(run)}`)
      if (round === 0 && entrant.name !== 'floor' && run.ok) differences = compareToKept(kept, join(work, OUT))
    }
  }
  rmSync(kept, { force: true })
  rmSync(work, { recursive: true, force: true })
  const [floor, cpu, device] = entrants.map(({ runs }) => figuresOf(runs))
  return {
    name: merge.name,
    title: merge.title,
    floor,
    cpu,
    device,
    differences,
    timesTheFloor: { cpu: cpu.seconds / floor.seconds, device: device.seconds / floor.seconds },
    ...judge(merge, cpu, device, settings),
  }
}

/**
 * Measures the merges over the models of a folder; the record is told after each. `settings`: `{ device, runs, cores,
 * bus, judged, limit, late, say }`; `judged` is whether aims are.
 */
export const measureMerges = async (folder, settings, tell) => {
  const rows = []
  for (const merge of MERGES) {
    if (settings.late()) {
      rows.push({ name: merge.name, title: merge.title, problem: OUT_OF_TIME })
      continue
    }
    rows.push(await compete(merge, folder, settings))
    tell(rows)
  }
  return rows
}
