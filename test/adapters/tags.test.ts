import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readTags } from '#src/architectures/adapters/tags.js'
import { build } from '#src/run/build.js'
import { openModel } from '#src/safetensors/model.js'
import { inFolder } from '../support/build-run.js'
import { inlineWorker } from '../support/inline-worker.js'
import { writeSafetensors } from '../support/write-safetensors.js'

const read = (text: string | undefined) =>
  readTags(new Map(text === undefined ? [] : [['ss_tag_frequency', text]]), 'ink.safetensors')
const tagsOf = (text: string | undefined) => {
  const result = read(text)
  return [
    result.type === 'ok' ? result.value.map(({ tag, count }) => `${tag} ${count}`) : [],
    result.diagnostics.map((d) => `${d.severity} ${d.code}`),
  ]
}

test('tags of all folders are added up, the most frequent first, equal ones by name', () => {
  const folders = { '10_ink': { 'ink ': 3, '1girl': 5, brush: 2 }, '5_more': { ink: 4, anvil: 2 } }
  expect(tagsOf(JSON.stringify(folders))).toEqual([['ink 7', '1girl 5', 'anvil 2', 'brush 2'], []])
})

test('an adapter without tags has none, and nothing is wrong', () => {
  expect(tagsOf(undefined)).toEqual([[], []])
  expect(tagsOf('{}')).toEqual([[], []])
})

test.each(['{"folder": ', '[1, 2]', '{"folder": 3}', '{"folder": {"ink": "often"}}', 'null'])(
  'tags that are not what they should be are a warning: %s',
  (text) => {
    expect(tagsOf(text)).toEqual([[], ['warning bad-tags']])
  },
)

const outputs = (tags: unknown) => ({ out: { from: 'base', path: 'out.safetensors', tags } })
const withTags = (folder: string, tags: unknown): string => {
  writeSafetensors(join(folder, 'model.safetensors'), { x: { dtype: 'F32', shape: [1], values: [1] } })
  const lora = (name: string, counts: object): void =>
    writeSafetensors(
      join(folder, name),
      { 'lora_unet_x.alpha': { dtype: 'F32', shape: [], values: [1] } },
      { ss_tag_frequency: JSON.stringify({ folder: counts }) },
    )
  lora('ink.safetensors', { ink: 3, '1': 5 })
  lora('oil.safetensors', { oil: 4, ink: 4 })
  const recipe = join(folder, 'recipe.yaml')
  writeFileSync(
    recipe,
    JSON.stringify({
      smelt: 1,
      models: { base: 'model.safetensors' },
      adapters: { ink: 'ink.safetensors', oil: 'oil.safetensors' },
      outputs: outputs(tags),
    }),
  )
  return recipe
}

test('an output carries the tags of the adapters it names in its metadata', () =>
  inFolder(async (folder) => {
    const built = await build(withTags(folder, ['ink', 'oil']), { workers: 1, start: inlineWorker })
    expect(built.diagnostics).toEqual([])
    const written = await openModel(join(folder, 'out.safetensors'))
    expect(written.type === 'ok' ? JSON.parse(written.value.metadata.get('smelt.tags')!) : undefined).toEqual([
      ['ink', 7],
      ['1', 5],
      ['oil', 4],
    ])
  }))

test('tags are taken from adapters alone', () =>
  inFolder(async (folder) => {
    const built = await build(withTags(folder, 'base'), { workers: 1, start: inlineWorker })
    expect(built.diagnostics.map((d) => d.code)).toEqual(['wrong-kind'])
  }))
