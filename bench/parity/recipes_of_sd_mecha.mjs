// Writes recipes with sd-mecha, imports and builds them, and compares all tensors with what sd-mecha makes of them.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { readModel, writeModel } from './models.mjs'

const here = (path) => fileURLToPath(new URL(path, import.meta.url))
const PYTHON = here('../.venv/bin/python')
const PROGRAM = here('../../dist/bin/smelt.js')
/** sd-mecha computes norms, angles and dot products in float32; of these numbers around 1, the last digits differ. */
const MOST = 1e-3

if (!existsSync(PYTHON)) throw new Error('install the peers first: sh bench/peers.sh')

/** What tells an architecture by its size. */
const WIDTHS = { sd1: 768, xl: 2048 }
const TELLING = /input_blocks\.0\.0\.weight$|input_blocks\.4\.1\.transformer_blocks\.0\.attn2\.to_k\.weight$/

/** What no training changes, and is the same in all models. */
const CONSTANT = /^(?!.*model)|logit_scale/

/** Tensors of an architecture with at most four numbers along each axis, but for those that tell what it is. */
const shapesOf = (family, table) =>
  Object.entries(JSON.parse(gunzipSync(readFileSync(here(`../../test/data/arch/${table}.json.gz`)))))
    .filter(([, [dtype]]) => dtype !== 'I64')
    .map(([name, [, shape]]) => [
      name,
      shape.map((d, axis) =>
        TELLING.test(name) && (name.includes('blocks.0.0') ? axis === 0 : axis === 1)
          ? name.includes('blocks.0.0')
            ? 320
            : WIDTHS[family]
          : Math.min(d, 4),
      ),
    ])

const root = mkdtempSync(join(tmpdir(), 'smelt-sd-mecha-'))
try {
  for (const [family, table] of [
    ['sd1', 'sd15'],
    ['xl', 'sdxl'],
  ])
    for (const [model, name] of ['a', 'b', 'c'].entries()) {
      const tensors = shapesOf(family, table).map(([tensor, shape], i) => {
        const size = shape.reduce((n, d) => n * d, 1)
        const values = Float32Array.from({ length: size }, (_, at) =>
          Math.sin(12.9898 * (CONSTANT.test(tensor) ? 1 : model + 1) + 78.233 * i + 37.719 * at),
        )
        return [tensor, { shape, values }]
      })
      writeModel(join(root, `${family}_${name}.safetensors`), 'f32', new Map(tensors))
    }
  execFileSync(PYTHON, [here('recipes_of_sd_mecha.py'), root, ...process.argv.slice(2)], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, TQDM_DISABLE: '1' },
  })
  const { done, failed } = JSON.parse(readFileSync(join(root, 'merged.json'), 'utf8'))
  for (const [name, why] of Object.entries(failed)) console.log(`${name.padEnd(32)} sd-mecha: ${why.split('\n')[0]}`)
  const smelt = (...args) =>
    execFileSync(process.execPath, [PROGRAM, ...args], { cwd: root, stdio: ['ignore', 'ignore', 'pipe'] })
  for (const name of done) {
    let worst = Infinity
    try {
      smelt('import', `${name}.mecha`, '-o', `${name}.yaml`, '--models', '.')
      const recipe = readFileSync(join(root, `${name}.yaml`), 'utf8')
      writeFileSync(join(root, `${name}.yaml`), recipe.replace(/dtype: (f16|bf16)/, 'dtype: f32'))
      smelt('build', `${name}.yaml`, '--no-dashboard')
      const [theirs, ours] = [
        readModel(join(root, `${name}.out.safetensors`)),
        readModel(join(root, 'build', `${name}.safetensors`)),
      ]
      const missing = [...theirs.keys()].filter((tensor) => !ours.has(tensor))
      const more = [...ours.keys()].filter((tensor) => !theirs.has(tensor))
      if (missing.length + more.length > 0)
        console.log(`${name}: ${missing.length} tensors missing (${missing[0]}), ${more.length} more (${more[0]})`)
      else worst = 0
      for (const [tensor, { values }] of theirs)
        values.forEach((x, i) => {
          const difference = Math.abs(x - (ours.get(tensor)?.values[i] ?? Infinity))
          worst = Math.max(worst, difference)
        })
    } catch (error) {
      console.log(
        `${name}: ${String(error.stderr ?? error)
          .trim()
          .slice(0, 600)}`,
      )
    }
    console.log(`${name.padEnd(32)} ${worst.toExponential(1)}`)
    if (!(worst <= MOST)) process.exitCode = 1
  }
} finally {
  rmSync(root, { recursive: true, force: true })
}
