// `npm run check:gpu`: what smelt does on this machine's GPU, beside the processor. bench/README.md explains the
// options and the record.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { isMemory, memoryFolder } from '../place.mjs'
import { checkCorrectness, readSets } from './correctness.mjs'
import { checkFullDevice } from './full-device.mjs'
import { examineMachine, hasDriver } from './machine.mjs'
import { makeModels, measureMerges } from './merges.mjs'
import { PROGRAM, ROOT, runCommand } from './program.mjs'
import { renderCheck } from './table.mjs'

const BUS = fileURLToPath(new URL('bus.mjs', import.meta.url))
const USAGE = `npm run check:gpu -- [options]
  --out FILE       the record (default build/check-gpu.json)
  --device NAME    cuda (default), cuda:N, or webgpu, of which only cases and merges are checked
  --quick          models of a sixteenth, fewer cases and rounds, at most 3 minutes
  --minutes N      when to stop (default 8; --quick: 3)
  --runs N         rounds of each merge (default 5; --quick: 3)
  --only PART      bus, correctness, merges or full-device; may be given several times
  --dir FOLDER     where the models lie (default: memory-backed storage); needs 13 GB, --quick 2 GB
  --cases FOLDER   cases that were prepared before
  --sets PREFIX    only sets of cases whose names begin so, such as meetings; may be given several times
  --pretend        the processor in place of the GPU: tries this program, and passes nothing
  --bundle FOLDER  makes what a machine without Node.js or network needs, in place of all this; with
                   --arch N (default 90) for GPUs of compute capability N/10, --provider FOLDER (the two libraries of
                   ONNX Runtime's CUDA provider; default: as installed) and --limit MIB (default 60: of what is carried at once)`
const EXIT = { passed: 0, failed: 1, usage: 2, skipped: 3 }
const PARTS = ['bus', 'correctness', 'merges', 'full-device']
const NEED_CUDA = new Set(['bus', 'full-device'])
/** When the parts have to end, as shares of all time; what is not done by then is told as such. */
const DEADLINES = { bus: 0.2, correctness: 0.5, merges: 0.88, 'full-device': 1 }
/** Seconds that one build may take. */
const BUILD_LIMIT = 90
/** Builds that may fail on a device on which none succeeds before no case is tried alone any more. */
const HOPELESS = 8

const readOptions = () => {
  const { values } = parseArgs({
    options: {
      out: { type: 'string', default: join(ROOT, 'build/check-gpu.json') },
      device: { type: 'string', default: 'cuda' },
      quick: { type: 'boolean', default: false },
      minutes: { type: 'string' },
      runs: { type: 'string' },
      only: { type: 'string', multiple: true, default: PARTS },
      dir: { type: 'string' },
      cases: { type: 'string' },
      sets: { type: 'string', multiple: true, default: [''] },
      pretend: { type: 'boolean', default: false },
      bundle: { type: 'string' },
      arch: { type: 'string', default: '90' },
      provider: { type: 'string' },
      limit: { type: 'string', default: '60' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  const whole = (name, fallback) => {
    const n = Number(values[name] ?? fallback)
    if (!Number.isInteger(n) || n < 1) throw new Error(`--${name} is a whole number from 1`)
    return n
  }
  const index = /^(?:webgpu|cuda(?::(\d+))?)$/.exec(values.device)
  if (index === null) throw new Error('--device is cuda, cuda:N or webgpu')
  const wrong = values.only.find((part) => !PARTS.includes(part))
  if (wrong !== undefined) throw new Error(`--only is one of ${PARTS.join(', ')}`)
  if (!existsSync(PROGRAM)) throw new Error('smelt is not built yet: npm run build')
  return {
    ...values,
    out: resolve(values.out),
    only: values.device === 'webgpu' ? values.only.filter((part) => !NEED_CUDA.has(part)) : values.only,
    index: Number(index[1] ?? 0),
    device: values.pretend ? 'cpu' : values.device,
    minutes: whole('minutes', values.quick ? 3 : 8),
    runs: whole('runs', values.quick ? 3 : 5),
    arch: whole('arch'),
    limit: whole('limit'),
  }
}

/**
 * Bytes that are needed where the models lie, and the folder that has them: in memory if there is room, else on a disk.
 */
const openFolder = ({ dir, quick }) => {
  const needed = quick ? 2e9 : 13.5e9
  const places = dir === undefined ? [memoryFolder(), tmpdir()] : [resolve(dir)]
  const room = (place) => {
    const { bavail, bsize } = statfsSync(place)
    return bavail * bsize
  }
  const place = places.find((one) => room(one) > needed)
  if (place === undefined)
    throw new Error(
      `the models need ${(needed / 1e9).toFixed(1)} GB, and ${places.map((one) => `${one} has ${(room(one) / 1e9).toFixed(1)}`).join(', ')}: name another folder with --dir, or take --quick`,
    )
  const folder = mkdtempSync(join(place, 'smelt-check-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** The cases: those that lie beside a bundle, those of `--cases`, or new ones from the tests. */
const openCases = async (options, folder) => {
  const ready = options.cases ?? join(ROOT, 'cases')
  const target = join(folder, 'cases')
  if (existsSync(ready)) await runCommand(['/bin/cp', '-R', ready, target], { folder })
  else {
    const { canPrepare, prepareCases } = await import('./prepare.mjs')
    if (!canPrepare())
      throw new Error(
        'the cases are not there: name their folder with --cases, or run `npm install` where the tests lie',
      )
    await prepareCases(target)
  }
  const { writeSized } = await import('./sized-models.mjs')
  writeSized(target, { quick: options.quick })
  const kept = (name) =>
    !options.quick || /^(plain|meetings|sizes|large|patterns|refused)-|^(bf16-same|f32-f16|f8_e4m3-same)-/.test(name)
  for (const name of readdirSync(target)) if (!kept(name)) rmSync(join(target, name), { recursive: true })
  return readSets(target).filter(({ name }) => options.sets.some((prefix) => name.startsWith(prefix)))
}

const measureBus = async ({ libcudart }, { index }) => {
  if (libcudart === undefined) return { problem: 'the CUDA runtime was not found' }
  const { code, stdout, said } = await runCommand([process.execPath, BUS, libcudart, String(index)], {
    folder: ROOT,
    limit: 90,
  })
  try {
    return JSON.parse(stdout)
  } catch {
    return { problem: `the measurement ended with ${code}: ${said.trim()}` }
  }
}

/** How many sets are built at once: while one is on the device, the processor goes on with the next. */
const togetherOn = ({ cores }) => (cores < 4 ? 1 : 3)

/** What the parts share: when it is late, how long a build may take, and when a device is past hope. */
const settingsFor = (options, record, began, part) => {
  const end = began + options.minutes * 60_000
  const deadline = began + options.minutes * 60_000 * DEADLINES[part]
  const tally = { good: 0, bad: 0 }
  return {
    device: options.device,
    index: options.index,
    runs: options.runs,
    cores: Math.min(64, record.machine.cores),
    bus: record.bus,
    judged: !options.quick && !options.pretend,
    libcudart: record.machine.libcudart,
    together: togetherOn(record.machine),
    late: () => performance.now() > deadline,
    get limit() {
      return Math.max(15, Math.min(BUILD_LIMIT, (end - performance.now()) / 1000))
    },
    hopeless: () => tally.good === 0 && tally.bad >= HOPELESS,
    count: (good) => {
      tally[good ? 'good' : 'bad']++
    },
    say: (line) => process.stderr.write(`${line}\n`),
  }
}

const runParts = async (options, record, save) => {
  const began = performance.now()
  const folder = openFolder(options)
  record.storage = isMemory(folder) ? 'memory' : 'disk'
  const run = async (part, key, work) => {
    if (!options.only.includes(part)) return
    const from = performance.now()
    try {
      record[key] = await work(settingsFor(options, record, began, part), (value) => {
        record[key] = value
        save()
      })
    } catch (error) {
      record[key] = { problem: error.message }
    }
    record.seconds[key] = (performance.now() - from) / 1000
    save()
  }
  await run('bus', 'bus', () => measureBus(record.machine, options))
  await run('correctness', 'correctness', async (settings, tell) =>
    checkCorrectness(await openCases(options, folder), settings, tell),
  )
  rmSync(join(folder, 'cases'), { recursive: true, force: true })
  await run('merges', 'merges', (settings, tell) => {
    const models = join(folder, 'models')
    record.modelBytes = makeModels(models, { small: options.quick, say: settings.say })
    return measureMerges(models, settings, tell)
  })
  rmSync(join(folder, 'models'), { recursive: true, force: true })
  await run('full-device', 'fullDevice', (settings, tell) => {
    if (options.pretend) return { problem: 'not tried: there is no device whose memory could be taken' }
    const models = join(folder, 'small')
    makeModels(models, { small: true, say: settings.say })
    return checkFullDevice(models, settings, tell)
  })
}

const count = (n, what) => `${n} ${what}${n === 1 ? '' : 's'}`

/** Names with what is wrong with each, those of one wrong together. */
const grouped = (pairs) =>
  [...new Set(pairs.map(([, text]) => text))].map(
    (text) => `${[...new Set(pairs.filter((pair) => pair[1] === text).map(([name]) => name))].join(', ')}: ${text}`,
  )

const mergeReasons = (rows) =>
  grouped(
    rows.flatMap(({ name, problem, cpu, device, differences }) => {
      if (problem !== undefined) return [[name, problem]]
      const ran = cpu.runs > 0 && device.runs > 0
      return [
        ...(device.problem === undefined ? [] : [[`${name} on the device`, device.problem]]),
        ...(cpu.problem === undefined ? [] : [[`${name} on the processor`, cpu.problem]]),
        ...(ran && device.device === 'cpu' ? [[name, 'the processor computed what the device should have']] : []),
        ...(ran && differences === undefined ? [[name, 'the files were not compared']] : []),
        ...(ran && differences !== undefined && differences.length > 0
          ? [[name, 'the device wrote another file']]
          : []),
      ]
    }),
  )

/** Everything that speaks against the device, as phrases. */
const reasonsOf = ({ bus, correctness, merges, fullDevice }, { pretend }) => [
  ...(bus === undefined || (bus.problem === undefined && bus.intact) || (pretend && bus.problem !== undefined)
    ? []
    : [
        bus.problem === undefined
          ? 'bytes came back changed from the device'
          : `the bus was not measured: ${bus.problem}`,
      ]),
  ...(correctness === undefined
    ? []
    : correctness.problem !== undefined
      ? [`the cases were not built: ${correctness.problem}`]
      : [
          ...(correctness.cases === 0 ? ['no case was built'] : []),
          ...(correctness.differences === 0
            ? []
            : [
                `${count(correctness.differences, 'difference')} in ${count(correctness.cases - correctness.equal, 'case')}`,
              ]),
          ...(!pretend && correctness.sets.some(({ device }) => device === 'cpu')
            ? ['the processor computed what the device should have']
            : []),
        ]),
  ...(merges === undefined
    ? []
    : merges.problem !== undefined
      ? [`the merges were not measured: ${merges.problem}`]
      : mergeReasons(
          pretend
            ? merges.map((row) =>
                row.device === undefined ? row : { ...row, device: { ...row.device, device: undefined } },
              )
            : merges,
        )),
  ...(fullDevice === undefined || pretend
    ? []
    : fullDevice.problem !== undefined
      ? [`the full device was not tried: ${fullDevice.problem}`]
      : grouped(
          fullDevice.filter(({ good }) => !good).map(({ name, outcome }) => [`${name} on a full device`, outcome]),
        )),
]

const check = async (options) => {
  const record = {
    v: 1,
    began: new Date().toISOString(),
    status: 'unfinished',
    pretended: options.pretend,
    device: options.device,
    quick: options.quick,
    only: options.only,
    seconds: {},
    reasons: [],
  }
  const save = () => {
    mkdirSync(dirname(options.out), { recursive: true })
    writeFileSync(options.out, `${JSON.stringify(record, undefined, 1)}\n`)
  }
  const end = (status, reasons) => {
    Object.assign(record, { status, reasons, ended: new Date().toISOString() })
    save()
    process.stdout.write(`${renderCheck(record)}the record: ${options.out}\n`)
    return EXIT[status]
  }
  record.machine = await examineMachine(options.index)
  save()
  const { devices, device, problem, doctor } = record.machine
  if (typeof doctor.problem === 'string') return end('failed', [doctor.problem])
  if (options.device === 'webgpu') {
    const { webgpu } = doctor
    if (webgpu === undefined || webgpu.problem !== undefined)
      return end('skipped', [`no device: ${webgpu?.problem ?? 'WebGPU was not looked for'}`])
  } else if (!options.pretend) {
    if (devices === 0 && !hasDriver()) return end('skipped', ['no device'])
    if (device === undefined || problem !== undefined) {
      // What the bus can do is of interest even where smelt will not compute.
      if (options.only.includes('bus') && device !== undefined) record.bus = await measureBus(record.machine, options)
      return end('failed', [
        `smelt does not use the device: ${problem?.message ?? problem ?? `there is no device ${options.index}`}`,
      ])
    }
  }
  try {
    await runParts(options, record, save)
  } catch (error) {
    return end('failed', [error.message])
  }
  const reasons = reasonsOf(record, options)
  if (reasons.length > 0) return end('failed', reasons)
  if (options.pretend) return end('skipped', ['the processor stood in for a GPU, and no GPU was checked'])
  if (options.sets[0] !== '')
    return end('skipped', [`only some cases (${options.sets.join(', ')}) were built, and nothing was wrong`])
  if (options.only.length < PARTS.filter((part) => options.device !== 'webgpu' || !NEED_CUDA.has(part)).length)
    return end('skipped', [`only ${options.only.join(', ')} ran, and nothing was wrong`])
  return end('passed', [])
}

const main = async () => {
  let options
  try {
    options = readOptions()
  } catch (error) {
    process.stderr.write(`${error.message}\n\n${USAGE}\n`)
    return EXIT.usage
  }
  if (options === undefined) {
    process.stdout.write(`${USAGE}\n`)
    return 0
  }
  if (options.bundle === undefined) return check(options)
  const { makeBundle } = await import('./bundle.mjs')
  try {
    await makeBundle(options)
    return 0
  } catch (error) {
    process.stderr.write(`${error.message}\n`)
    return 1
  }
}

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130))
process.exitCode = await main()
