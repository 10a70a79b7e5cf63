// `node bench/parity/run.mjs [--only NAME]`: runs every method here and in the tool that it is from, on the same tiny
// models, and writes how far the results differ into bench/parity/README.md.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { buildCommand, cleanEnvironment, PROGRAM } from '../smelt.mjs'
import { MERGEKIT, RANDOM, SD_MECHA } from './cases.mjs'
import { ARCHITECTURES, makeModels, RANDOM_MODEL, readModel } from './models.mjs'
import { compareStatistics, createStatistics } from './random.mjs'

const here = (path) => fileURLToPath(new URL(path, import.meta.url))
const PYTHON = here('../.venv/bin/python')
const DTYPES = ['f16', 'bf16', 'f32']
/** Bits after the point, and the least exponent of a normal number. */
const UNITS = { f16: [10, -14], bf16: [7, -126], f32: [23, -126] }
const SEEDS = 200

const { values: options } = parseArgs({ options: { only: { type: 'string' } } })
if (!existsSync(PYTHON)) throw new Error('install the peers first: sh bench/peers.sh')

const root = mkdtempSync(join(tmpdir(), 'smelt-parity-'))
const folder = (...parts) => {
  const path = join(root, ...parts)
  mkdirSync(path, { recursive: true })
  return path
}
const inPython = (script, jobs) => {
  const file = join(root, `${script}.json`)
  writeFileSync(file, JSON.stringify(jobs))
  execFileSync(PYTHON, [here(`${script}.py`), file], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, TQDM_DISABLE: '1' },
  })
}
const buildHere = (work, recipe) => {
  const path = join(work, 'recipe.yaml')
  writeFileSync(path, JSON.stringify(recipe))
  const [node, ...args] = buildCommand(PROGRAM, path)
  execFileSync(node, args, {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, ...cleanEnvironment(work) },
  })
}
const recipeOf = (paths, steps, dtype, outputs = { out: { from: 'result', path: 'out.safetensors', dtype } }) => ({
  smelt: 1,
  models: paths,
  steps,
  outputs,
})

/** The distance between two neighbouring numbers of a dtype at x. */
const unitAt = (dtype, x) => {
  const [bits, least] = UNITS[dtype]
  return 2 ** (Math.max(least, x === 0 ? least : Math.floor(Math.log2(Math.abs(x)))) - bits)
}

/** How far two files differ: the share of elements that do, by more than one unit of the dtype, and by how much. */
const compare = (dtype, theirs, ours) => {
  const found = { elements: 0, differ: 0, byMore: 0, absolute: 0, relative: 0 }
  for (const [name, { values }] of theirs) {
    const own = ours.get(name).values
    values.forEach((x, i) => {
      const difference = Math.abs(x - own[i])
      found.elements += 1
      if (!(difference > 0) && !Number.isNaN(difference)) return
      found.differ += 1
      if (!(difference <= 1.001 * unitAt(dtype, Math.max(Math.abs(x), Math.abs(own[i]))))) found.byMore += 1
      found.absolute = Math.max(found.absolute, difference)
      found.relative = Math.max(found.relative, difference / Math.max(Math.abs(x), Math.abs(own[i])))
    })
  }
  return found
}
const addUp = (a, b) => ({
  elements: a.elements + b.elements,
  differ: a.differ + b.differ,
  byMore: a.byMore + b.byMore,
  absolute: Math.max(a.absolute, b.absolute),
  relative: Math.max(a.relative, b.relative),
})

const theirFile = (out) => {
  const file = readdirSync(out).find((name) => name.endsWith('.safetensors'))
  return file === undefined ? undefined : readModel(join(out, file))
}
const wanted = (cases) => cases.filter(({ name }) => options.only === undefined || name === options.only)

const percent = (share) => (share === 0 ? '0' : share < 1e-5 ? '< 0.001 %' : `${(100 * share).toPrecision(2)} %`)
const size = (x) => (x === 0 ? '0' : x.toExponential(1))

const tables = []

/** Deterministic methods: element by element, over all architectures. */
const measureExact = (tool, script, cases, jobOf) => {
  const jobs = []
  const runs = []
  for (const dtype of DTYPES) {
    for (const architecture of Object.keys(ARCHITECTURES)) {
      const paths = makeModels(folder('models', architecture, dtype), ARCHITECTURES[architecture], dtype)
      for (const one of wanted(cases)) {
        const out = folder(script, one.name, architecture, dtype)
        jobs.push(jobOf(one, paths, dtype, out))
        runs.push({ one, architecture, dtype, out, paths })
      }
    }
  }
  if (jobs.length === 0) return
  inPython(script, jobs)
  const rows = new Map()
  for (const { one, architecture, dtype, out, paths } of runs) {
    const theirs = theirFile(out)
    if (theirs === undefined) {
      rows.set(`${one.name}\0${dtype}`, undefined)
      continue
    }
    const work = folder('smelt', tool, one.name, architecture, dtype)
    buildHere(work, recipeOf(paths, one.steps, dtype))
    const found = compare(dtype, theirs, readModel(join(work, 'out.safetensors')))
    const key = `${one.name}\0${dtype}`
    rows.set(key, rows.has(key) ? addUp(rows.get(key), found) : found)
  }
  tables.push(
    `### ${tool}`,
    '',
    '| method | here | dtype | elements that differ | by more than one unit | greatest difference | relative |',
    '|---|---|---|---|---|---|---|',
    ...wanted(cases).flatMap((one) =>
      DTYPES.map((dtype) => {
        const f = rows.get(`${one.name}\0${dtype}`)
        const figures =
          f === undefined
            ? ['failed there', '', '', '']
            : [percent(f.differ / f.elements), percent(f.byMore / f.elements), size(f.absolute), size(f.relative)]
        return `| ${dtype === DTYPES[0] ? `\`${one.name}\`` : ''} | ${dtype === DTYPES[0] ? one.here : ''} | ${dtype} | ${figures.join(' | ')} |`
      }),
    ),
    '',
  )
}

/** Random methods: statistics over many seeds, of one small model. */
const measureRandom = (cases) => {
  const rows = []
  const paths = makeModels(folder('models', 'random', 'f32'), RANDOM_MODEL, 'f32')
  const [base, first] = [readModel(paths.base), readModel(paths.a)]
  const seeds = Array.from({ length: SEEDS }, (_, i) => i)
  for (const one of wanted(cases)) {
    const outs = seeds.map((seed) => folder('random', one.name, String(seed)))
    if (one.config === undefined)
      inPython(
        'with_sd_mecha',
        outs.map((out, seed) => ({ expression: one.expression, files: paths, dtype: 'f32', out, seed: seed + 1 })),
      )
    else
      inPython(
        'with_mergekit',
        outs.map((out, seed) => ({ config: one.config(paths, 'f32'), out, seed: seed + 1 })),
      )
    const work = folder('smelt-random', one.name)
    buildHere(
      work,
      recipeOf(
        paths,
        Object.fromEntries(seeds.map((i) => [`s${i}`, one.steps.result])),
        'f32',
        Object.fromEntries(seeds.map((i) => [`o${i}`, { from: `s${i}`, path: `${i}.safetensors`, dtype: 'f32' }])),
      ),
    )
    const [theirs, ours] = [createStatistics(base, first), createStatistics(base, first)]
    for (const i of seeds) {
      theirs.add(theirFile(outs[i]))
      ours.add(readModel(join(work, `${i}.safetensors`)))
    }
    const { moved, size: change, means, signs, variance, ranks } = compareStatistics(theirs, ours)
    const pair = ([at, error], digits) => `${at.toFixed(digits)} ± ${error.toFixed(digits)}`
    rows.push(
      `| ${one.tool} | \`${one.name}\` | ${one.here} | ${pair(moved[0], 5)} | ${pair(moved[1], 5)} | ${pair(change[0], 7)} | ${pair(change[1], 7)} | ${means.toFixed(3)} | ${signs.toFixed(3)} | ${variance.toFixed(4)} | ${ranks.toFixed(4)} |`,
    )
    console.error(rows.at(-1))
  }
  if (rows.length > 0)
    tables.push(
      `### Random methods, ${SEEDS} seeds each`,
      '',
      '| of | method | here | share that moved, there | here | RMS of the change, there | here | means | signs | variance | ranks |',
      '|---|---|---|---|---|---|---|---|---|---|---|',
      ...rows,
      '',
    )
}

/** Writes what has been measured so far. */
const publish = () => {
  if (options.only !== undefined) return
  const readme = here('README.md')
  const text = readFileSync(readme, 'utf8')
  const [begin, end] = ['<!-- figures: begin -->', '<!-- figures: end -->']
  const figures = `Taken on ${new Date().toISOString().slice(0, 10)}.\n\n${tables.join('\n')}`
  writeFileSync(
    readme,
    `${text.slice(0, text.indexOf(begin) + begin.length)}\n\n${figures}\n${text.slice(text.indexOf(end))}`,
  )
}

try {
  measureExact('mergekit 0.1.5', 'with_mergekit', MERGEKIT, (one, paths, dtype, out) => ({
    config: one.config(paths, dtype),
    out,
    seed: 1,
  }))
  publish()
  measureExact('sd-mecha 1.1.5', 'with_sd_mecha', SD_MECHA, (one, paths, dtype, out) => ({
    expression: one.expression,
    files: paths,
    dtype,
    out,
  }))
  publish()
  measureRandom(RANDOM)
  publish()
} finally {
  rmSync(root, { recursive: true, force: true })
}
console.log(tables.join('\n'))
