import { expect, test } from 'vitest'
import { hubIdOf, isSideFile, withoutOtherCode } from '#src/plan/model-folder.js'

test.each([
  ['models/org/name', 'org/name'],
  ['../models/org/name-7B/', 'org/name-7B'],
  ['models/org/name/model.safetensors', 'org/name'],
  ['/cache/huggingface/hub/models--org--name/snapshots/0123abcd', 'org/name'],
  ['hub/models--org--name/snapshots/0123abcd/model.safetensors.index.json', 'org/name'],
  ['models/name', undefined],
  ['mymodels/org/name', undefined],
  ['models/../name', undefined],
  ['a.safetensors', undefined],
])('the path %s shows the id %s', (path, id) => expect(hubIdOf(path)).toBe(id))

test('files that load a model, and its licence, belong to a copy of it', () => {
  for (const name of [
    'config.json',
    'tokenizer.model',
    'modeling_a.py',
    'LICENSE',
    'LICENSE.txt',
    'Licence.md',
    'NOTICE',
  ])
    expect([name, isSideFile(name)]).toEqual([name, true])
  for (const name of ['README.md', 'pytorch_model.bin', 'model.safetensors', 'LICENSES/x', '.gitattributes'])
    expect([name, isSideFile(name)]).toEqual([name, false])
})

test.each([
  ['config.json', '{"auto_map": {"AutoModel": "modeling_a.Model"}}', true],
  ['tokenizer_config.json', '{"auto_map": {}}', true],
  ['config.json', '{"model_type": "llama"}', false],
])('code belongs to a model whose %s is %s: %s', (name, text, isNamed) => {
  const files = new Map([name, 'modeling_a.py'].map((own) => [own, Buffer.from(own === name ? text : '')] as const))
  expect(withoutOtherCode(files).has('modeling_a.py')).toBe(isNamed)
})
