// Bakes adapters of every kind that LyCORIS and PEFT made, and compares with what these make of them. `--only TEXT` takes
// the cases whose names contain it, and prints the table without writing it.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { decode, encode } from '../../dist/kernels/convert.js'

const here = (path) => fileURLToPath(new URL(path, import.meta.url))
const PYTHON = process.env.PEERS_PYTHON ?? here('../.venv/bin/python')
const PROGRAM = here('../../dist/bin/smelt.js')
const README = here('README.md')
const [BEGIN, END] = ['<!-- adapters: begin -->', '<!-- adapters: end -->']
const DTYPES = ['f32', 'f16', 'bf16']
/** Digits of a number in each dtype, its hidden one included, and the exponent of its smallest normal number. */
const PRECISION = { f32: [24, -126], f16: [11, -14], bf16: [8, -126] }

if (!existsSync(PYTHON)) throw new Error('install the peers first: sh bench/peers.sh')

/** The tensors of a small file as float32 numbers. */
const readTensors = (path) => {
  const bytes = readFileSync(path)
  const length = Number(bytes.readBigUInt64LE(0))
  const header = JSON.parse(bytes.subarray(8, 8 + length).toString())
  return new Map(
    Object.entries(header)
      .filter(([name]) => name !== '__metadata__')
      .map(
        ([
          name,
          {
            dtype,
            data_offsets: [begin, end],
          },
        ]) => {
          const { buffer } = Uint8Array.from(bytes.subarray(8 + length + begin, 8 + length + end))
          return [name, dtype === 'F32' ? new Float32Array(buffer) : decode(dtype, new Uint16Array(buffer))]
        },
      ),
  )
}

const rounded = (values, dtype) =>
  dtype === 'f32' ? values : decode(dtype.toUpperCase(), encode(dtype.toUpperCase(), values))

/** One unit in the last place of a dtype at a number. */
const unitAt = (x, dtype) => {
  const [digits, least] = PRECISION[dtype]
  return 2 ** (Math.max(Math.floor(Math.log2(Math.abs(x) || 2 ** least)), least) - digits + 1)
}

const compare = (ours, theirs, dtype) => {
  let [elements, unlike, beyond, relative] = [0, 0, 0, 0]
  for (const [name, expected] of theirs) {
    const wanted = rounded(expected, dtype)
    const found = ours.get(name)
    const greatest = expected.reduce((most, x) => Math.max(most, Math.abs(x)), 0)
    for (const [i, x] of wanted.entries()) {
      elements++
      const difference = Math.abs(x - found[i])
      if (difference === 0) continue
      unlike++
      if (difference > unitAt(Math.max(Math.abs(x), Math.abs(found[i])), dtype)) beyond++
      relative = Math.max(relative, difference / greatest)
    }
  }
  return { elements, unlike, beyond, relative }
}

const share = (part, whole) => (part === 0 ? '0' : `${((100 * part) / whole).toPrecision(2)} %`)

const root = mkdtempSync(join(tmpdir(), 'smelt-adapters-'))
try {
  execFileSync(PYTHON, [here('with_adapter_trainers.py'), root], { stdio: ['ignore', 'ignore', 'inherit'] })
  const at = process.argv.indexOf('--only')
  const only = at < 0 ? '' : process.argv[at + 1]
  const cases = JSON.parse(readFileSync(join(root, 'cases.json'), 'utf8'))
  const chosen = [...cases.keys()].filter((i) => cases[i].includes(only))
  const rows = new Map(chosen.map((i) => [i, []]))
  for (const dtype of DTYPES) {
    const folder = join(root, dtype)
    const isPeft = (i) => cases[i].startsWith('PEFT')
    writeFileSync(
      join(folder, 'recipe.yaml'),
      JSON.stringify({
        smelt: 1,
        models: Object.fromEntries(chosen.map((i) => [`base${i}`, `${i}/base.safetensors`])),
        adapters: Object.fromEntries(
          chosen.map((i) => [`adapter${i}`, isPeft(i) ? `${i}/adapter` : `${i}/adapter.safetensors`]),
        ),
        steps: Object.fromEntries(
          chosen.map((i) => [`baked${i}`, { op: 'adapter.apply', model: `base${i}`, adapter: `adapter${i}` }]),
        ),
        outputs: Object.fromEntries(
          chosen.map((i) => [`out${i}`, { from: `baked${i}`, path: `${i}/ours.safetensors`, dtype }]),
        ),
      }),
    )
    execFileSync(process.execPath, [PROGRAM, 'build', 'recipe.yaml', '--no-dashboard'], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    for (const i of chosen) {
      const [ours, theirs] = ['ours', 'expected'].map((name) => readTensors(join(folder, `${i}/${name}.safetensors`)))
      const { elements, unlike, beyond, relative } = compare(ours, theirs, dtype)
      const shown = dtype === 'f32' ? [relative.toExponential(1)] : [share(unlike, elements), beyond]
      rows.get(i).push(...shown)
    }
  }
  const table = [
    `Taken on ${new Date().toISOString().slice(0, 10)}.`,
    '',
    '| adapter | f32: greatest difference, beside the greatest number | f16: elements that differ | by more than one unit | bf16: elements that differ | by more than one unit |',
    '|---|---|---|---|---|---|',
    ...[...rows].map(([i, shown]) => `| ${cases[i]} | ${shown.join(' | ')} |`),
  ].join('\n')
  console.log(table)
  if (at < 0) {
    const text = readFileSync(README, 'utf8')
    const [before, rest] = text.split(BEGIN)
    writeFileSync(README, `${before}${BEGIN}\n\n${table}\n\n${END}${rest.split(END)[1]}`)
  }
} finally {
  rmSync(root, { recursive: true, force: true })
}
