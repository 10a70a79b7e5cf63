// The other programs that do the same work, as bench/peers.sh installs them.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
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
  return mergekitCommand(work, {
    merge_method: method,
    ...(base ? { base_model: paths[0] } : {}),
    models: paths.slice(base ? 1 : 0).map((model) => ({ model, parameters: each })),
    parameters,
    dtype: 'float32',
    out_dtype: 'float16',
  })
}

/** What mergekit writes, in the folder that it works in. */
const MERGEKIT_OUT = 'mergekit'

/** The command that runs a configuration of mergekit. */
const mergekitCommand = (work, config) => {
  const path = join(work, 'mergekit.yaml')
  // JSON is YAML.
  writeFileSync(path, JSON.stringify(config))
  return [here('.venv/bin/mergekit-pytorch'), path, join(work, MERGEKIT_OUT)]
}

/** mergekit, for one configuration: a function of the paths of the models by name. */
export const mergekitPeer = (config) => ({
  ...peer('mergekit', (folder, work) => mergekitCommand(work, config(pathsIn(folder), 'f16'))),
  output: MERGEKIT_OUT,
})

/** The functions of sd-mecha, called tensor by tensor: `expression` as bench/parity/with_sd_mecha.py takes it. */
export const mechaPeer = (expression, reads) => ({
  ...peer('sd-mecha', (folder, work) => {
    const out = join(work, 'sd-mecha')
    mkdirSync(out, { recursive: true })
    const path = join(work, 'jobs.json')
    const files = Object.fromEntries(Object.entries(pathsIn(folder)).filter(([name]) => reads.includes(name)))
    writeFileSync(path, JSON.stringify([{ expression, files, dtype: 'f16', out }]))
    return [PYTHON, here('parity/with_sd_mecha.py'), path]
  }),
  output: 'sd-mecha',
})

/** A formula of `peers/formulas.py`, as a paper or a tool has it. */
export const formulaPeer = (formula) => {
  const { name, reason } = peer('PyTorch script')
  const command = (...where) => script('formulas')(formula, ...where)
  return reason === undefined ? { name, command, output: OUT } : { name, reason }
}

const pathsIn = (folder) =>
  Object.fromEntries(['base', 'a', 'b', 'c'].map((name) => [name, join(folder, `${name}.safetensors`)]))

const peer = (name, command) => {
  const known = PEERS.find((one) => one.name === name)
  const reason = missing(known)
  return reason === undefined ? { name: `${name} ${versionOf(known.distribution)}`, command } : { name, reason }
}

/** Every peer: its package, the merges it can do and how its command is made, and what it writes. */
const PEERS = [
  {
    name: 'PyTorch script',
    log: 'pytorch',
    distribution: 'torch',
    methods: ['linear', 'slerp', 'dare', 'mask', 'lora', 'extract', 'ties', 'dare-ties'],
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
    output: MERGEKIT_OUT,
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
