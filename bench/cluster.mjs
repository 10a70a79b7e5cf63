// The figures of docs/scale.md that are measured: how long a run of 2,000 parts takes to lay out, and what a build in
// parts costs beyond a build in one piece.
// node bench/cluster.mjs [--gigabytes N] [--folder FOLDER] [--runs N]
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs'
import { randomFillSync } from 'node:crypto'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { layOut } from '../dist/cluster/lay-out.js'
import { measure } from './measure.mjs'
import { openPlace } from './place.mjs'
import { buildCommand, cleanEnvironment, placeRecipe, PROGRAM, WORKERS } from './smelt.mjs'

const { values } = parseArgs({
  options: {
    gigabytes: { type: 'string', default: '4' },
    folder: { type: 'string', default: tmpdir() },
    runs: { type: 'string', default: '5' },
  },
})
const [total, runs] = [Number(values.gigabytes) * 1e9, Number(values.runs)]

/** Two inputs are read and one output is written. */
const FILES = 3
const median = (numbers) => numbers.toSorted((x, y) => x - y)[numbers.length >> 1]
const load = () => loadavg()[0].toFixed(1)

/** Writes a model of bf16 tensors, all of one size, whose numbers are random. */
const writeModel = (path, tensors, rows, columns) => {
  const bytes = 2 * rows * columns
  const header = Object.fromEntries(
    Array.from({ length: tensors }, (_, i) => [
      `layers.${i}.weight`,
      { dtype: 'BF16', shape: [rows, columns], data_offsets: [i * bytes, (i + 1) * bytes] },
    ]),
  )
  const text = JSON.stringify(header)
  const padded = text.padEnd(Math.ceil(text.length / 8) * 8)
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(padded.length))
  // Exponents of ordinary numbers: no NaN, no infinity.
  const block = randomFillSync(Buffer.alloc(bytes)).map((byte, i) => (i % 2 === 0 ? byte : (byte & 0x80) | 0x3c))
  const file = openSync(path, 'w')
  writeSync(file, length)
  writeSync(file, padded)
  for (let i = 0; i < tensors; i++) writeSync(file, block)
  closeSync(file)
}

const recipe = (models, shards) => `smelt: 1
models: { a: ${join(models, 'a.safetensors')}, b: ${join(models, 'b.safetensors')} }
steps: { x: { op: merge.blend, a: a, b: b, keep: 0.3 } }
outputs: { x: { from: x, path: out.safetensors${shards} } }
`

const place = openPlace(values.folder, total + 100e6)
const write = (name, tensors, rows, columns) => {
  const folder = join(place, name)
  mkdirSync(folder)
  for (const model of ['a', 'b']) writeModel(join(folder, `${model}.safetensors`), tensors, rows, columns)
  return folder
}

const layOutOnce = async (path, at) => {
  const [began, before] = [performance.now(), process.cpuUsage()]
  const laid = await layOut(path, { device: 'cpu', parts: 2000, parallel: 16, runs: join(place, `runs${at}`) })
  const { user, system } = process.cpuUsage(before)
  if (laid.type === 'failed') throw new Error(laid.diagnostics[0].message)
  const parts = laid.value.plan.stages.reduce((n, stage) => n + stage.parts, 0)
  return { seconds: (performance.now() - began) / 1000, processor: (user + system) / 1e6, parts }
}

const small = write('small', 2000, 16, 16)
const path = placeRecipe(join(place, 'laid'), recipe(small, ''))
const laid = []
for (let i = 0; i < runs; i++) laid.push(await layOutOnce(path, i))
console.log(
  `${laid[0].parts} parts are laid out in ${median(laid.map((l) => l.seconds)).toFixed(2)} s (processor ${median(laid.map((l) => l.processor)).toFixed(2)} s); load ${load()}`,
)

const [rows, columns] = [4096, 4096]
const tensors = Math.max(1, Math.round(total / FILES / (2 * rows * columns)))
const large = write('large', tensors, rows, columns)
const build = async (name, more) => {
  const work = join(place, 'work')
  const own = placeRecipe(work, recipe(large, `, shard_size: ${Math.ceil(total / FILES / 4e6)}MB`))
  const [node, program, command, , ...rest] = buildCommand(PROGRAM, own)
  const words = more === undefined ? [node, program, command, own, ...rest] : [node, program, command, own, ...more]
  const taken = await measure(words, { folder: work, env: cleanEnvironment(work) })
  rmSync(work, { recursive: true })
  return taken
}
const inParts = (count) => [
  '--quiet',
  ...['--on', 'exec', '--parallel', '1', '--parts', String(count)],
  ...['--exec', `{smelt} work --run {run} --part {part} --workers ${WORKERS}`],
]
const kinds = { 'one machine': undefined, '1 part': inParts(1), '4 parts': inParts(4) }
const taken = Object.fromEntries(Object.keys(kinds).map((name) => [name, []]))
for (let i = 0; i < runs; i++)
  for (const [name, more] of Object.entries(kinds)) taken[name].push(await build(name, more))
const moved = `${((tensors * FILES * 2 * rows * columns) / 1e9).toFixed(1)} GB`
const alone = taken['one machine']
/** What is more than in the build in one piece of the same round, as the median of all rounds. */
const more = (all, what) => {
  const extra = median(all.map((t, i) => t[what] - alone[i][what]))
  return `${extra.toFixed(2)} s more, ${((100 * extra) / median(alone.map((t) => t[what]))).toFixed(1)} %`
}
for (const [name, all] of Object.entries(taken)) {
  const [seconds, processor] = ['seconds', 'processor'].map((what) => median(all.map((t) => t[what])).toFixed(2))
  const beyond = all === alone ? '' : ` (${more(all, 'seconds')}; processor ${more(all, 'processor')})`
  console.log(`${moved}, ${name}: ${seconds} s, processor ${processor} s${beyond}; load ${load()}`)
}
