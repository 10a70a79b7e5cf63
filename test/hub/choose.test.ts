import { describe, expect, test } from 'vitest'
import { chooseFile } from '#src/hub/choose.js'

const SHARDS = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors']

describe('of the files of a repository', () => {
  test.each<[string, readonly string[], string]>([
    [
      'the index, where there are shards',
      ['config.json', ...SHARDS, 'model.safetensors.index.json'],
      'model.safetensors.index.json',
    ],
    [
      'model.safetensors, whatever else is there',
      ['consolidated.safetensors', 'model.fp16.safetensors', 'model.safetensors', 'pytorch_model.bin'],
      'model.safetensors',
    ],
    ['the only safetensors file', ['sd15.safetensors', 'v1.ckpt'], 'sd15.safetensors'],
    ['the only index', [...SHARDS, 'x.safetensors.index.json'], 'x.safetensors.index.json'],
    [
      'the checkpoint of PyTorch, where there is no other',
      ['pytorch_model.bin', 'training_args.bin'],
      'pytorch_model.bin',
    ],
    ['its index', ['pytorch_model-00001-of-00002.bin', 'pytorch_model.bin.index.json'], 'pytorch_model.bin.index.json'],
    ['the only checkpoint', ['a.ckpt', 'optimizer.pt'], 'a.ckpt'],
  ])('a model is %s', (_, names, name) => {
    expect(chooseFile(names, 'model')).toEqual({ type: 'found', name })
  })

  test('an adapter is the file that PEFT or diffusers writes', () => {
    expect(chooseFile(['adapter_config.json', 'adapter_model.safetensors', 'adapter_model.bin'], 'adapter')).toEqual({
      type: 'found',
      name: 'adapter_model.safetensors',
    })
    expect(chooseFile(['adapter_model.bin'], 'adapter')).toEqual({ type: 'found', name: 'adapter_model.bin' })
    expect(chooseFile(['pytorch_lora_weights.safetensors'], 'adapter')).toMatchObject({ type: 'found' })
  })

  test('several models are told, and shards without an index are none', () => {
    expect(chooseFile(['b.safetensors', 'a.safetensors'], 'model')).toEqual({
      type: 'several',
      names: ['a.safetensors', 'b.safetensors'],
    })
    expect(chooseFile(SHARDS, 'model')).toEqual({ type: 'none' })
    expect(chooseFile(['README.md'], 'model')).toEqual({ type: 'none' })
  })
})
