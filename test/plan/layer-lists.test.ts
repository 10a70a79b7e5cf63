import { describe, expect, test } from 'vitest'
import { layerSettings } from '#src/plan/layer-lists.js'

/** Layers 0 to 2 of a model of four, and 1 to 3. */
const STACK = { was: 4, is: 6, numbers: [0, 1, 2, 1, 2, 3] }

describe('what a config says of each layer follows the stacked layers', () => {
  test.each([
    ['a list', { layer_types: ['a', 'b', 'c', 'd'] }, { layer_types: ['a', 'b', 'c', 'b', 'c', 'd'] }],
    ['any list with an entry for each layer', { widths: [1, 2, 3, 4] }, { widths: [1, 2, 3, 2, 3, 4] }],
    [
      'entries for layers that the model has besides',
      { layer_types: ['a', 'a', 'a', 'a', 'a'] },
      { layer_types: Array(7).fill('a') },
    ],
    ['numbers of some layers', { mlp_only_layers: [0, 3] }, { mlp_only_layers: [0, 5] }],
    [
      'every second layer',
      { decoder_sparse_step: 2, mlp_only_layers: [1] },
      { decoder_sparse_step: 1, mlp_only_layers: [0, 1, 2, 3, 4] },
    ],
    ['how many come first', { first_k_dense_replace: 1 }, {}],
    ['how many come last', { num_kv_shared_layers: 1 }, {}],
    [
      'a window from a layer on',
      { model_type: 'qwen2', use_sliding_window: true, max_window_layers: 2 },
      { layer_types: ['full', 'full', 'sliding', 'full', 'sliding', 'sliding'].map((x) => `${x}_attention`) },
    ],
    [
      'positions of Llama 4',
      { model_type: 'llama4_text', no_rope_layers: [], interleave_moe_layer_step: 4 },
      { no_rope_layers: [1, 1, 1, 1, 1, 0], moe_layers: [5] },
    ],
    ['ids of tokens, which are no layers', { eos_token_id: [5, 6, 7, 8] }, {}],
  ])('%s', (_, config, expected) => {
    const { set, left } = layerSettings(config, STACK)
    expect(Object.fromEntries(set)).toEqual(expected)
    expect(left).toEqual([])
  })

  test.each([
    [{ first_k_dense_replace: 2 }, ['first_k_dense_replace']],
    [{ num_kv_shared_layers: 2 }, ['num_kv_shared_layers']],
    [{ layer_types: ['a', 'b', 'c'] }, ['layer_types']],
  ])('unless its key cannot say it: %s', (config, left) => {
    expect(layerSettings(config, STACK)).toMatchObject({ set: [], left })
  })
})
