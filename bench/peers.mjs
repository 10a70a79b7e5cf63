// The other programs that do the same work, as bench/peers.sh installs them.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { OUT } from './recipes.mjs'

const here = (path) => fileURLToPath(new URL(path, import.meta.url))
const PYTHON = here('.venv/bin/python')

const script = (name) => (method, folder, work, reads) => [
  PYTHON,
  here(`peers/${name}.py`),
  method,
  join(work, OUT),
  ...reads.map((model) => join(folder, `${model}.safetensors`)),
]

/** Each merge in mergekit's words. `base`: the first file is the base; `each`: parameters of every other file. */
const MERGEKIT = {
  linear: { method: 'linear', each: { weight: 0.5 } },
  slerp: { method: 'slerp', base: true, parameters: { t: 0.5 } },
  dare: { method: 'dare_linear', base: true, each: { weight: 1, density: 0.1 } },
  ties: { method: 'ties', base: true, each: { weight: 1, density: 0.2 } },
  'dare-ties': { method: 'dare_ties', base: true, each: { weight: 1, density: 0.1 } },
}

const mergekit = (name, folder, work, reads) => {
  const { method, base = false, each = {}, parameters = {} } = MERGEKIT[name]
  const paths = reads.map((model) => join(folder, `${model}.safetensors`))
  const config = join(work, 'mergekit.yaml')
  // JSON is YAML.
  const text = JSON.stringify({
    merge_method: method,
    ...(base ? { base_model: paths[0] } : {}),
    models: paths.slice(base ? 1 : 0).map((model) => ({ model, parameters: each })),
    parameters,
    dtype: 'float32',
    out_dtype: 'float16',
  })
  writeFileSync(config, text)
  return [here('.venv/bin/mergekit-pytorch'), config, join(work, 'mergekit')]
}

/** Every peer: its package, the merges it can do and how its command is made, and what it writes. */
const PEERS = [
  {
    name: 'PyTorch script',
    log: 'pytorch',
    distribution: 'torch',
    methods: ['linear', 'slerp', 'dare', 'mask', 'lora', 'ties', 'dare-ties'],
    command: script('plain_pytorch'),
    output: OUT,
  },
  {
    name: 'sd-mecha',
    log: 'sd-mecha',
    distribution: 'sd-mecha',
    methods: ['linear', 'slerp', 'dare', 'ties', 'dare-ties'],
    command: script('with_sd_mecha'),
    output: OUT,
  },
  {
    name: 'mergekit',
    log: 'mergekit',
    distribution: 'mergekit',
    methods: Object.keys(MERGEKIT),
    command: mergekit,
    output: 'mergekit',
  },
]

const missing = (peer) => {
  if (!existsSync(PYTHON)) return 'not installed: run `sh bench/peers.sh`'
  const log = here(`.venv/${peer.log}.failed`)
  return existsSync(log) ? `not installed: ${readFileSync(log, 'utf8').trim()}` : undefined
}

const versionOf = (distribution) =>
  execFileSync(PYTHON, ['-c', 'import sys, importlib.metadata as m; print(m.version(sys.argv[1]))', distribution], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  }).trim()

/**
 * The peers that know a merge: each with a name that tells its version and either a `command` or the reason why there
 * is none.
 */
export const peersOf = (method) =>
  PEERS.filter(({ methods }) => methods.includes(method)).map((peer) => {
    const reason = missing(peer)
    if (reason !== undefined) return { name: peer.name, reason }
    try {
      return {
        name: `${peer.name} ${versionOf(peer.distribution)}`,
        command: (...where) => peer.command(method, ...where),
        output: peer.output,
      }
    } catch {
      return { name: peer.name, reason: 'not installed: run `sh bench/peers.sh`' }
    }
  })
