// What one worker's time goes to, in nanoseconds of processor time an element of the output: `npm run bench -- --profile CASE`.
import fs from 'node:fs'
import { join } from 'node:path'
import { Blake3Hasher } from '@napi-rs/blake-hash'
import { loadKernels } from '../dist/kernels/kernels.js'
import { build } from '../dist/run/build.js'
import { createEngine } from '../dist/run/devices/create-engine.js'
import { createExecutor } from '../dist/run/execute.js'
import { workOff } from '../dist/run/worker.js'
import { bytesOf, inputBytes, readTable, writeInput } from './checkpoint.mjs'
import { median } from './measure.mjs'
import { METHODS, methodTable } from './methods.mjs'
import { closePlace, openPlace } from './place.mjs'
import { MERGES } from './recipes.mjs'
import { placeRecipe } from './smelt.mjs'

const PHASES = {
  read: 'read',
  'hash input': 'hash what is read',
  draw: 'random and other generated inputs',
  measure: 'arithmetic of passes that measure',
  write: 'arithmetic of the pass that writes, with rounding',
  count: 'histograms',
  sum: 'sums and products',
  check: 'look for NaN and infinity',
  'hash output': 'hash what is written',
  store: 'write',
  other: 'everything else of the worker',
  main: 'planning, scheduling, files',
}

const KERNELS = {
  histogramHigh: 'count',
  histogramLow: 'count',
  histogramRange: 'count',
  sum: 'sum',
  sumAbs: 'sum',
  dot: 'sum',
  sumTurns: 'sum',
  dotTurns: 'sum',
  maxTurns: 'sum',
  peakTurns: 'sum',
  bernoulli: 'draw',
  uniform: 'draw',
  gaussian: 'draw',
  partition: 'draw',
  lowRankRows: 'draw',
  exactRows: 'draw',
  firstNonFinite: 'check',
}

/** Processor time of this process in nanoseconds: on a shared machine wall time tells what others do. */
const now = () => {
  const { user, system } = process.cpuUsage()
  return BigInt(1000 * (user + system))
}

const spent = new Map()
/** What `work` takes, less what it counts as something else itself. */
const timed = (phase, work) => {
  const [began, before] = [now(), inner]
  try {
    return work()
  } finally {
    const all = now() - began
    spent.set(phase, (spent.get(phase) ?? 0n) + all - (inner - before))
    inner = before + all
  }
}
let inner = 0n
let hashing = 'hash output'

const wrap = (object, name, phaseOf) => {
  const plain = object[name]
  object[name] = function (...args) {
    return timed(phaseOf(), () => plain.apply(this, args))
  }
}
wrap(Blake3Hasher.prototype, 'update', () => hashing)
wrap(fs, 'writeSync', () => 'store')
wrap(fs, 'readSync', () => {
  hashing = 'hash input'
  return 'read'
})

/** A worker in this thread, one task after the other. */
const profiledWorker = ({ engine: options, temporary, cutting }) => {
  const plain = loadKernels()
  const kernels = Object.fromEntries(
    Object.entries(plain).map(([name, kernel]) => [
      name,
      KERNELS[name] === undefined ? kernel : (...args) => timed(KERNELS[name], () => kernel(...args)),
    ]),
  )
  let measures = false
  const executor = createEngine(options, kernels).then((engine) =>
    createExecutor({
      kernels,
      engine: {
        ...engine,
        run: (...args) => {
          hashing = 'hash output'
          return timed(measures ? 'measure' : 'write', () => engine.run(...args))
        },
      },
      temporary,
      cutting,
      stopping: () => false,
    }),
  )
  const listeners = []
  let exited = () => undefined
  let last = executor
  return {
    send: (task) => {
      last = last.then(async () => {
        if (task === undefined) {
          await (await executor).close()
          return exited(undefined)
        }
        const run = await executor
        const results = []
        for (const unit of task) {
          measures = unit.type === 'compute' && unit.takes.length > 0
          const began = now()
          const before = inner
          results.push((await workOff({ run: (u) => run.run(u), close: () => undefined }, [unit])).results[0])
          const all = now() - began
          spent.set('other', (spent.get('other') ?? 0n) + all - (inner - before))
          inner = before + all
        }
        for (const listener of listeners) listener({ type: 'done', results })
      })
    },
    onAnswer: (listener) => listeners.push(listener),
    onExit: (listener) => {
      exited = listener
    },
  }
}

/** Bytes a second that one thread copies between two buffers larger than its caches. */
const copySpeed = () => {
  const [from, to] = [new Uint8Array(1 << 28).fill(1), new Uint8Array(1 << 28).fill(2)]
  return median(
    Array.from({ length: 7 }, () => {
      const began = performance.now()
      to.set(from)
      return (1000 * from.length) / (performance.now() - began)
    }),
  )
}

/** Measures one merge a few times with one worker in this thread, and prints a table. */
export const profile = async ({ name, small, folder: parent, runs, engine, say }) => {
  const known = [...MERGES, ...METHODS]
  const merge = known.find((m) => m.name === name)
  if (merge === undefined) throw new Error(`--profile is one of ${known.map((m) => m.name).join(', ')}`)
  const table = MERGES.includes(merge) ? readTable('sd15', { shrink: small }) : methodTable(small)
  const bytes = bytesOf(table)
  const moved = merge.reads.reduce((n, input) => n + inputBytes(table, input), bytes)
  const folder = openPlace(parent, moved)
  try {
    for (const input of merge.reads) writeInput(join(folder, `${input}.safetensors`), table, input)
    const rounds = []
    for (let round = 0; round < runs; round++) {
      const work = join(folder, 'work')
      const path = placeRecipe(work, merge.write(folder))
      spent.clear()
      inner = 0n
      const began = now()
      const built = await build(path, { workers: 1, start: profiledWorker, lock: false, engine })
      const all = now() - began
      if (built.type === 'failed') throw new Error(built.diagnostics[0].message)
      const working = [...spent.values()].reduce((sum, x) => sum + x, 0n)
      rounds.push(new Map([...spent, ['main', all - working], ['all', all]]))
      closePlace(work)
      say(`${name} · ${(Number(all) / 1e9).toFixed(2)} s`)
    }
    const elements = bytes / 2
    const at = (phase) => median(rounds.map((r) => Number(r.get(phase) ?? 0n))) / elements
    const rows = Object.entries(PHASES).map(([phase, title]) => `| ${title} | ${at(phase).toFixed(2)} |`)
    const speed = copySpeed()
    return [
      `${merge.title}, one worker, ${(elements / 1e6).toFixed(0)} M elements of the output, median of ${runs}.`,
      '',
      '| phase | processor ns an element |',
      '| --- | ---: |',
      ...rows,
      `| all | ${at('all').toFixed(2)} |`,
      '',
      `A copy loop moves ${(speed / 1e9).toFixed(1)} GB/s here; reading each input once and writing the output at that speed takes ${((1e9 * moved) / speed / elements).toFixed(2)} ns an element.`,
    ].join('\n')
  } finally {
    closePlace(folder)
  }
}
