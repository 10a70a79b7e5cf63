// Imports each configuration of bench/parity/imports (or those named), builds the recipe, and compares with mergekit.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readModel, writeModel } from './models.mjs'

const here = (path) => fileURLToPath(new URL(path, import.meta.url))
const PYTHON = here('../.venv/bin/python')
const PROGRAM = here('../../dist/bin/smelt.js')
/** mergekit computes angles, norms and dot products in float32; of these numbers around 1, the last digits differ. */
const MOST = 1e-3

if (!existsSync(PYTHON)) throw new Error('install the peers first: sh bench/peers.sh')

const [HIDDEN, INNER, LAYERS, WORDS] = [16, 32, 5, 24]
const CONFIG = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: HIDDEN,
  intermediate_size: INNER,
  num_hidden_layers: LAYERS,
  num_attention_heads: 2,
  num_key_value_heads: 2,
  vocab_size: WORDS,
  torch_dtype: 'float32',
  tie_word_embeddings: false,
  rms_norm_eps: 1e-5,
}

/** Names and shapes of a language model of five layers. */
const shapes = () => [
  ['model.embed_tokens.weight', [WORDS, HIDDEN]],
  ...Array.from({ length: LAYERS }, (_, i) => [
    ...['q', 'k', 'v', 'o'].map((name) => [`model.layers.${i}.self_attn.${name}_proj.weight`, [HIDDEN, HIDDEN]]),
    [`model.layers.${i}.mlp.gate_proj.weight`, [INNER, HIDDEN]],
    [`model.layers.${i}.mlp.up_proj.weight`, [INNER, HIDDEN]],
    [`model.layers.${i}.mlp.down_proj.weight`, [HIDDEN, INNER]],
    [`model.layers.${i}.input_layernorm.weight`, [HIDDEN]],
    [`model.layers.${i}.post_attention_layernorm.weight`, [HIDDEN]],
  ]).flat(),
  ['model.norm.weight', [HIDDEN]],
  ['lm_head.weight', [WORDS, HIDDEN]],
]

const root = mkdtempSync(join(tmpdir(), 'smelt-imports-'))
try {
  for (const [model, name] of ['base', 'one', 'two', 'three'].entries()) {
    const folder = join(root, 'models', 'org', name)
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'config.json'), JSON.stringify(CONFIG))
    const tensors = shapes().map(([tensor, shape], i) => {
      const size = shape.reduce((n, d) => n * d, 1)
      const values = Float32Array.from({ length: size }, (_, at) =>
        Math.sin(12.9898 * model + 78.233 * i + 37.719 * at),
      )
      return [tensor, { shape, values }]
    })
    writeModel(join(folder, 'model.safetensors'), 'f32', new Map(tensors))
  }
  const only = process.argv.slice(2)
  const names = readdirSync(here('imports'))
    .map((file) => file.replace(/\.yml$/, ''))
    .filter((name) => only.length === 0 || only.includes(name))
  const configOf = (name) => here(`imports/${name}.yml`)
  const jobs = names.map((name) => ({ config: configOf(name), out: join(root, name) }))
  writeFileSync(join(root, 'jobs.json'), JSON.stringify(jobs))
  execFileSync(PYTHON, [here('imports_with_mergekit.py'), join(root, 'jobs.json')], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, TQDM_DISABLE: '1' },
  })
  const smelt = (...args) =>
    execFileSync(process.execPath, [PROGRAM, ...args], { cwd: root, stdio: ['ignore', 'ignore', 'pipe'] })
  for (const name of names) {
    smelt('import', configOf(name), '-o', `${name}.yaml`, '--models', 'models')
    smelt('build', `${name}.yaml`, '--no-dashboard')
    const [path] = /(?<=path: )\S+/.exec(readFileSync(join(root, `${name}.yaml`), 'utf8').split('\noutputs:')[1])
    const [theirs, ours] = [
      readModel(join(root, name, 'model.safetensors')),
      readModel(join(root, path, 'model.safetensors')),
    ]
    let worst = [...theirs.keys()].sort().join() === [...ours.keys()].sort().join() ? 0 : Infinity
    for (const [tensor, { values }] of theirs)
      values.forEach((x, i) => (worst = Math.max(worst, Math.abs(x - (ours.get(tensor)?.values[i] ?? Infinity)))))
    console.log(`${name.padEnd(20)} ${worst.toExponential(1)}`)
    if (worst > MOST) process.exitCode = 1
    // An output of one name is built by each recipe.
    rmSync(join(root, 'build'), { recursive: true, force: true })
  }
} finally {
  rmSync(root, { recursive: true, force: true })
}
