// Makes mixtures of experts in mergekit-moe and, imported, in smelt, and compares all tensors, those of mergekit taken apart by expert.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readModel, writeModel } from './models.mjs'
import { makeTokenizer } from './tokenizer.mjs'

const here = (path) => fileURLToPath(new URL(path, import.meta.url))
const PYTHON = here('../.venv/bin/python')
const PROGRAM = here('../../dist/bin/smelt.js')
/** Embeddings of prompts are added up in float32 there. */
const MOST = 1e-5

if (!existsSync(PYTHON)) throw new Error('install the peers first: sh bench/peers.sh')

const [HIDDEN, INNER, LAYERS, WORDS] = [16, 32, 2, 40]
const FAMILIES = {
  llama: { architectures: ['LlamaForCausalLM'], model_type: 'llama' },
  qwen2: { architectures: ['Qwen2ForCausalLM'], model_type: 'qwen2', biases: true },
  qwen3: { architectures: ['Qwen3ForCausalLM'], model_type: 'qwen3', norms: true, head_dim: HIDDEN / 2 },
}

const EXPERTS = (family) => `experts:
  - source_model: org/${family}_one
    positive_prompts: ["w1 w2", "w3"]
    negative_prompts: ["w9"]
  - source_model: org/${family}_two
    positive_prompts: ["w4 w5 w6"]
    residual_scale: 0.5
`
const SHARED = (family) => `shared_experts:
  - source_model: org/${family}_base
    positive_prompts: ["w7"]
`
const config = (family, mode, more = '') =>
  `base_model: org/${family}_base\ngate_mode: ${mode}\ndtype: float32\n${EXPERTS(family)}${more}`
const CASES = {
  mixtral: config('llama', 'cheap_embed'),
  mixtral_random: config('llama', 'uniform_random', 'experts_per_token: 1\n'),
  deepseek: config(
    'llama',
    'cheap_embed',
    `architecture: deepseek\nshared_experts:\n  - source_model: org/llama_base\n`,
  ),
  qwen2: config('qwen2', 'cheap_embed', SHARED('qwen2')),
  qwen3: config('qwen3', 'cheap_embed'),
}

const shapesOf = ({ biases = false, norms = false }) => [
  ['model.embed_tokens.weight', [WORDS + 2, HIDDEN]],
  ...Array.from({ length: LAYERS }, (_, i) =>
    [
      ...['q', 'k', 'v', 'o'].map((name) => [`self_attn.${name}_proj.weight`, [HIDDEN, HIDDEN]]),
      ...(biases ? ['q', 'k', 'v'].map((name) => [`self_attn.${name}_proj.bias`, [HIDDEN]]) : []),
      ...(norms ? ['q', 'k'].map((name) => [`self_attn.${name}_norm.weight`, [HIDDEN / 2]]) : []),
      ['mlp.gate_proj.weight', [INNER, HIDDEN]],
      ['mlp.up_proj.weight', [INNER, HIDDEN]],
      ['mlp.down_proj.weight', [HIDDEN, INNER]],
      ['input_layernorm.weight', [HIDDEN]],
      ['post_attention_layernorm.weight', [HIDDEN]],
    ].map(([name, shape]) => [`model.layers.${i}.${name}`, shape]),
  ).flat(),
  ['model.norm.weight', [HIDDEN]],
  ['lm_head.weight', [WORDS + 2, HIDDEN]],
]

/** The bytes of the prompts, and others. */
const TOKENIZER = makeTokenizer(
  [...'wĠ', ...Array.from({ length: WORDS - 2 }, (_, i) => (i < 10 ? `${i}` : `x${i}`))],
  ['<s>', '</s>'],
)

const writeInput = (root, family, name, seed) => {
  const folder = join(root, 'models', 'org', `${family}_${name}`)
  mkdirSync(folder, { recursive: true })
  const { biases, norms, ...own } = FAMILIES[family]
  const settings = {
    ...own,
    hidden_size: HIDDEN,
    intermediate_size: INNER,
    num_hidden_layers: LAYERS,
    num_attention_heads: 2,
    num_key_value_heads: 2,
    vocab_size: WORDS + 2,
    torch_dtype: 'float32',
    tie_word_embeddings: false,
    rms_norm_eps: 1e-5,
    bos_token_id: WORDS,
    eos_token_id: WORDS + 1,
  }
  writeFileSync(join(folder, 'config.json'), JSON.stringify(settings))
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(TOKENIZER))
  writeFileSync(
    join(folder, 'tokenizer_config.json'),
    JSON.stringify({ tokenizer_class: 'PreTrainedTokenizerFast', bos_token: '<s>', eos_token: '</s>' }),
  )
  const tensors = shapesOf({ biases, norms }).map(([tensor, shape], i) => {
    const size = shape.reduce((n, d) => n * d, 1)
    return [
      tensor,
      {
        shape,
        values: Float32Array.from({ length: size }, (_, at) => Math.sin(12.9898 * seed + 78.233 * i + 37.719 * at)),
      },
    ]
  })
  writeModel(join(folder, 'model.safetensors'), 'f32', new Map(tensors))
}

/** The tensors of a model, experts apart and by the names that mergekit has for them. */
const tensorsOf = (path) => {
  const found = new Map()
  for (const [name, { shape, values }] of readModel(path)) {
    const fused = /^(.*\.experts)\.(gate_up|down)_proj$/.exec(name)
    if (fused === null) {
      const plain = name
        .replace('block_sparse_moe', 'mlp')
        .replace(/\.w1\.weight$/, '.gate_proj.weight')
        .replace(/\.w3\.weight$/, '.up_proj.weight')
        .replace(/\.w2\.weight$/, '.down_proj.weight')
      found.set(plain, values)
      continue
    }
    const [, stem, kind] = fused
    const parts = kind === 'down' ? ['down_proj'] : ['gate_proj', 'up_proj']
    const size = values.length / shape[0] / parts.length
    for (let expert = 0; expert < shape[0]; expert++)
      parts.forEach((part, i) => {
        const from = (expert * parts.length + i) * size
        found.set(`${stem}.${expert}.${part}.weight`, values.subarray(from, from + size))
      })
  }
  return found
}

const root = mkdtempSync(join(tmpdir(), 'smelt-experts-'))
try {
  Object.keys(FAMILIES).forEach((family, i) =>
    ['base', 'one', 'two'].forEach((name, j) => writeInput(root, family, name, 3 * i + j + 1)),
  )
  const only = process.argv.slice(2)
  const names = Object.keys(CASES).filter((name) => only.length === 0 || only.includes(name))
  for (const name of names) writeFileSync(join(root, `${name}.yml`), CASES[name])
  const jobs = names.map((name) => ({ config: join(root, `${name}.yml`), out: join(root, name) }))
  writeFileSync(join(root, 'models', 'jobs.json'), JSON.stringify(jobs))
  execFileSync(PYTHON, [here('experts_with_mergekit.py'), 'jobs.json'], {
    cwd: join(root, 'models'),
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, TQDM_DISABLE: '1', HF_HUB_OFFLINE: '1' },
  })
  const smelt = (...args) =>
    execFileSync(process.execPath, [PROGRAM, ...args], { cwd: root, stdio: ['ignore', 'ignore', 'pipe'] })
  for (const name of names) {
    smelt('import', `${name}.yml`, '-o', `${name}.yaml`, '--models', 'models')
    smelt('build', `${name}.yaml`, '--no-dashboard')
    const [path] = /(?<=path: )\S+/.exec(readFileSync(join(root, `${name}.yaml`), 'utf8').split('\noutputs:')[1])
    const [theirs, ours] = [join(root, name), join(root, path)].map((folder) =>
      tensorsOf(join(folder, 'model.safetensors')),
    )
    const differ = [...theirs.keys()]
      .filter((tensor) => !ours.has(tensor))
      .concat([...ours.keys()].filter((tensor) => !theirs.has(tensor)))
    let worst = differ.length === 0 ? 0 : Infinity
    if (differ.length > 0)
      console.log(`${name}: ${differ.length} tensors are in one of them: ${differ.slice(0, 3).join(', ')}`)
    for (const [tensor, values] of theirs) {
      // Random routers are other numbers.
      if (name.endsWith('random') && tensor.endsWith('mlp.gate.weight')) continue
      values.forEach((x, i) => (worst = Math.max(worst, Math.abs(x - (ours.get(tensor)?.[i] ?? Infinity)))))
    }
    console.log(`${name.padEnd(16)} ${worst.toExponential(1)}  ${theirs.size} tensors`)
    if (!(worst <= MOST)) process.exitCode = 1
    rmSync(join(root, 'build'), { recursive: true, force: true })
  }
} finally {
  rmSync(root, { recursive: true, force: true })
}
