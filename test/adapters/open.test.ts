import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { build } from '#src/run/build.js'
import { prepare } from '#src/run/prepare.js'
import { openAdapter } from '#src/safetensors/adapter-file.js'
import { inFolder, readTensors } from '../support/build-run.js'
import { inlineWorker } from '../support/inline-worker.js'
import { writeSafetensors } from '../support/write-safetensors.js'
import { f32, filled } from './bake.js'

const lora = {
  'x.lora_up.weight': filled([1, 1], 1),
  'x.lora_down.weight': filled([1, 2], 1),
  'x.alpha': f32([], 2),
  'x.count': { dtype: 'I64', shape: [], values: [7] },
} as const

test('opening an adapter reads the bytes of its scalars and nothing else of its numbers', () =>
  inFolder(async (folder) => {
    const path = join(folder, 'lora.safetensors')
    writeSafetensors(path, lora, { ss_network_dim: '1' })
    const opened = await openAdapter(path)
    if (opened.type === 'failed') throw new Error(opened.diagnostics[0]!.message)
    const { scalars, config, tensors, metadata } = opened.value
    expect([...scalars].map(([name, bytes]) => [name, [...bytes]])).toEqual([
      ['x.alpha', [0, 0, 0, 64]],
      ['x.count', [7, 0, 0, 0, 0, 0, 0, 0]],
    ])
    expect([tensors.size, config, metadata.get('ss_network_dim')]).toEqual([4, undefined, '1'])
  }))

test('a folder of PEFT’s is opened by what PEFT calls its files, whatever lies beside them', () =>
  inFolder(async (folder) => {
    writeSafetensors(join(folder, 'adapter_model.safetensors'), lora)
    writeSafetensors(join(folder, 'other.safetensors'), lora)
    writeFileSync(join(folder, 'adapter_config.json'), '{"r": 1}')
    for (const path of [folder, join(folder, 'adapter_model.safetensors')]) {
      expect(await openAdapter(path)).toMatchObject({
        type: 'ok',
        value: { path: join(folder, 'adapter_model.safetensors'), config: { r: 1 } },
      })
    }
    expect(await openAdapter(join(folder, 'other.safetensors'))).toMatchObject({
      type: 'ok',
      value: { config: undefined },
    })
  }))

test('a config that cannot be read is no config that is missing', () =>
  inFolder(async (folder) => {
    writeSafetensors(join(folder, 'adapter_model.safetensors'), lora)
    mkdirSync(join(folder, 'adapter_config.json'))
    expect((await openAdapter(folder)).diagnostics.map((d) => d.code)).toEqual(['folder-not-file'])
  }))

const recipe = (adapter: unknown, step: Readonly<Record<string, unknown>> = {}): string =>
  JSON.stringify({
    smelt: 1,
    models: { base: 'model.safetensors' },
    adapters: { lora: adapter },
    steps: { baked: { op: 'adapter.apply', model: 'base', adapter: 'lora', ...step } },
    outputs: { out: { from: 'baked', path: 'out.safetensors' } },
  })

/** A recipe over a small model and adapter, and what there is to say of it. */
const inRecipe = <T>(
  text: (folder: string) => string,
  work: (path: string, folder: string) => Promise<T>,
): Promise<T> =>
  inFolder(async (folder) => {
    writeSafetensors(join(folder, 'model.safetensors'), { x: filled([1, 2], 1) })
    writeSafetensors(join(folder, 'lora.safetensors'), {
      'x.lora_up.weight': filled([1, 1], 1),
      'x.lora_down.weight': filled([1, 2], 1),
    })
    writeFileSync(join(folder, 'recipe.yaml'), text(folder))
    return work(join(folder, 'recipe.yaml'), folder)
  })

const codesOf = (text: string): Promise<readonly string[]> =>
  inRecipe(
    () => text,
    async (path) => (await prepare(path)).diagnostics.map((d) => d.code),
  )

test('an adapter is named where one is needed, and nowhere else', async () => {
  expect(await codesOf(recipe('lora.safetensors', { adapter: 'base' }))).toEqual(['wrong-kind'])
  expect(await codesOf(recipe('lora.safetensors', { model: 'lora' }))).toEqual(['wrong-kind'])
  expect(await codesOf(recipe('lora.safetensors', { adapter: 'lara' }))).toEqual(['unknown-name'])
  expect(await codesOf(recipe('lora.safetensors', { adapter: ['lora'] }))).toHaveLength(1)
})

test('an adapter that is not there is told where the recipe names it', () =>
  inRecipe(
    () => recipe('lara.safetensors'),
    async (path) => {
      const { diagnostics } = await prepare(path)
      expect(diagnostics).toMatchObject([{ code: 'file-missing', at: { type: 'text' } }])
      expect(diagnostics[0]!.help).toContain('lora.safetensors')
    },
  ))

test('an adapter’s digest is checked, and an output must not overwrite it', async () => {
  const pinned =
    (change: (digest: string) => string) =>
    (folder: string): string =>
      recipe({
        path: 'lora.safetensors',
        sha256: change(
          createHash('sha256')
            .update(readFileSync(join(folder, 'lora.safetensors')))
            .digest('hex'),
        ),
      })
  await inRecipe(
    pinned((digest) => digest),
    async (path, folder) => {
      expect(await build(path, { workers: 1, start: inlineWorker })).toMatchObject({ type: 'ok' })
      expect((await readTensors(join(folder, 'out.safetensors')))['x']!.values).toEqual([2, 2])
    },
  )
  await inRecipe(
    pinned((digest) => digest.replace(/^./, (c) => (c === '0' ? '1' : '0'))),
    async (path) => {
      expect((await build(path, { workers: 1, start: inlineWorker })).diagnostics.map((d) => d.code)).toEqual([
        'pin-mismatch',
      ])
    },
  )
  expect(await codesOf(recipe('lora.safetensors').replace('out.safetensors', 'lora.safetensors'))).toEqual([
    'output-is-input',
  ])
})
