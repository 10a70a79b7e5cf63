// Merges models with different tokens in mergekit and, imported, in smelt, and compares the rows of every token and all other tensors.
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
/** Means and norms are computed in float32 there; of numbers around 1, the last digits differ. */
const MOST = 1e-5

if (!existsSync(PYTHON)) throw new Error('install the peers first: sh bench/peers.sh')

const HIDDEN = 16
const CONFIG = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: HIDDEN,
  intermediate_size: HIDDEN,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  num_key_value_heads: 2,
  torch_dtype: 'float32',
  rms_norm_eps: 1e-5,
}

/** The words of each model's tokens, its added tokens, and rows beyond them. */
const MODELS = {
  base: { from: 0, count: 40, added: ['</s>'], padding: 7 },
  chat: { from: 0, count: 40, added: ['</s>', '<|im_start|>', '<|im_end|>'], padding: 0 },
  code: { from: 5, count: 44, added: ['</s>', '<|im_start|>', '<|call|>'], padding: 3 },
  tied: { from: 2, count: 50, added: ['</s>', '<|tool|>'], padding: 0, tied: true },
}

const LINEAR = (...names) =>
  `merge_method: linear\nmodels:\n${names.map((name, i) => `  - model: org/${name}\n    parameters: { weight: ${(i + 1) / 5} }\n`).join('')}`
const TIES = `merge_method: ties\nbase_model: org/base\nmodels:\n${['chat', 'code']
  .map((name) => `  - model: org/${name}\n    parameters: { weight: 0.5, density: 0.5 }\n`)
  .join('')}`
const CASES = {
  union: `${LINEAR('base', 'chat', 'code')}base_model: org/base\ntokenizer_source: union\n`,
  union_ties: `${TIES}tokenizer_source: union\n`,
  union_slerp: `merge_method: slerp\nbase_model: org/base\nmodels: [{ model: org/base }, { model: org/chat }]\nparameters: { t: 0.3 }\ntokenizer_source: union\n`,
  base: `${TIES}tokenizer_source: base\n`,
  model: `${TIES}tokenizer_source: org/code\n`,
  padded: `${LINEAR('base', 'chat', 'code')}base_model: org/base\ntokenizer: { source: union, pad_to_multiple_of: 64 }\n`,
  padded_ties: `${TIES}tokenizer: { source: union, pad_to_multiple_of: 64 }\n`,
  tied: `${LINEAR('base', 'tied', 'chat')}base_model: org/base\ntokenizer_source: union\n`,
  tokens: `${LINEAR('base', 'chat', 'code')}base_model: org/base
tokenizer:
  source: union
  tokens:
    "<|im_start|>": { source: org/chat, force: true }
    "<|call|>": { source: { kind: model_token, model: org/chat, token: "<|im_end|>" } }
    "</s>": { source: { kind: model_token, model: org/code, token_id: 3 }, force: true }
    w7: { source: org/code }
`,
}

const writeInput = (root, [name, { from, count, added, padding, tied = false }], seed) => {
  const folder = join(root, 'models', 'org', name)
  mkdirSync(folder, { recursive: true })
  const words = Array.from({ length: count }, (_, i) => `w${from + ((i * 7) % count)}`)
  const rows = count + added.length + padding
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...CONFIG, vocab_size: rows, tie_word_embeddings: tied }))
  writeFileSync(
    join(folder, 'tokenizer_config.json'),
    JSON.stringify({ tokenizer_class: 'PreTrainedTokenizerFast', eos_token: '</s>' }),
  )
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(makeTokenizer(words, added)))
  const shapes = [
    ['model.embed_tokens.weight', [rows, HIDDEN]],
    ...['q', 'k', 'v', 'o'].map((part) => [`model.layers.0.self_attn.${part}_proj.weight`, [HIDDEN, HIDDEN]]),
    ...['gate', 'up', 'down'].map((part) => [`model.layers.0.mlp.${part}_proj.weight`, [HIDDEN, HIDDEN]]),
    ['model.layers.0.input_layernorm.weight', [HIDDEN]],
    ['model.layers.0.post_attention_layernorm.weight', [HIDDEN]],
    ['model.norm.weight', [HIDDEN]],
    ...(tied ? [] : [['lm_head.weight', [rows, HIDDEN]]]),
  ]
  const tensors = shapes.map(([tensor, shape], i) => [
    tensor,
    {
      shape,
      values: Float32Array.from({ length: shape.reduce((n, d) => n * d, 1) }, (_, at) =>
        Math.sin(12.9898 * seed + 78.233 * i + 37.719 * at),
      ),
    },
  ])
  writeModel(join(folder, 'model.safetensors'), 'f32', new Map(tensors))
}

/** Ids by token. */
const idsIn = (folder) => {
  const { model, added_tokens: added } = JSON.parse(readFileSync(join(folder, 'tokenizer.json'), 'utf8'))
  return new Map([...Object.entries(model.vocab), ...added.map(({ content, id }) => [content, id])])
}

const root = mkdtempSync(join(tmpdir(), 'smelt-vocabularies-'))
try {
  Object.entries(MODELS).forEach((model, seed) => writeInput(root, model, seed + 1))
  const only = process.argv.slice(2)
  const names = Object.keys(CASES).filter((name) => only.length === 0 || only.includes(name))
  for (const name of names) writeFileSync(join(root, `${name}.yml`), `${CASES[name]}dtype: float32\n`)
  const jobs = names.map((name) => ({ config: join(root, `${name}.yml`), out: join(root, name) }))
  writeFileSync(join(root, 'models', 'jobs.json'), JSON.stringify(jobs))
  execFileSync(PYTHON, [here('imports_with_mergekit.py'), 'jobs.json'], {
    cwd: join(root, 'models'),
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, TQDM_DISABLE: '1' },
  })
  const smelt = (...args) =>
    execFileSync(process.execPath, [PROGRAM, ...args], { cwd: root, stdio: ['ignore', 'ignore', 'pipe'] })
  for (const name of names) {
    smelt('import', `${name}.yml`, '-o', `${name}.yaml`, '--models', 'models')
    smelt('build', `${name}.yaml`, '--no-dashboard')
    const [path] = /(?<=path: )\S+/.exec(readFileSync(join(root, `${name}.yaml`), 'utf8').split('\noutputs:')[1])
    const [theirs, ours] = [join(root, name), join(root, path)]
    const [theirIds, ourIds] = [idsIn(theirs), idsIn(ours)]
    const same = [...theirIds.keys()].sort().join('\n') === [...ourIds.keys()].sort().join('\n')
    const moved = [...theirIds].filter(([token, id]) => ourIds.get(token) !== id).length
    const [expected, found] = [theirs, ours].map((folder) => readModel(join(folder, 'model.safetensors')))
    let worst = same && [...expected.keys()].sort().join() === [...found.keys()].sort().join() ? 0 : Infinity
    const compare = (x, y) => {
      x.forEach((value, i) => (worst = Math.max(worst, Math.abs(value - (y?.[i] ?? Infinity)))))
      if (x.length !== y?.length) worst = Infinity
    }
    for (const [tensor, { shape, values }] of expected) {
      const other = found.get(tensor)
      if (!/embed_tokens|lm_head/.test(tensor)) {
        compare(values, other?.values)
        continue
      }
      if (shape.join() !== other?.shape.join()) worst = Infinity
      const row = (from, id) => from.subarray(id * HIDDEN, (id + 1) * HIDDEN)
      for (const [token, id] of theirIds) compare(row(values, id), row(other.values, ourIds.get(token)))
      // Rows of padding are equal before the merge: where a density cuts among them, which are kept is anybody’s choice.
      const padding = (from, column) =>
        Float32Array.from({ length: shape[0] - theirIds.size }, (_, i) => row(from, theirIds.size + i)[column]).sort()
      for (let column = 0; column < HIDDEN; column++) compare(padding(values, column), padding(other.values, column))
    }
    const [size, ourSize] = [theirs, ours].map(
      (folder) => JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')).vocab_size,
    )
    if (size !== ourSize) worst = Infinity
    console.log(
      `${name.padEnd(14)} ${worst.toExponential(1)}  ${theirIds.size} tokens, ${size} rows, ${moved} with another id`,
    )
    if (!(worst <= MOST)) process.exitCode = 1
    rmSync(join(root, 'build'), { recursive: true, force: true })
  }
} finally {
  rmSync(root, { recursive: true, force: true })
}
