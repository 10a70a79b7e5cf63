// `npm run bench`: measures smelt beside the floor and its peers. bench/README.md explains the options and the figures.
import { existsSync } from 'node:fs'
import { cpus, loadavg, tmpdir, totalmem } from 'node:os'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { measureAdapters } from './adapters.mjs'
import { measureCommands } from './commands.mjs'
import { canMeasureMemory } from './measure.mjs'
import { measureMemory } from './memory.mjs'
import { measureMerges } from './merges.mjs'
import { measureMethods } from './methods.mjs'
import { isMemory, memoryFolder } from './place.mjs'
import { profile } from './profile.mjs'
import { measureRebuilds } from './rebuilds.mjs'
import { MERGES } from './recipes.mjs'
import { renderFigures, renderMethods, renderTable, writeFigures } from './report.mjs'
import { PROGRAM, WORKERS } from './smelt.mjs'

const NAMES = [
  ...MERGES.map(({ name }) => name),
  'sdxl',
  'large',
  'rebuilds',
  'digests',
  'unchanged',
  'unchanged-sdxl',
  'block',
  'all',
  'verify',
  'help',
  'start',
  'check',
  'chain',
  'parts',
  'masked-parts',
  'plan',
]
const USAGE = `npm run bench -- [options]
  --size small|full  a sixteenth of a model, three runs, without peers and large files; or all of it (default)
  --only NAME        one of ${NAMES.join(', ')}
  --merges           only the table of merges, all rows
  --methods          every method on a third of SD1.5, into tables of its own, which are also printed when it is
                     interrupted; --only takes names of methods, with semicolons between them
  --adapters         baking a LoRA into SDXL and extracting one from SD1.5; --only takes bake or extract
  --profile CASE     what the time of one worker goes to, for ${MERGES.map(({ name }) => name).join(', ')},
                     or a row of --methods
  --engine NAME      with --profile: compiled (default) or onnx
  --runs N           rounds of each case (default 5; small: 3)
  --peer-rounds N    rounds that a peer takes part in (default 3)
  --peers            with peers at size small; --no-peers: without them at full size
  --dir FOLDER       where the models lie (default: memory-backed storage); needs 10.7 GB
  --disk FOLDER      where what is too large for memory lies (default: the temporary folder); needs 21 GB
  --program FILE     another build of smelt, by its dist/bin/smelt.js`

/** Rounds below which README.md keeps the figures it has. */
const ENOUGH = 5

const readOptions = () => {
  const { values } = parseArgs({
    options: {
      size: { type: 'string', default: 'full' },
      only: { type: 'string' },
      merges: { type: 'boolean', default: false },
      methods: { type: 'boolean', default: false },
      adapters: { type: 'boolean', default: false },
      profile: { type: 'string' },
      engine: { type: 'string', default: 'compiled' },
      runs: { type: 'string' },
      'peer-rounds': { type: 'string', default: '3' },
      peers: { type: 'boolean' },
      'no-peers': { type: 'boolean' },
      dir: { type: 'string', default: memoryFolder() },
      disk: { type: 'string', default: tmpdir() },
      program: { type: 'string', default: PROGRAM },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  const small = values.size === 'small'
  const runs = Number(values.runs ?? (small ? 3 : ENOUGH))
  if (!small && values.size !== 'full') throw new Error('--size is small or full')
  if (values.only !== undefined && !values.methods && !values.adapters && !NAMES.includes(values.only))
    throw new Error(`--only is one of ${NAMES.join(', ')}`)
  const peerRounds = Number(values['peer-rounds'])
  for (const [name, rounds] of Object.entries({ runs, 'peer-rounds': peerRounds }))
    if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--${name} is a whole number from 1`)
  if (!existsSync(values.program)) throw new Error('smelt is not built yet: npm run build')
  const peers = values['no-peers'] ? false : (values.peers ?? !small)
  return {
    small,
    runs,
    only: values.only,
    onlyMerges: values.merges,
    methods: values.methods,
    adapters: values.adapters,
    peerRounds,
    profile: values.profile,
    engine: values.engine,
    peers,
    folder: resolve(values.dir),
    disk: resolve(values.disk),
    program: values.program,
    say: (line) => process.stderr.write(`${line}\n`),
  }
}

/** One sentence about what the figures were taken on, by class, not by name. */
const describe = ({ folder, small, runs }, load) =>
  [
    `Taken on ${new Date().toISOString().slice(0, 10)}`,
    `on ${cpus().length} cores (${cpus()[0].model.trim()}, ${process.arch}) with ${Math.round(totalmem() / 2 ** 30)} GiB`,
    `Node.js ${process.versions.node}, ${WORKERS} workers`,
    `models ${small ? 'of a sixteenth of the size ' : ''}in ${isMemory(folder) ? 'memory-backed storage' : 'files on a disk'}`,
    `${runs} ${runs === 1 ? 'round' : 'rounds'}, load ${load.toFixed(1)} when it began.`,
  ].join(', ')

const main = async () => {
  let options
  try {
    options = readOptions()
  } catch (error) {
    process.stderr.write(`${error.message}\n\n${USAGE}\n`)
    return 2
  }
  if (options === undefined) {
    process.stdout.write(`${USAGE}\n`)
    return 0
  }
  const { small, runs, only, onlyMerges, say } = options
  const [load] = loadavg()
  if (load > 0.5) say(`The machine is busy (load ${load.toFixed(1)}): ratios will wander.`)
  if (!canMeasureMemory) say('Without GNU time at /usr/bin/time no memory is measured.')
  try {
    if (options.profile !== undefined) {
      process.stdout.write(`${await profile({ ...options, name: options.profile })}\n`)
      return 0
    }
    if (options.methods) {
      const rows = []
      const render = () => `${renderMethods(describe(options, load), rows)}\n`
      process.on('exit', () => process.stdout.write(render()))
      await measureMethods({ ...options, take: (more) => rows.push(...more) })
      const table = render()
      if (!small && only === undefined && runs >= ENOUGH) writeFigures(table, 'methods')
      return 0
    }
    if (options.adapters) {
      process.stdout.write(`${renderTable(describe(options, load), await measureAdapters(options))}\n`)
      return 0
    }
    const rows = {
      merges: await measureMerges(options),
      memory: small || onlyMerges ? [] : await measureMemory(options),
      rebuilds: onlyMerges ? [] : await measureRebuilds(options),
      commands: onlyMerges ? [] : await measureCommands(options),
    }
    const figures = renderFigures({ machine: describe(options, load), rows })
    process.stdout.write(`${figures}\n`)
    if (small || only !== undefined || onlyMerges || runs < ENOUGH)
      say(`bench/README.md keeps its figures: they come from a full run of at least ${ENOUGH} rounds.`)
    else writeFigures(figures)
    return 0
  } catch (error) {
    say(error.message)
    return 1
  }
}

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130))
process.exitCode = await main()
