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
import { ARCHITECTURES, makeModels, readModel } from './models.mjs'

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
      const paths = makeModels(folder('models', architecture, dtype), architecture, dtype)
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

/** Random methods: how much of the difference is kept, and the mean of what is added, over many seeds. */
const measureRandom = (cases) => {
  const rows = []
  const paths = makeModels(folder('models', 'llama', 'f32'), 'llama', 'f32')
  const base = readModel(paths.base)
  const statistics = (files) => {
    const [kept, sizes] = [[], []]
    for (const file of files) {
      let [n, moved, sum] = [0, 0, 0]
      for (const [name, { values }] of file) {
        const before = base.get(name).values
        values.forEach((x, i) => {
          n += 1
          moved += x === before[i] ? 0 : 1
          sum += (x - before[i]) ** 2
        })
      }
      kept.push(moved / n)
      sizes.push(Math.sqrt(sum / n))
    }
    const mean = (list) => list.reduce((x, y) => x + y, 0) / list.length
    const spread = (list) => Math.sqrt(mean(list.map((x) => (x - mean(list)) ** 2)) / list.length)
    return { kept: [mean(kept), spread(kept)], size: [mean(sizes), spread(sizes)] }
  }
  for (const one of wanted(cases)) {
    const outs = Array.from({ length: SEEDS }, (_, seed) => folder('random', one.name, String(seed)))
    inPython(
      'with_mergekit',
      outs.map((out, seed) => ({ config: one.config(paths, 'f32'), out, seed: seed + 1 })),
    )
    const work = folder('smelt-random', one.name)
    const seeds = Array.from({ length: SEEDS }, (_, i) => i)
    buildHere(
      work,
      recipeOf(
        paths,
        Object.fromEntries(seeds.map((i) => [`s${i}`, one.steps.result])),
        'f32',
        Object.fromEntries(seeds.map((i) => [`o${i}`, { from: `s${i}`, path: `${i}.safetensors`, dtype: 'f32' }])),
      ),
    )
    const theirs = statistics(outs.map(theirFile))
    const ours = statistics(seeds.map((i) => readModel(join(work, `${i}.safetensors`))))
    const pair = ([mean, error], digits) => `${mean.toFixed(digits)} ± ${error.toFixed(digits)}`
    rows.push(
      `| \`${one.name}\` | ${one.here} | ${pair(theirs.kept, 5)} | ${pair(ours.kept, 5)} | ${pair(theirs.size, 6)} | ${pair(ours.size, 6)} |`,
    )
  }
  if (rows.length > 0)
    tables.push(
      `### Random methods, ${SEEDS} seeds each`,
      '',
      '| method | here | share that moved, mergekit | smelt | RMS of the change, mergekit | smelt |',
      '|---|---|---|---|---|---|',
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
