import { expect, test } from 'vitest'
import { ABSENT } from '#src/operators/absent.js'
import { foldName } from '#src/operators/aliases.js'
import { operators } from '#src/operators/index.js'

/** What each tool registers as a merge method, in the version that `docs/methods.md` speaks of. */
const METHODS: Readonly<Record<string, readonly string[]>> = {
  // 0.1.5
  mergekit: [
    'linear',
    'slerp',
    'nuslerp',
    'multislerp',
    'karcher',
    'task_arithmetic',
    'ties',
    'dare_linear',
    'dare_ties',
    'breadcrumbs',
    'breadcrumbs_ties',
    'della',
    'della_linear',
    'model_stock',
    'sce',
    'ram',
    'ramplus_tl',
    'nearswap',
    'arcee_fusion',
    'passthrough',
    ...['mergekit-moe', 'mergekit-extract-lora', 'mergekit-evolve', 'mergekit-tokensurgeon', 'mergekit-layershuffle'],
    'bakllama',
  ],
  // 1.1.5: what is registered, without the forms of each model, and the functions that put several together
  'sd-mecha': [
    'add_cosine_a',
    'add_cosine_b',
    'add_difference',
    'add_difference_ties',
    'add_difference_ties_extended',
    'add_opposite_mask',
    'add_perpendicular',
    'add_strict_opposite_mask',
    'add_ties_with_dare',
    'balance_attention',
    'cast',
    'clamp',
    'convert',
    'copy_region',
    'crossover',
    'dropout',
    'exchange_ema',
    'extract_kohya_lora',
    'extract_kohya_lokr',
    'extract_lycoris_lokr',
    'extract_lycoris_lora',
    'fallback',
    'geometric_median',
    'geometric_sum',
    'get_device',
    'get_dtype',
    'get_rank_from_ratio',
    'model_stock',
    'multiply_quotient',
    'n_average',
    'n_model_stock',
    'omit_component',
    'omit_non_finite',
    'perpendicular_component',
    'pick_component',
    'randperm',
    'rebasin',
    'rotate',
    'scale',
    'slerp',
    'stack',
    'subtract',
    'tensor_sum',
    'ties_sum',
    'ties_sum_extended',
    'ties_sum_with_dropout',
    'top_k_tensor_sum',
    'train_difference_mask',
    'truncate_kronecker',
    'truncate_rank',
    'weighted_sum',
  ],
  MergeLM: [
    'average_merging',
    'task_arithmetic',
    'fisher_merging',
    'regmean_merging',
    'ties_merging',
    'mask_merging',
    'mask_model_weights',
  ],
  supermerger: [
    ...['Weight sum', 'Add difference', 'Triple sum', 'sum Twice', 'cosineA', 'cosineB', 'trainDifference'],
    ...['smoothAdd', 'smoothAdd MT', 'extract', 'tensor', 'tensor2', 'self', 'plus random', 'elemental merge', 'MBW'],
    ...['Adjust', 'merge to checkpoint', 'merge LoRAs', 'make LoRA', 'bake in VAE', 'prune', 'Reset CLIP ids'],
  ],
  // nodes_model_merging.py, nodes_model_merging_model_specific.py and nodes_lora_extract.py
  ComfyUI: [
    ...['ModelMergeSimple', 'ModelMergeBlocks', 'ModelMergeSubtract', 'ModelMergeAdd', 'CLIPMergeSimple'],
    ...['CLIPMergeSubtract', 'CLIPMergeAdd', 'CheckpointSave', 'ImageOnlyCheckpointSave', 'ModelSave', 'CLIPSave'],
    ...['VAESave', 'LoraSave', 'ModelMergeSD1', 'ModelMergeSD2', 'ModelMergeSDXL', 'ModelMergeSD3_2B'],
    ...['ModelMergeAuraflow', 'ModelMergeFlux1', 'ModelMergeSD35_Large', 'ModelMergeMochiPreview', 'ModelMergeLTXV'],
    ...['ModelMergeCosmos7B', 'ModelMergeCosmos14B', 'ModelMergeCosmosPredict2_2B', 'ModelMergeCosmosPredict2_14B'],
    ...['ModelMergeWAN2_1', 'ModelMergeQwenImage'],
  ],
}

test.each(Object.entries(METHODS))('every method of %s is an operator here, or is said not to be', (tool, methods) => {
  const here = operators.flatMap(({ aliases = [] }) => aliases.filter(({ from }) => from === tool))
  const known = new Set([...here, ...ABSENT.filter(({ from }) => from === tool)].map(({ name }) => foldName(name)))
  expect(methods.filter((name) => !known.has(foldName(name)))).toEqual([])
})

test('what is said not to be here is not', () => {
  const here = new Set(
    operators.flatMap(({ aliases = [] }) => aliases.map(({ name, from }) => `${from} ${foldName(name)}`)),
  )
  expect(ABSENT.filter(({ name, from }) => here.has(`${from} ${foldName(name)}`))).toEqual([])
})
