import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { op, pickle, stateDict, type PickledTensor } from '../support/pickle-writer.js'
import { runHere } from '../support/run-here.js'
import { makeFolder } from '../support/smelt.js'
import { writeCheckpoint } from '../support/zip-writer.js'

const folder = makeFolder()
afterAll(() => folder.remove())
const at = (...names: readonly string[]): string => join(folder.path, ...names)

/** Weights in one storage, the second beginning where no number of 4 bytes may be expected to. */
const checkpoint = (seed: number): Buffer => {
  const numbers = new Float32Array(Array.from({ length: 3000 }, (_, i) => Math.sin(seed * 7919 + i)))
  const T: PickledTensor = { key: '0', storage: 'FloatStorage', length: 3000, shape: [40, 50] }
  const weights = stateDict({ 'layers.0.weight': T, 'layers.1.weight': { ...T, offset: 2000, shape: [20, 50] } })
  return writeCheckpoint(pickle(op.dict([op.text('state_dict'), weights], [op.text('epoch'), op.int(seed)])), {
    0: Buffer.from(numbers.buffer),
  })
}
const recipe = (ending: string, out: string): string =>
  JSON.stringify({
    smelt: 1,
    models: { a: `a.${ending}`, b: `b.${ending}` },
    steps: { m: { op: 'merge.ties', base: 'a', models: [{ model: 'b', weight: 0.7, density: 0.5 }] } },
    outputs: { o: { from: 'm', path: out } },
  })
const run = (...args: readonly string[]) => runHere(folder.path, args)

beforeAll(async () => {
  for (const [i, name] of ['a', 'b'].entries()) {
    writeFileSync(at(`${name}.ckpt`), checkpoint(i + 1))
    expect((await run('convert', `${name}.ckpt`)).code).toBe(0)
  }
  writeFileSync(at('ckpt.yaml'), recipe('ckpt', 'from-ckpt.safetensors'))
  writeFileSync(at('safe.yaml'), recipe('safetensors', 'from-safe.safetensors'))
})

/** What a build wrote, without the metadata, which names the files it came from. */
const dataOf = (name: string): Buffer => {
  const bytes = readFileSync(at(name))
  return bytes.subarray(8 + Number(bytes.readBigUInt64LE()))
}
interface Locked {
  readonly inputs: Readonly<Record<string, { readonly digest: string }>>
}

test('a recipe builds the same numbers from a checkpoint as from the safetensors file made of it', async () => {
  for (const name of ['ckpt', 'safe']) expect((await run('build', `${name}.yaml`, '--quiet')).screen).toBe('')
  expect(dataOf('from-ckpt.safetensors')).toHaveLength(12_000)
  expect(dataOf('from-ckpt.safetensors').equals(dataOf('from-safe.safetensors'))).toBe(true)
  const [ckpt, safe] = ['ckpt', 'safe'].map((name) => {
    const { inputs } = JSON.parse(readFileSync(at(`${name}.lock.json`), 'utf8')) as Locked
    return Object.values(inputs).map((input) => input.digest)
  })
  expect(ckpt).toHaveLength(2)
  expect(ckpt).toEqual(safe)
})

test('verify reads a checkpoint again, and frozen builds notice another', async () => {
  expect((await run('build', 'ckpt.yaml', '--quiet')).code).toBe(0)
  expect((await run('verify', 'ckpt.yaml')).code).toBe(0)
  expect((await run('build', 'ckpt.yaml', '--frozen', '--quiet')).code).toBe(0)
  copyFileSync(at('b.ckpt'), at('b.kept'))
  writeFileSync(at('b.ckpt'), checkpoint(9))
  const verified = await run('verify', 'ckpt.yaml')
  expect([verified.code, verified.stderr]).toEqual([4, expect.stringContaining('b.ckpt')])
  expect((await run('build', 'ckpt.yaml', '--frozen', '--quiet')).code).toBe(4)
  copyFileSync(at('b.kept'), at('b.ckpt'))
})

test('inspect, diff, check, plan and one-off builds take a checkpoint', async () => {
  const inspected = await run('inspect', 'a.ckpt', '--stats', '--json')
  const converted = await run('inspect', 'a.safetensors', '--stats', '--json')
  const tensorsOf = (text: string): unknown => (JSON.parse(text) as { readonly tensors: unknown }).tensors
  expect(tensorsOf(inspected.stdout)).toEqual(tensorsOf(converted.stdout))
  const same = await run('diff', 'a.ckpt', 'a.safetensors')
  expect([same.code, same.stdout]).toEqual([0, expect.stringContaining('identical tensors     2')])
  expect((await run('check', 'ckpt.yaml')).code).toBe(0)
  expect((await run('plan', 'ckpt.yaml')).code).toBe(0)
  const blended = await run('blend', 'a.ckpt', 'b.safetensors', '-o', 'blend.safetensors', '--keep', '0.5', '--quiet')
  expect(blended.screen).toBe('')
})

test('a folder that holds a checkpoint among other files is a model', async () => {
  mkdirSync(at('model'))
  copyFileSync(at('a.ckpt'), at('model', 'pytorch_model.bin'))
  writeFileSync(at('model', 'training_args.bin'), 'x')
  writeFileSync(at('model', 'config.json'), '{}')
  expect((await run('inspect', 'model')).stdout).toContain('layers.1.weight')
})

test('`smelt init` finds checkpoints, except those whose safetensors file is there', async () => {
  mkdirSync(at('init'))
  for (const name of ['a', 'b']) copyFileSync(at(`${name}.ckpt`), at('init', `${name}.ckpt`))
  copyFileSync(at('a.safetensors'), at('init', 'a.safetensors'))
  writeFileSync(at('init', 'optimizer.pt'), writeCheckpoint(pickle(op.dict([op.text('lr'), op.float(0.1)]))))
  writeFileSync(at('init', 'notes.bin'), 'nothing of PyTorch')
  expect((await run('init', 'init')).screen).toBe('init/recipe.yaml\n')
  const text = readFileSync(at('init', 'recipe.yaml'), 'utf8')
  expect(/^models:.*\n((?: {2}.*\n)*)/m.exec(text)?.[1]).toBe('  a: a.safetensors\n  b: b.ckpt\n')
  expect((await run('build', 'init/recipe.yaml', '--quiet')).screen).toBe('')
})

test('a hostile checkpoint among the models of a recipe is told at its line', async () => {
  writeFileSync(at('bad.ckpt'), writeCheckpoint(pickle(op.reduce(op.global('os.system'), op.tuple(op.text('true'))))))
  writeFileSync(at('bad.yaml'), 'smelt: 1\nmodels: { a: bad.ckpt }\noutputs: { o: { from: a, path: o.safetensors } }\n')
  const { code, screen } = await run('check', 'bad.yaml')
  expect(code).toBe(1)
  expect(screen).toContain('error[pickle-global]')
  expect(screen).toContain('bad.yaml:2:')
})

test('an adapter as older PEFT wrote it, with its config beside it, is applied like one in safetensors', async () => {
  const numbers = (n: number): Buffer =>
    Buffer.from(new Float32Array(Array.from({ length: n }, (_, i) => (i % 7) / 8)).buffer)
  const F: PickledTensor = { key: '0', storage: 'FloatStorage', length: 64, shape: [] }
  const target = 'model.layers.0.self_attn.q_proj'
  writeFileSync(
    at('llm.pt'),
    writeCheckpoint(pickle(stateDict({ [`${target}.weight`]: { ...F, shape: [8, 8] } })), { 0: numbers(64) }),
  )
  const lora = { A: { ...F, length: 16, shape: [2, 8] }, B: { ...F, length: 16, shape: [8, 2] } }
  const adapter = writeCheckpoint(
    pickle(
      stateDict(
        Object.fromEntries(Object.entries(lora).map(([ab, t]) => [`base_model.model.${target}.lora_${ab}.weight`, t])),
      ),
    ),
    { 0: numbers(16) },
  )
  for (const place of ['old', 'new']) {
    mkdirSync(at(place))
    writeFileSync(at(place, 'adapter_config.json'), JSON.stringify({ r: 2, lora_alpha: 6 }))
    writeFileSync(at(place, 'adapter_model.bin'), adapter)
  }
  expect((await run('convert', 'new')).code).toBe(0)
  for (const place of ['old', 'new']) {
    const steps = { m: { op: 'adapter.apply', model: 'a', adapter: 'l' } }
    const text = { smelt: 1, models: { a: 'llm.pt' }, adapters: { l: place }, steps }
    writeFileSync(
      at(`${place}.yaml`),
      JSON.stringify({ ...text, outputs: { o: { from: 'm', path: `${place}.safetensors` } } }),
    )
    expect((await run('build', `${place}.yaml`, '--quiet')).screen).toBe('')
  }
  expect(dataOf('old.safetensors').equals(dataOf('new.safetensors'))).toBe(true)
  expect(dataOf('old.safetensors').readFloatLE(0)).toBe(3 / 64)
})
