// `npm run build && node bench/footprint.mjs [NAME] [--workers N]`: the memory that the plan says each recipe takes at
// most, beside what its build took.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { readTable, writeSparse } from './checkpoint.mjs'
import { closePlace, openPlace } from './place.mjs'
import { fullRecipe, MERGES } from './recipes.mjs'
import { cleanEnvironment, PROGRAM } from './smelt.mjs'
import { manyTensors } from './sizes.mjs'

const RECIPES = fileURLToPath(new URL('../recipes/', import.meta.url))
/**
 * The files that the recipes of the folder `recipes` expect beside them; all are of one shape, which is what memory
 * depends on.
 */
const FILES = [
  'base',
  'first',
  'second',
  'one',
  'two',
  'three',
  'four',
  'mine',
  'other',
  'painter',
  'reader',
  'checkpoint',
  'sd15',
  'sd15-inpainting',
  'tuned',
  'sdxl',
  'a',
  'b',
  'c',
]

const adapterTable = () =>
  [0, 1, 11]
    .map((i) =>
      ['q', 'k', 'v', 'out_0'].map((x) => [
        `lora_te_text_model_encoder_layers_${i}_self_attn_${x === 'out_0' ? 'out_proj' : `${x}_proj`}`,
        128,
      ]),
    )
    .flat()
    .flatMap(([name, rank]) => [
      [`${name}.lora_up.weight`, 'F16', [768, rank]],
      [`${name}.lora_down.weight`, 'F16', [rank, 768]],
    ])

const reportRecipe = (folder, op, inputs, extra = '') => `smelt: 1
models: { a: ${folder}/a.safetensors, b: ${folder}/b.safetensors }
steps:
  told: { op: ${op}, ${inputs}${extra} }
outputs:
  html: { from: told, path: told.html }
  png: { from: told, path: told.png }
`

const CASES = [
  ...readdirSync(RECIPES).map((file) => ({
    name: basename(file, '.yaml'),
    write: () => readFileSync(join(RECIPES, file), 'utf8'),
  })),
  ...MERGES.map(({ name, write }) => ({ name: `merge-${name}`, write })),
  { name: 'everything', write: fullRecipe },
  { name: 'report-model', write: (folder) => reportRecipe(folder, 'report.model', 'model: a') },
  { name: 'report-diff', write: (folder) => reportRecipe(folder, 'report.diff', 'a: a, b: b') },
  { name: 'linear-report', write: MERGES[0].write, flags: ['--report', 'run.html'] },
  { name: 'ties-report', write: MERGES.find(({ name }) => name === 'ties').write, flags: ['--report', 'run.png'] },
  ...[10_000, 30_000].flatMap((n) =>
    ['linear', 'ties'].map((kind) => ({
      name: `${n / 1000}k-${kind}`,
      write: (folder) => manyTensors(folder, n, kind),
    })),
  ),
  { name: '30k-report', write: (folder) => manyTensors(folder, 30_000, 'linear'), flags: ['--report', 'run.html'] },
]

const { values, positionals } = parseArgs({
  options: { workers: { type: 'string', default: '2' } },
  allowPositionals: true,
})
const models = openPlace(tmpdir(), 2e9, 1e9)
/**
 * Blocks that are like their neighbours: without them a model is a third as large, and has every kind of block and
 * layer.
 */
const ALIKE =
  /\.input_blocks\.(1|3|5|6|7|9|10)\.|\.output_blocks\.([1-7]|9|10)\.|\.layers\.([2-9]|10)\.|\.(up|down)\.[12]\./
const table = readTable('sd15').filter(([name]) => !ALIKE.test(name))
FILES.forEach((file, i) => writeSparse(join(models, `${file}.safetensors`), table, i))
writeSparse(join(models, 'lora.safetensors'), adapterTable(), 99)

console.log('| recipe | workers | plan says MB | took MB | times |\n| --- | ---: | ---: | ---: | ---: |')
for (const { name, write, flags = [] } of CASES) {
  if (positionals.length > 0 && !positionals.some((text) => name.includes(text))) continue
  const work = join(models, 'work')
  mkdirSync(work)
  try {
    for (const file of [...FILES, 'lora'])
      symlinkSync(join(models, `${file}.safetensors`), join(work, `${file}.safetensors`))
    const recipe = join(work, 'recipe.yaml')
    writeFileSync(recipe, write(models))
    const record = join(work, 'time.txt')
    const { stdout, stderr, status } = spawnSync(
      '/usr/bin/time',
      [
        '-q',
        '-o',
        record,
        '-f',
        '%M',
        process.execPath,
        PROGRAM,
        'build',
        recipe,
        '--json',
        '--workers',
        values.workers,
        ...flags,
      ],
      { cwd: work, env: { ...process.env, ...cleanEnvironment(work) }, encoding: 'utf8', maxBuffer: 1 << 30 },
    )
    if (status !== 0)
      throw new Error(
        stdout
          .split('\n')
          .find((line) => line.includes('"severity":"error"'))
          ?.slice(0, 300) ?? stderr.slice(0, 300),
      )
    const said = JSON.parse(stdout.split('\n').find((line) => line.includes('"run-started"'))).memoryBudget / 1e6
    const megabytes = (Number(readFileSync(record, 'utf8')) * 1024) / 1e6
    console.log(
      `| ${name} | ${values.workers} | ${said.toFixed(0)} | ${megabytes.toFixed(0)} | ${(said / megabytes).toFixed(2)} |`,
    )
  } catch (error) {
    console.log(`| ${name} | | | ${error.message.split('\n')[0]} | |`)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}
closePlace(models)
