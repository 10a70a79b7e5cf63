import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { deflateSync } from 'node:zlib'
import { afterAll, describe, expect, test } from 'vitest'
import { createDraft } from '../../dist/importers/draft.js'
import { modelFolders } from '#src/importers/model-folders.js'
import { findModels, NO_MODELS } from '../../dist/importers/find-models.js'
import { importFile } from '../../dist/importers/index.js'
import type { Importer } from '../../dist/importers/importer.js'
import { pngTexts } from '../../dist/importers/png.js'
import { readInput, textInput } from '../../dist/importers/read-input.js'
import { makeFolder } from '../support/smelt.js'

const root = makeFolder()
afterAll(() => root.remove())

/** An importer of a format that is only here. */
const toy: Importer = {
  name: 'Toy',
  recognises: ({ text }) => text.startsWith('toy'),
  import: (input) => {
    const draft = createDraft(input)
    const a = draft.model({
      path: 'A B\\first one.ckpt',
      folder: 'models/checkpoints',
      where: 'node 1',
      comment: 'the base',
    })
    const b = draft.model({ path: 'yes.safetensors', folder: 'models/checkpoints', where: 'node 2' })
    const unused = draft.model({ path: 'unused.safetensors', where: 'node 3' })
    draft.step('unused step', 'model.scale', [
      ['model', unused],
      ['factor', 2],
    ])
    const keep = draft.param('keep', 0.25, 'share of `a`')
    const step = draft.step(
      'My merge!',
      'merge.blend',
      [
        ['a', a],
        ['b', b],
        [
          'keep',
          new Map<string, number | string>([
            ['default', `$${keep}`],
            ['10', 0.5],
            ['9', 0.1],
          ]),
          'by block',
        ],
        ['missing', 'keep', 'B may lack tensors'],
      ],
      'two lines\nabove the step',
    )
    draft.output('result', step, 'build/result.safetensors', [['dtype', 'f16']])
    draft.note('node 1', 'a difference')
    draft.note('node 1', 'a difference')
    draft.missing('node 9', 'a thing', 'no reason')
    return draft.finish()
  },
}

describe('a draft', () => {
  test('is written as a person would write it, without what no output needs', () => {
    const imported = importFile(textInput('x/my flow.json', 'toy', NO_MODELS), [toy])
    expect(imported.type === 'ok' && imported.value.notes).toHaveLength(1)
    expect(imported.type === 'ok' && imported.value.recipe).toBe(`# Imported from my flow.json (Toy).
#
# What differs:
# - node 1: a difference
#
# Not in this recipe, because smelt cannot say it:
# - node 9: a thing: no reason

smelt: 1
name: my_flow

params:
  keep: 0.25 # share of \`a\`

models:
  first_one: "models/checkpoints/A B/first one.ckpt" # the base
  yes_model: models/checkpoints/yes.safetensors

steps:
  # two lines
  # above the step
  My_merge:
    op: merge.blend
    a: first_one
    b: yes_model
    keep: { default: $keep, "10": 0.5, "9": 0.1 } # by block
    missing: keep # B may lack tensors

outputs:
  result:
    from: My_merge
    path: build/result.safetensors
    dtype: f16
`)
  })

  test('of a format that nobody reads is refused', () => {
    const refused = importFile(textInput('a.txt', 'no such format', NO_MODELS), [toy])
    expect(refused.type === 'failed' && refused.diagnostics[0]!.code).toBe('not-importable')
  })
})

/** A PNG of these chunks, without checksums, which nobody reads. */
const png = (...chunks: readonly (readonly [string, Buffer])[]): Buffer =>
  Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    ...chunks.map(([type, data]) => {
      const length = Buffer.alloc(4)
      length.writeUInt32BE(data.length)
      return Buffer.concat([length, Buffer.from(type, 'latin1'), data, Buffer.alloc(4)])
    }),
  ])

describe('a file', () => {
  test('is told by what it contains', async () => {
    const folder = root.path
    const read = async (name: string, content: string | Buffer) => {
      writeFileSync(join(folder, name), content)
      const input = await readInput(name, join(folder, name), NO_MODELS)
      return input.type === 'ok' ? input.value : input.diagnostics[0]!.code
    }
    expect(await read('a.txt', '\ufeff{"x": [1]}')).toMatchObject({ type: 'json', json: { x: [1] }, title: 'a' })
    expect(await read('a.json', '{ x: 1 }')).toMatchObject({ type: 'text', text: '{ x: 1 }' })
    expect(await read('a.yaml', Buffer.from([0xff, 0xfe, 0]))).toBe('not-importable')
    expect(await read('a.jpg', png(['tEXt', Buffer.from('prompt\0{}')]))).toMatchObject({
      type: 'picture',
      metadata: new Map([['prompt', '{}']]),
    })
    const header = Buffer.from('{"__metadata__":{"mecha_recipe":"version 0.1.0"}}')
    const length = Buffer.alloc(8)
    length.writeBigUInt64LE(BigInt(header.length))
    expect(await read('b.safetensors', Buffer.concat([length, header]))).toMatchObject({
      type: 'safetensors',
      metadata: new Map([['mecha_recipe', 'version 0.1.0']]),
    })
    const missing = await readInput('none', join(folder, 'none'), NO_MODELS)
    expect(missing.type === 'failed' && missing.diagnostics[0]!.code).toBe('file-missing')
  })

  test('of a picture gives its texts, plain and compressed, and what comes before a cut', () => {
    const whole = png(
      ['IHDR', Buffer.alloc(13)],
      ['tEXt', Buffer.from('workflow\0{"é":1}')],
      ['zTXt', Buffer.concat([Buffer.from('prompt\0\0'), deflateSync('{"a":1}')])],
      ['iTXt', Buffer.concat([Buffer.from('Title\0\x01\0en\0x\0'), deflateSync('ü')])],
    )
    expect(pngTexts(whole)).toEqual(
      new Map([
        ['workflow', '{"é":1}'],
        ['prompt', '{"a":1}'],
        ['Title', 'ü'],
      ]),
    )
    for (let size = 8; size < whole.length; size++) expect(() => pngTexts(whole.subarray(0, size))).not.toThrow()
  })
})

describe('models', () => {
  const folder = root.path
  const put = (path: string): void => {
    mkdirSync(join(folder, path, '..'), { recursive: true })
    writeFileSync(join(folder, path), '')
  }
  put('outside/secret.safetensors')
  put('models/checkpoints/SDXL/Base One.safetensors')
  put('models/checkpoints/old.ckpt')
  put('models/checkpoints/old.safetensors')
  put('models/loras/ink.safetensors')
  put('models/checkpoints/ink.safetensors')
  put('models/llm/org_name/model.safetensors')
  put('models/hub/models--Other--Model-7B/snapshots/abc/model-00001-of-00002.safetensors')
  put('models/hub/models--Other--Model-7B/snapshots/abc/model.safetensors.index.json')
  put('models/a/twin.safetensors')
  put('models/b/twin.safetensors')
  symlinkSync(join(folder, 'outside'), join(folder, 'models/link'))
  symlinkSync(join(folder, 'models'), join(folder, 'models/loop'))
  symlinkSync(join(folder, 'outside/secret.safetensors'), join(folder, 'models/secret.safetensors'))

  test('are found by their names, in whatever case and folder', async () => {
    const { find } = await findModels([{ path: join(folder, 'models') }], folder)
    const at = (name: string, where?: string) => find(name, where)?.path
    expect(at('sdxl/base one.safetensors')).toBe('models/checkpoints/SDXL/Base One.safetensors')
    expect(at('Base One')).toBe('models/checkpoints/SDXL/Base One.safetensors')
    expect(at('old.ckpt')).toBe('models/checkpoints/old.safetensors')
    expect(at('ink.safetensors', 'models/loras')).toBe('models/loras/ink.safetensors')
    expect(at('ink.safetensors', 'models/checkpoints')).toBe('models/checkpoints/ink.safetensors')
    expect(at('org/name')).toBe('models/llm/org_name')
    // A file is no folder of that name.
    expect(at('org/name.safetensors')).toBeUndefined()
    expect(at('other/model-7b')).toBe('models/hub/models--Other--Model-7B/snapshots/abc')
    expect(at('nothing')).toBeUndefined()
    expect(at('')).toBeUndefined()
  })

  test('whose paths name the given folder too, or are whole, are no others', async () => {
    const { find } = await findModels([{ path: join(folder, 'models/checkpoints') }], folder)
    for (const name of ['models/checkpoints/old.ckpt', join(folder, 'models/checkpoints/old.safetensors')])
      expect(find(name)).toMatchObject({ path: 'models/checkpoints/old.safetensors', others: undefined })
    expect(find('elsewhere/old')?.others).toContain('has only its last name')
  })

  test('of one name in two places are told', async () => {
    const { find } = await findModels([{ path: join(folder, 'models') }], folder)
    expect(find('twin')).toMatchObject({
      path: 'models/a/twin.safetensors',
      others: expect.stringContaining('models/b/twin'),
    })
    expect(find('b/twin')).toMatchObject({ path: 'models/b/twin.safetensors', others: undefined })
  })

  test('of one name are told apart by the folders of the web UI, and by those that ComfyUI’s file names', async () => {
    mkdirSync(join(folder, 'webui/models/Stable-diffusion'), { recursive: true })
    mkdirSync(join(folder, 'webui/models/Lora'), { recursive: true })
    mkdirSync(join(folder, 'disk/ckpts/xl'), { recursive: true })
    for (const path of ['webui/models/Stable-diffusion/same', 'webui/models/Lora/same', 'disk/ckpts/xl/far'])
      writeFileSync(join(folder, `${path}.safetensors`), '')
    const file = join(folder, 'extra_model_paths.yaml')
    writeFileSync(
      file,
      `# ComfyUI's own comments
a111:
    base_path: webui/
    checkpoints: models/Stable-diffusion
    loras: |
        models/Lora
        models/LyCORIS
other:
    base_path: $ROOT/disk
    is_default: true
    checkpoints: ckpts/
    custom_nodes: nodes
`,
    )
    const { find } = await findModels(modelFolders(file, { ROOT: folder }), folder)
    expect(find('xl/far.safetensors', 'models/checkpoints')).toMatchObject({
      path: 'disk/ckpts/xl/far.safetensors',
      others: undefined,
    })
    const webui = await findModels(modelFolders(join(folder, 'webui')), folder)
    for (const finder of [{ find }, webui])
      expect(['checkpoints', 'loras'].map((kind) => finder.find('same.safetensors', `models/${kind}`)?.path)).toEqual([
        'webui/models/Stable-diffusion/same.safetensors',
        'webui/models/Lora/same.safetensors',
      ])
    writeFileSync(file, 'a111:\n  base_path: nowhere\n  checkpoints: models\n')
    expect(modelFolders(file)).toEqual([])
    expect(modelFolders(join(folder, 'webui/none.yaml'))).toEqual([])
  })

  test('outside the given folders are not found, whatever links say', async () => {
    const { find } = await findModels([{ path: join(folder, 'models') }], folder)
    expect(find('secret')).toBeUndefined()
    expect(find('../outside/secret')).toBeUndefined()
  })
})
