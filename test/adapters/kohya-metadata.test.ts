import { expect, test } from 'vitest'
import { kohyaMetadata, type KohyaFacts } from '#src/architectures/adapters/kohya-metadata.js'

const plain: KohyaFacts = { base: 'sdxl', ranks: new Set([8]), alphas: new Set([8]), parents: [] }
const told = (facts: Partial<KohyaFacts>): Readonly<Record<string, string>> =>
  Object.fromEntries(kohyaMetadata({ ...plain, ...facts }))
const parent = (entries: Readonly<Record<string, string>>): ReadonlyMap<string, string> =>
  new Map(Object.entries(entries))

test('the header of an adapter says what web UIs sort and apply it by', () => {
  expect(told({})).toEqual({
    ss_network_module: 'networks.lora',
    ss_base_model_version: 'sdxl_base_v1-0',
    ss_v2: 'False',
    'modelspec.sai_model_spec': '1.0.1',
    'modelspec.architecture': 'stable-diffusion-xl-v1-base/lora',
    'modelspec.implementation': 'https://github.com/Stability-AI/generative-models',
    'modelspec.resolution': '1024x1024',
    ss_network_dim: '8',
    ss_network_alpha: '8',
    sshs_model_hash: '0'.repeat(64),
    sshs_legacy_hash: '0'.repeat(8),
  })
  expect(told({ base: 'flux', modelspec: 'flux-1-schnell' })).toMatchObject({
    ss_network_module: 'networks.lora_flux',
    'modelspec.architecture': 'flux-1-schnell/lora',
  })
  // Nothing tells which network of that name it is for, or which network at all.
  expect(told({ base: 'sd2' })).not.toHaveProperty('modelspec.architecture')
  expect(told({ base: undefined })).not.toHaveProperty('ss_base_model_version')
  expect(told({ ranks: new Set([8, 4]) })).toMatchObject({ ss_network_dim: 'Dynamic', ss_network_alpha: '8' })
})

test('of one parent it keeps what the trainer said, except what is no longer true', () => {
  const said = {
    ss_network_module: 'lycoris.kohya',
    ss_network_dim: '128',
    ss_steps: '9',
    ss_tag_frequency: '{"a": {"x": 1}}',
  }
  const found = told({ parents: [parent({ ...said, sshs_model_hash: 'f'.repeat(64), note: 'mine' })] })
  expect(found).toMatchObject({ ...said, ss_network_dim: '8', sshs_model_hash: '0'.repeat(64) })
  expect(found).not.toHaveProperty('note')
})

test('of several parents it keeps what they agree in, and adds up their tags', () => {
  const found = told({
    base: 'sd1',
    parents: [
      parent({ ss_steps: '9', ss_clip_skip: '2', ss_tag_frequency: '{"10_ink": {"ink": 3, "sky": 1}}' }),
      parent({ ss_steps: '8', ss_clip_skip: '2', ss_tag_frequency: '{"10_ink": {"ink": 2}, "5_oil": {"oil": 4}}' }),
      parent({ ss_clip_skip: '2', ss_tag_frequency: 'no JSON' }),
    ],
  })
  expect(found).toMatchObject({
    ss_clip_skip: '2',
    ss_tag_frequency: JSON.stringify({ '10_ink': { ink: 5, sky: 1 }, '5_oil': { oil: 4 } }),
  })
  expect(found).not.toHaveProperty('ss_steps')
})
