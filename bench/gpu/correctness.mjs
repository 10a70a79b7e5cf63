// Builds every case on the processor and on the device, and compares the files byte by byte.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compareFiles, judgeFile } from './compare.mjs'
import { keepOutputs } from './join-cases.mjs'
import { build, reasonOf } from './program.mjs'

/** Most differences that the record lists in full; all are counted. */
const LISTED = 200

/** Builds of one set by which its failures are told apart; what is still together then is told together. */
const MOST_BUILDS = 40

/** What matters most comes first, in case time runs out. */
const ORDER = ['plain', 'meetings', 'patterns', 'sizes', 'large', 'refused']
const rankOf = (name) => (ORDER.findIndex((prefix) => name.startsWith(prefix)) + ORDER.length + 1) % (ORDER.length + 1)

/** The sets of cases below a folder, each with its recipe, and what is known of its outputs. */
export const readSets = (folder) =>
  readdirSync(folder)
    .filter((name) => existsSync(join(folder, name, 'cases.json')))
    .sort()
    .sort((x, y) => rankOf(x) - rankOf(y))
    .map((name) => {
      const place = join(folder, name)
      const { title, cases } = JSON.parse(readFileSync(join(place, 'cases.json'), 'utf8'))
      return { name, place, title, cases, recipe: JSON.parse(readFileSync(join(place, 'recipe.yaml'), 'utf8')) }
    })

/** One build of some outputs; they end up in a folder named after the device. */
const buildOn = async (set, device, names, settings) => {
  const recipe = join(set.place, 'recipe.yaml')
  writeFileSync(recipe, JSON.stringify(keepOutputs(set.recipe, names)))
  const cache = join(set.place, 'cache')
  rmSync(cache, { recursive: true, force: true })
  rmSync(join(set.place, 'out'), { recursive: true, force: true })
  mkdirSync(join(set.place, 'out'))
  const start = () => build('recipe.yaml', { folder: set.place, device, cache, limit: settings.limit })
  const built = device === 'cpu' ? await start() : await settings.alone(start)
  if (device === settings.device) settings.count(built.ok)
  // A lock that stayed would be a hint to the next build.
  for (const name of readdirSync(set.place)) if (name.endsWith('.lock.json')) rmSync(join(set.place, name))
  return built
}

/**
 * Builds all outputs of a set on a device; where that fails, halves of them, until those that fail are alone: what one
 * case does is no
 * matter of the others. Gives the failures by name, and the seconds of the first build.
 */
const buildApart = async (set, device, settings) => {
  const kept = join(set.place, `out-${device.replace(':', '-')}`)
  rmSync(kept, { recursive: true, force: true })
  mkdirSync(kept)
  const failures = new Map()
  let first
  let builds = 0
  const go = async (names) => {
    if (settings.late()) {
      for (const name of names) failures.set(name, { code: undefined, problems: [], said: 'not built: out of time' })
      return
    }
    const built = await buildOn(set, device, names, settings)
    first ??= built
    builds++
    if (built.ok) {
      for (const name of readdirSync(join(set.place, 'out'))) renameSync(join(set.place, 'out', name), join(kept, name))
      return
    }
    if (names.length === 1 || builds >= MOST_BUILDS || (device === settings.device && settings.hopeless())) {
      for (const name of names) failures.set(name, built)
      return
    }
    const half = names.length >> 1
    await go(names.slice(0, half))
    await go(names.slice(half))
  }
  await go(Object.keys(set.cases))
  return { kept, failures, whole: builds === 1, seconds: first?.seconds ?? 0, device: first?.device }
}

const sameFailure = (one, other) =>
  one !== undefined &&
  other !== undefined &&
  one.problems.length > 0 &&
  one.problems[0].code === other.problems[0]?.code

/** What became of one case: differences between the devices, and what is wrong with the numbers themselves. */
const judgeCase = (set, name, cpu, gpu) => {
  const { name: title, operators, ...known } = set.cases[name]
  const about = { set: set.name, case: title, operators }
  const [left, right] = [cpu.failures.get(name), gpu.failures.get(name)]
  if (left !== undefined || right !== undefined) {
    if (sameFailure(left, right)) return { refused: [{ ...about, code: left.problems[0].code }], found: [] }
    return {
      refused: [],
      found: [
        {
          ...about,
          kind: 'outcome',
          values: [left, right].map((built) => (built === undefined ? 'written' : reasonOf(built))),
        },
      ],
    }
  }
  const [a, b] = [cpu, gpu].map(({ kept }) => join(kept, `${name}.safetensors`))
  const found = readFileSync(a).equals(readFileSync(b))
    ? []
    : compareFiles(a, b).map((difference) => ({ ...about, ...difference }))
  if (known.expect === undefined) return { refused: [], found }
  return {
    refused: [],
    found: [
      ...found,
      ...judgeFile(b, known).map((sentence) => ({ ...about, kind: 'not as expected', values: [sentence] })),
    ],
  }
}

/**
 * The header of each file tells the digest of the lock, and the lock tells of all files of the build. So headers that
 * differ say something only
 * where no tensor of the whole set does, and both devices built it at one go.
 */
const withoutEchoes = (judged, comparable) => {
  const own = ({ kind }) => kind !== 'header'
  if (comparable && !judged.some(({ found }) => found.some(own))) return judged
  return judged.map((one) => ({ ...one, found: one.found.filter(own) }))
}

const checkSet = async (set, settings) => {
  const cpu = await buildApart(set, 'cpu', settings)
  // The processor also stands in for the device when one is only pretended: its files must not be overwritten then.
  if (settings.device === 'cpu') {
    cpSync(cpu.kept, `${cpu.kept}-first`, { recursive: true })
    cpu.kept = `${cpu.kept}-first`
  }
  const gpu = await buildApart(set, settings.device, settings)
  const judged = withoutEchoes(
    Object.keys(set.cases).map((name) => judgeCase(set, name, cpu, gpu)),
    cpu.whole && gpu.whole,
  )
  const found = judged.flatMap((one) => one.found)
  for (const place of [cpu.kept, gpu.kept]) rmSync(place, { recursive: true, force: true })
  return {
    name: set.name,
    title: set.title,
    cases: judged.length,
    equal: judged.filter((one) => one.found.length === 0).length,
    refused: judged.flatMap(({ refused }) => refused),
    device: gpu.device,
    seconds: { cpu: cpu.seconds, device: gpu.seconds },
    found,
  }
}

/** One thing after the other: each build plans with the device's memory as if it were alone. */
const createQueue = () => {
  let last = Promise.resolve()
  return (work) => {
    const next = last.then(work)
    last = next.catch(() => undefined)
    return next
  }
}

/**
 * Checks all sets, some at a time, of which one is on the device. `settings`: `{ device, limit, late, hopeless, count,
 * together, say }`; `count` hears whether each build on the device succeeded, and `hopeless` says when to give up on
 * it. The record is told after each set.
 */
export const checkCorrectness = async (sets, settings, tell) => {
  const record = {
    device: settings.device,
    cases: 0,
    equal: 0,
    refusedAlike: [],
    differences: 0,
    kinds: {},
    sets: [],
    listed: [],
  }
  const open = [...sets]
  // The settings' own limit changes as time passes, so they are inherited and not copied.
  const each = Object.assign(Object.create(settings), { alone: createQueue() })
  const work = async () => {
    for (let set = open.shift(); set !== undefined; set = open.shift()) {
      const { found, refused, ...facts } = await checkSet(set, each)
      record.sets.push(facts)
      record.cases += facts.cases
      record.equal += facts.equal
      record.refusedAlike.push(...refused)
      record.differences += found.length
      for (const { kind } of found) record.kinds[kind] = (record.kinds[kind] ?? 0) + 1
      record.listed.push(...found.slice(0, LISTED - record.listed.length))
      settings.say(
        `${facts.name}: ${facts.equal} of ${facts.cases} equal (${facts.seconds.cpu.toFixed(1)} s, ${facts.seconds.device.toFixed(1)} s)`,
      )
      tell(record)
    }
  }
  await Promise.all(Array.from({ length: settings.together }, work))
  return record
}
