// Bakes adapters of every kind that LyCORIS and PEFT made, and compares with what these make of them. `--only TEXT` takes
// the cases whose names contain it, and prints the table without writing it.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { compare, DTYPES, readTensors, share } from './compare.mjs'

const here = (path) => fileURLToPath(new URL(path, import.meta.url))
const PYTHON = process.env.PEERS_PYTHON ?? here('../.venv/bin/python')
const PROGRAM = here('../../dist/bin/smelt.js')
const README = here('README.md')
const [BEGIN, END] = ['<!-- adapters: begin -->', '<!-- adapters: end -->']

if (!existsSync(PYTHON)) throw new Error('install the peers first: sh bench/peers.sh')

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
