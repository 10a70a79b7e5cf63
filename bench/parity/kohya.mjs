// Bakes, merges and resizes adapters, and compares with what kohya's scripts make of them. `SD_SCRIPTS` is the path of a
// checkout of kohya-ss/sd-scripts, which is no package; nothing is fetched.
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
const [BEGIN, END] = ['<!-- kohya: begin -->', '<!-- kohya: end -->']
const SCRIPTS = process.env.SD_SCRIPTS ?? ''

if (!existsSync(PYTHON)) throw new Error('install the peers first: sh bench/peers.sh')
if (!existsSync(join(SCRIPTS, 'networks/merge_lora.py')))
  throw new Error('set SD_SCRIPTS to a checkout of kohya-ss/sd-scripts')

/** Steps with the names of one case for those that start with `$`. */
const named = (steps, i) => JSON.parse(JSON.stringify(steps).replace(/"\$(\w+)"/g, `"$1${i}"`))

const root = mkdtempSync(join(tmpdir(), 'smelt-kohya-'))
try {
  execFileSync(PYTHON, [here('with_kohya.py'), SCRIPTS, root], { stdio: ['ignore', 'ignore', 'inherit'] })
  const cases = JSON.parse(readFileSync(join(root, 'cases.json'), 'utf8'))
  const rows = new Map(cases.map(({ name }) => [name, []]))
  for (const dtype of DTYPES) {
    const folder = join(root, dtype)
    const each = (make) => Object.fromEntries(cases.flatMap(make))
    const recipe = {
      smelt: 1,
      models: each((_, i) => [[`base${i}`, `${i}/base.safetensors`]]),
      adapters: each(({ adapters }, i) => adapters.map((a) => [`${a}${i}`, `${i}/${a}.safetensors`])),
      steps: each(({ steps }, i) => Object.entries(named(steps, i))),
      outputs: each((_, i) => [[`out${i}`, { from: `baked${i}`, path: `${i}/ours.safetensors`, dtype }]]),
    }
    writeFileSync(join(folder, 'recipe.yaml'), JSON.stringify(recipe))
    execFileSync(process.execPath, [PROGRAM, 'build', 'recipe.yaml', '--no-dashboard'], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    for (const [i, { name }] of cases.entries()) {
      const [ours, theirs] = ['ours', 'expected'].map((file) => readTensors(join(folder, `${i}/${file}.safetensors`)))
      const { elements, unlike, beyond, relative } = compare(ours, theirs, dtype)
      rows.get(name).push(...(dtype === 'f32' ? [relative.toExponential(1)] : [share(unlike, elements), beyond]))
    }
  }
  const table = [
    `Taken on ${new Date().toISOString().slice(0, 10)}.`,
    '',
    '| script | f32: greatest difference, beside the greatest number | f16: elements that differ | by more than one unit | bf16: elements that differ | by more than one unit |',
    '|---|---|---|---|---|---|',
    ...[...rows].map(([name, shown]) => `| ${name} | ${shown.join(' | ')} |`),
  ].join('\n')
  console.log(table)
  const text = readFileSync(README, 'utf8')
  const [before, rest] = text.split(BEGIN)
  writeFileSync(README, `${before}${BEGIN}\n\n${table}\n\n${END}${rest.split(END)[1]}`)
} finally {
  rmSync(root, { recursive: true, force: true })
}
