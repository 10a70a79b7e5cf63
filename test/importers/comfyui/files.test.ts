import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { deflateSync } from 'node:zlib'
import { afterAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { findModels, NO_MODELS } from '../../../dist/importers/find-models.js'
import { importFile, type Imported } from '../../../dist/importers/index.js'
import { readInput, textInput } from '../../../dist/importers/read-input.js'
import { webpTexts } from '../../../dist/importers/webp.js'
import { readTensors } from '../../support/build-run.js'
import type { PlainRecipe } from '../../support/recipe-run.js'
import { makeFolder, smelt } from '../../support/smelt.js'
import { importDamaged, merging, varied } from '../../support/damaged-workflows.js'
import { createWorkflow, importJson, recipeOf } from '../../support/workflows.js'
import { writeSafetensors } from '../../support/write-safetensors.js'

const root = makeFolder()
afterAll(() => root.remove())

const chunk = (type: string, data: Buffer): Buffer => {
  const [length, crc] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(data.length)
  crc.writeUInt32BE(crc32(Buffer.concat([Buffer.from(type), data])))
  return Buffer.concat([length, Buffer.from(type), data, crc])
}
const crc32 = (data: Buffer): number => {
  let c = 0xffffffff
  for (const byte of data) {
    c ^= byte
    for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1
  }
  return (c ^ 0xffffffff) >>> 0
}
const png = (...chunks: readonly Buffer[]): Buffer =>
  Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', Buffer.alloc(13)),
    ...chunks,
    chunk('IEND', Buffer.alloc(0)),
  ])
const texts: Readonly<Record<string, (keyword: string, text: string) => Buffer>> = {
  tEXt: (keyword, text) => chunk('tEXt', Buffer.from(`${keyword}\0${text}`, 'latin1')),
  zTXt: (keyword, text) => chunk('zTXt', Buffer.concat([Buffer.from(`${keyword}\0\0`), deflateSync(text)])),
  iTXt: (keyword, text) => chunk('iTXt', Buffer.concat([Buffer.from(`${keyword}\0\0\0\0\0`), Buffer.from(text)])),
}

/** A WebP with texts in its Exif, which is all that there is of it. */
const webp = (order: 'II' | 'MM', texts: readonly string[]): Buffer => {
  const number = (size: 2 | 4, value: number): Buffer => {
    const bytes = Buffer.alloc(size)
    if (order === 'II') bytes.writeUIntLE(value, 0, size)
    else bytes.writeUIntBE(value, 0, size)
    return bytes
  }
  const data = texts.map((text) => Buffer.from(`${text}\0`))
  let at = 8 + 2 + 12 * texts.length + 4
  const entries = data.map((text, i) => {
    const entry = Buffer.concat([number(2, 0x0110 - i), number(2, 2), number(4, text.length), number(4, at)])
    at += text.length
    return entry
  })
  const exif = Buffer.concat([
    Buffer.from(order),
    number(2, 42),
    number(4, 8),
    number(2, texts.length),
    ...entries,
    number(4, 0),
    ...data,
  ])
  const sized = (name: string, content: Buffer): Buffer => {
    const length = Buffer.alloc(4)
    length.writeUInt32LE(content.length)
    return Buffer.concat([Buffer.from(name), length, content, Buffer.alloc(content.length % 2)])
  }
  return sized('RIFF', Buffer.concat([Buffer.from('WEBP'), sized('VP8X', Buffer.alloc(10)), sized('EXIF', exif)]))
}

const read = async (file: string): Promise<Imported> => {
  const input = await readInput(file, file, NO_MODELS)
  const imported = input.type === 'ok' ? importFile(input.value) : input
  if (imported.type === 'failed') throw new Error(imported.diagnostics.map((d) => d.message).join('\n'))
  return imported.value
}
const body = (recipe: string | undefined): string => recipe!.slice(recipe!.indexOf('\nmodels:'))

describe('a workflow is found', () => {
  test.each(Object.keys(texts))('in the %s chunks of a PNG', async (type) => {
    const file = join(root.path, `${type}.png`)
    const flow = merging(0)
    writeFileSync(
      file,
      png(texts[type]!('prompt', JSON.stringify(flow.api())), texts[type]!('workflow', JSON.stringify(flow.ui()))),
    )
    expect(body((await read(file)).recipe)).toBe(body(importJson(flow.api()).recipe))
  })

  test.each(['II', 'MM'] as const)('in the Exif of a WebP, in the byte order %s', async (order) => {
    const flow = merging(0)
    const texts = [`prompt:${JSON.stringify(flow.api())}`, `workflow:${JSON.stringify(flow.ui())}`]
    const file = join(root.path, `${order}.webp`)
    writeFileSync(file, webp(order, texts))
    expect(body((await read(file)).recipe)).toBe(body(importJson(flow.api()).recipe))
    // Cut off anywhere, it gives what is whole.
    const whole = webp(order, texts)
    for (let length = 0; length < whole.length; length += 7)
      expect(() => webpTexts(whole.subarray(0, length))).not.toThrow()
  })

  test('in the UI format of a PNG where only that shows what is saved', async () => {
    const file = join(root.path, 'muted.png')
    const flow = merging(2)
    writeFileSync(
      file,
      png(texts['tEXt']!('prompt', JSON.stringify(flow.api())), texts['tEXt']!('workflow', JSON.stringify(flow.ui()))),
    )
    expect((await read(file)).recipe).toContain('path: build/saved.safetensors')
  })

  test('in the metadata of a safetensors file', async () => {
    const file = join(root.path, 'saved.safetensors')
    const flow = merging(0)
    writeSafetensors(
      file,
      { x: { dtype: 'F32', shape: [1], values: [0] } },
      { prompt: JSON.stringify(flow.api()), workflow: 'not JSON' },
    )
    expect(body((await read(file)).recipe)).toBe(body(importJson(flow.api()).recipe))
  })

  test('in JSON with NaN, as ComfyUI writes it for nodes that run every time', async () => {
    const flow = merging(0)
    const text = JSON.stringify({
      ...flow.api(),
      90: { class_type: 'LoadImage', inputs: { image: 'NaN "x" -Infinity' }, is_changed: ['NaN'] },
    })
    const odd = text.replace('["NaN"]', '[NaN, -Infinity]')
    for (const [name, bytes] of [
      ['nan.json', odd],
      ['nan.png', png(texts['tEXt']!('prompt', odd))],
    ] as const) {
      writeFileSync(join(root.path, name), bytes)
      expect(body((await read(join(root.path, name))).recipe)).toBe(body(importJson(flow.api()).recipe))
    }
  })

  test('by the command, whose recipe passes `check` where the models are, and builds', async () => {
    const flow = merging(0)
    writeFileSync(join(root.path, 'flow.json'), JSON.stringify(flow.ui()))
    const tensors = (values: number) =>
      Object.fromEntries(
        [
          ['model.diffusion_model.input_blocks.0.0.weight', [320]],
          ['model.diffusion_model.out.2.weight', [1]],
          ['model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight', [1, 768]],
          ['cond_stage_model.transformer.text_model.final_layer_norm.weight', [1]],
          ['first_stage_model.decoder.conv_in.weight', [1]],
        ].map(([name, shape]) => [
          name as string,
          { dtype: 'F32' as const, shape: shape as readonly number[], values },
        ]),
      )
    writeSafetensors(join(root.path, 'a.safetensors'), tensors(1))
    writeSafetensors(join(root.path, 'b.safetensors'), tensors(3))
    const imported = await smelt(root.path, ['import', 'flow.json', '--models', '.', '-o', 'recipe.yaml'])
    expect([imported.code, imported.stderr]).toEqual([0, ''])
    expect((await smelt(root.path, ['check', 'recipe.yaml'])).code).toBe(0)
    expect((await smelt(root.path, ['build', 'recipe.yaml'])).code).toBe(0)
    const built = await readTensors(join(root.path, 'build/saved.safetensors'))
    for (const [name, { values }] of Object.entries(built))
      expect([name, values[0]]).toEqual([name, name.startsWith('model.diffusion_model.') ? 2.5 : 1])
  })
})

test('of models that are found, only the layers they have get a rule, and a VAE the root that is theirs', async () => {
  const folder = join(root.path, 'found')
  mkdirSync(folder)
  const one = { dtype: 'F32' as const, shape: [1], values: 1 }
  const names = ['time_embed.0.weight', 'input_blocks.0.0.bias', 'input_blocks.8.0.bias', 'out.2.bias']
  const tensors = Object.fromEntries(
    [...names.map((name) => `model.diffusion_model.${name}`), 'vae.decoder.bias'].map((name) => [name, one]),
  )
  writeSafetensors(join(folder, 'a.safetensors'), tensors)
  const flow = createWorkflow()
  const [a, b] = ['a', 'b'].map((name) => flow.add('CheckpointLoaderSimple', { ckpt_name: `${name}.safetensors` }))
  const numbers = {
    time: 0.1,
    label: 0.2,
    'input_blocks.0': 0.3,
    'input_blocks.8': 0.4,
    'input_blocks.9': 0.5,
    out: 0.6,
  }
  const mbw = {
    ...Object.fromEntries(
      ['input_blocks', 'output_blocks'].flatMap((stem) => Array.from({ length: 12 }, (_, i) => [`${stem}.${i}`, 0.7])),
    ),
    'middle_block.0': 0,
    'middle_block.1': 0,
    'middle_block.2': 0,
    ...numbers,
  }
  const merged = flow.add(
    'DM_DareModelMergerMBW',
    { ...mbw, drop_rate: 0.5, ties: 'sum', rescale: 'off', seed: 1, method: 'comfy', iterations: 1 },
    { model_a: [a!, 0], model_b: [b!, 0] },
  )
  const vae = flow.add('VAELoader', { vae_name: 'vae.safetensors' })
  flow.add('CheckpointSave', { filename_prefix: 'x' }, { model: [merged, 0], clip: [a!, 1], vae: [vae, 0] })
  const found = importFile(
    textInput('flow.json', JSON.stringify(flow.api()), await findModels([{ path: folder }], folder)),
  )
  const { steps } = parse(found.type === 'ok' ? found.value.recipe! : '') as PlainRecipe
  expect(steps['merge_3']!['keep']).toEqual({ default: 0.1, 'input_blocks.0': 0.3, 'input_blocks.8': 0.4, out: 0.6 })
  expect(steps['vae_placed']!['add_root']).toBe('vae')
  expect(recipeOf(flow.api()).steps['merge_3']!['keep']).toMatchObject({
    '@(label_emb|out)': 0.2,
    'input_blocks.9': 0.5,
  })
})

test('the page for users of ComfyUI shows what is written', () => {
  const flow = createWorkflow()
  const [a, b] = ['a', 'b'].map((name) => flow.add('CheckpointLoaderSimple', { ckpt_name: `${name}.safetensors` }))
  const vae = flow.add('VAELoader', { vae_name: 'vae.safetensors' })
  const merged = flow.add('ModelMergeSimple', { ratio: 0.3 }, { model1: [a!, 0], model2: [b!, 0] })
  flow.add('CheckpointSave', { filename_prefix: 'merged' }, { model: [merged, 0], clip: [a!, 1], vae: [vae, 0] })
  const page = readFileSync(new URL('../../../docs/coming-from-comfyui.md', import.meta.url), 'utf8')
  const shown: unknown = parse(/```yaml\n(.*?)```/s.exec(page)![1]!)
  expect({ ...recipeOf(flow.api()), name: undefined }).toEqual({ ...(shown as object), name: undefined })
})

const SHARED = fileURLToPath(new URL('../../../../shared/importers', import.meta.url))
const corpus = ['comfyui', 'daremerge'].flatMap((folder) =>
  existsSync(join(SHARED, folder)) ? readdirSync(join(SHARED, folder)).map((name) => join(SHARED, folder, name)) : [],
)

describe.skipIf(corpus.length === 0)('public workflows', () => {
  test.each(corpus)('%s is imported, or refused with a reason', async (file) => {
    const { recipe, missing } = await read(file)
    if (/comfy-mecha|hnmr/.test(file)) {
      expect(recipe).toBeUndefined()
      expect(missing[0]!.why).toContain('smelt does not know what this node does')
    } else expect([typeof recipe, missing]).toEqual(['string', []])
  })
})

test('250 damaged workflows do not crash or hang, and no path leaves the folders', () => {
  expect(importDamaged(250, 20_240_122)).toBeGreaterThan(75)
})

test('hostile workflows are read or refused: deep lists, long chains, many links, large seeds', () => {
  const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`
  const api = JSON.stringify(varied().api())
  const texts = [
    api.replace('"operation":"add"', `"operation":${deep}`).replace('0.25', deep),
    JSON.stringify(varied().ui()).replace('"add"', deep).replace('0.25', deep),
    api.replace('"seed":3', '"seed":18446744073709551615'),
  ]
  const read = texts.map((text) => {
    const imported = importFile(textInput('flow.json', text, NO_MODELS))
    return imported.type === 'ok' ? imported.value : undefined
  })
  expect(read[0]!.missing.map((m) => m.where)).toContain('node 3 (ModelMergeSimple)')
  expect(read[1]!.missing.length).toBeGreaterThan(0)
  expect(read[2]!.recipe).toContain('seed: "18446744073709552000"')

  const node = (id: number, type: string, inputs: readonly unknown[]) => ({
    id,
    type,
    inputs,
    outputs: [{ type: 'MODEL' }],
  })
  const link = (to: number, from: number): readonly unknown[] => [to, from, 0, to, 0, 'MODEL']
  const chain = Array.from({ length: 4000 }, (_, i) => node(i + 1, 'Reroute', [{ name: '', link: i + 1 }]))
  const ends = Array.from({ length: 900 }, (_, i) =>
    node(
      5000 + i,
      'KSampler',
      Array.from({ length: 900 }, () => ({ name: 'model', type: 'MODEL', link: 4001 })),
    ),
  )
  const links = [...chain.map(({ id }) => link(id, id - 1)), link(4001, 4000)]
  expect(importJson({ nodes: [...chain, ...ends], links }).recipe).toBeUndefined()

  const merges = Object.fromEntries(
    Array.from({ length: 4000 }, (_, i) => [
      String(i),
      i === 0
        ? { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: 'a.safetensors' } }
        : { class_type: 'ModelMergeSimple', inputs: { ratio: 0.5, model1: [String(i - 1), 0], model2: ['0', 0] } },
    ]),
  )
  const long = importJson({ ...merges, save: { class_type: 'ModelSave', inputs: { model: ['3999', 0] } } })
  expect(long.recipe!.match(/op: merge\.blend/g)).toHaveLength(3999)
})

test('nodes that save what smelt cannot make are told', () => {
  const flow = merging(2)
  flow.add('LoraSave', { filename_prefix: 'x', rank: 8 }, { model_diff: ['3', 0] })
  const { recipe, missing } = importJson(flow.api())
  expect(recipe).toBeUndefined()
  expect(missing).toEqual([{ where: 'node 7 (LoraSave)', what: 'model_diff', why: expect.stringContaining('LoRA') }])
})
