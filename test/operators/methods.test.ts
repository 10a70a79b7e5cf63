import { expect, test } from 'vitest'
import { foldName } from '#src/operators/aliases.js'
import { operators } from '#src/operators/index.js'
import { ABSENT } from '#src/operators/methods-page.js'

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
  ],
  // 1.1.5; without conversions of names and functions that merge nothing
  'sd-mecha': [
    'add_cosine_a',
    'add_cosine_b',
    'add_difference',
    'add_opposite_mask',
    'add_strict_opposite_mask',
    'balance_attention',
    'cast',
    'clamp',
    'crossover',
    'dropout',
    'extract_kohya_lora',
    'fallback',
    'geometric_median',
    'geometric_sum',
    'model_stock',
    'multiply_quotient',
    'n_average',
    'omit_component',
    'perpendicular_component',
    'pick_component',
    'randperm',
    'rebasin',
    'rotate',
    'scale',
    'slerp',
    'subtract',
    'tensor_sum',
    'ties_sum',
    'ties_sum_with_dropout',
    'top_k_tensor_sum',
    'train_difference_mask',
    'truncate_kronecker',
    'truncate_rank',
    'weighted_sum',
  ],
  MergeLM: ['average_merging', 'task_arithmetic', 'fisher_merging', 'regmean_merging', 'ties_merging', 'mask_merging'],
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
