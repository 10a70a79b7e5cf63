import { expect, test } from 'vitest'
import { readTags } from '#src/architectures/adapters/tags.js'

const read = (text: string | undefined) => readTags(new Map(text === undefined ? [] : [['ss_tag_frequency', text]]), 'ink.safetensors')
const tagsOf = (text: string | undefined) => {
  const result = read(text)
  return [result.type === 'ok' ? result.value.map(({ tag, count }) => `${tag} ${count}`) : [], result.diagnostics.map((d) => `${d.severity} ${d.code}`)]
}

test('tags of all folders are added up, the most frequent first, equal ones by name', () => {
  const folders = { '10_ink': { 'ink ': 3, '1girl': 5, 'brush': 2 }, '5_more': { ink: 4, anvil: 2 } }
  expect(tagsOf(JSON.stringify(folders))).toEqual([['ink 7', '1girl 5', 'anvil 2', 'brush 2'], []])
})

test('an adapter without tags has none, and nothing is wrong', () => {
  expect(tagsOf(undefined)).toEqual([[], []])
  expect(tagsOf('{}')).toEqual([[], []])
})

test.each(['{"folder": ', '[1, 2]', '{"folder": 3}', '{"folder": {"ink": "often"}}', 'null'])('tags that are not what they should be are a warning: %s', (text) => {
  expect(tagsOf(text)).toEqual([[], ['warning bad-tags']])
})
