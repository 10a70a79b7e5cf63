import { unusedParam } from '../../base/catalogue/operators.js'
import { COMMON, named } from '../aliases.js'
import { defineOperator } from '../define.js'
import { interpolate, methodParam, methodProblem, TURNING, turningParams } from '../interpolate.js'
import { model, perLayer } from '../params.js'

/** Interpolates two models by one of several methods. */
export const blend = defineOperator({
  id: 'merge.blend',
  version: 4,
  summary: 'Blends two models.',
  aliases: [
    {
      name: 'slerp',
      from: 'mergekit',
      settings: '`method: slerp`, `vectors: slerp`, `keep: 1 − t`, `base_model` as `a`',
    },
    { name: 'weighted_sum', from: 'sd-mecha', settings: '`keep: 1 − alpha`' },
    {
      name: 'slerp',
      from: 'sd-mecha',
      settings: '`method: slerp`, `norm: interpolate`, `vectors: slerp`, `keep: 1 − alpha`',
    },
    { name: 'geometric_sum', from: 'sd-mecha', settings: '`method: geometric`, `keep: 1 − alpha`' },
    { name: 'Weighted sum', from: 'AUTOMATIC1111 web UI', settings: '`keep: 1 − multiplier`, `missing: keep`' },
    {
      name: 'Weight sum',
      from: 'supermerger',
      settings: '`keep: 1 − alpha`, `missing: keep`; with MBW, 1 − each number of a block',
    },
    {
      name: 'ModelMergeSimple',
      from: 'ComfyUI',
      settings: '`keep: ratio`, `layers: component:diffusion`, `missing: keep`',
    },
    {
      name: 'ModelMergeBlocks',
      from: 'ComfyUI',
      settings:
        '`keep` from `weights.block`, where `time` and `label` are `input` too, and `output` and `out` are both `out`; `layers: component:diffusion`, `missing: keep`',
    },
    ...named(
      'ComfyUI',
      [
        'ModelMergeSD1',
        'ModelMergeSD2',
        'ModelMergeSDXL',
        'ModelMergeSD3_2B',
        'ModelMergeSD35_Large',
        'ModelMergeAuraflow',
        'ModelMergeFlux1',
        'ModelMergeMochiPreview',
        'ModelMergeLTXV',
        'ModelMergeCosmos7B',
        'ModelMergeCosmos14B',
        'ModelMergeCosmosPredict2_2B',
        'ModelMergeCosmosPredict2_14B',
        'ModelMergeWAN2_1',
        'ModelMergeQwenImage',
      ],
      '`keep` as rules with the names of the sliders, `{ "input_blocks.4": 0.5 }`; `layers: component:diffusion`, `missing: keep`',
    ),
    { name: 'CLIPMergeSimple', from: 'ComfyUI', settings: '`keep: ratio`, `layers: component:clip`, `missing: keep`' },
    ...named(
      'ComfyUI-DareMerge',
      ['DM_BlockModelMerger', 'Model Merger (Block)', 'DM_MaskedModelMerger', 'BlockModelMergerAdv'],
      '`keep` from `weights.block`, and the same `method`, where `comfy` is `lerp`; `unmasked: merge` with a mask',
    ),
    ...named(
      'ComfyUI-DareMerge',
      ['DM_AdvancedModelMerger', 'Model Merger (Advanced)'],
      'the gradient as `keep`, and the same `method`, where `comfy` is `lerp`; `unmasked: merge` with a mask',
    ),
    ...['cubic', 'cyclic', 'gradient', 'scaled_add', 'slerp', 'slice'].map((name) => ({
      name,
      from: 'ComfyUI-DareMerge',
      settings: `\`method: ${name}\`, \`keep: ratio\``,
    })),
    {
      name: 'cosine',
      from: 'ComfyUI-DareMerge',
      settings: '`method: cosine`, `keep: 1 − ratio`, since it runs from B to A there',
    },
    ...named('ComfyUI-DareMerge', ['bislerp', 'colorize', 'comfy'], '`keep: ratio`: they compute what `lerp` does'),
    ...named(COMMON, ['geometric mean'], '`method: geometric`'),
    ...named(COMMON, ['spherical interpolation'], '`method: slerp`'),
    ...named(COMMON, ['interpolate', 'lerp', 'linear interpolation', 'merge', 'mix']),
  ],
  details: [
    'With `t = 1 − keep`, each tensor is the point at `t` on the way from `a` to `b`. `keep: 1` gives `a` and reads nothing of `b`; `keep: 0` gives `b` (with `scaled_add`, the average; with `cyclic`, a window at the left edge). `gradient` is a mixture at both ends. Numbers beyond 0 and 1 extrapolate, except with `geometric`.',
    '',
    '`slerp` uses the angle between the whole tensors: with `θ = acos(a·b / ‖a‖‖b‖)` it is `(sin((1−t)θ)·a + sin(tθ)·b)/sin θ`. Vectors (biases, norms), tensors with `|cos θ| > 0.9995`, and pairs in which one tensor is all zeros use `lerp`. With `norm: interpolate`, `a/‖a‖` and `b/‖b‖` take the place of `a` and `b`, the result is multiplied by `‖a‖ + t(‖b‖ − ‖a‖)`, and the limit of `|cos θ|` is 0.999999.',
    'A `mask` puts `a` in the place of `b` wherever it is false, before the method; with `slerp` that changes the angle, and the protected numbers are scaled together with their tensor.',
  ].join('\n'),
  source:
    '`lerp`: Wortsman et al. 2022, “Model soups”, arXiv 2203.05482. `slerp`: Shoemake 1985, “Animating rotation with quaternion curves”. Methods and masks as in ComfyUI-DareMerge',
  output: 'model',
  inputs: { a: model('The first model.'), b: model('The second model.') },
  params: {
    keep: perLayer({
      default: 0.5,
      min: -10,
      max: 10,
      description:
        'How much of `a` stays: 1 is all `a`, 0 is all `b`. Elsewhere the number is often “weight of b” or `alpha`, which is `1 − keep`.',
    }),
    method: methodParam,
    ...turningParams,
  },
  merges: true,
  masksItself: true,
  exact: true,
  draws: false,
  examples: [
    { inputs: { a: [0, 2], b: [2, 6] }, params: { keep: 0.75 }, expect: [0.5, 3] },
    {
      title: 'only where a mask is true',
      inputs: { a: [0, 2], b: [2, 6], mask: [true, false] },
      params: { keep: 0 },
      expect: [2, 2],
    },
    {
      title: 'a soft start and end',
      inputs: { a: [0, 8], b: [8, 0] },
      params: { keep: 0.75, method: 'cubic' },
      expect: [1.25, 6.75],
    },
    {
      title: 'halfway, by a cosine',
      inputs: { a: [0, 2], b: [2, 6] },
      params: { keep: 0.5, method: 'cosine' },
      expect: [1, 4],
    },
    {
      title: 'the geometric mean, with numbers of the other sign turned on the way',
      inputs: { a: [1, -4, 4], b: [4, -1, -4] },
      params: { keep: 0.5, method: 'geometric' },
      expect: [2, -2, 0],
    },
    {
      title: 'adds and divides',
      inputs: { a: [0, 3], b: [3, 0] },
      params: { keep: 0.5, method: 'scaled_add' },
      expect: [1, 2],
    },
    {
      title: 'along the sphere, between two vectors at a right angle',
      inputs: { a: [[4, 0]], b: [[0, 4]] },
      params: { method: 'slerp' },
      expect: [Math.SQRT1_2 * 4, Math.SQRT1_2 * 4],
    },
    {
      title: 'along the sphere, the norm from that of one to that of the other',
      inputs: { a: [[6, 0]], b: [[0, 2]] },
      params: { method: 'slerp', norm: 'interpolate' },
      expect: [Math.SQRT1_2 * 4, Math.SQRT1_2 * 4],
    },
    {
      title: 'vectors along the sphere too',
      inputs: { a: [4, 0], b: [0, 4] },
      params: { method: 'slerp', vectors: 'slerp' },
      expect: [Math.SQRT1_2 * 4, Math.SQRT1_2 * 4],
    },
    {
      title: 'the left columns of one, the right columns of the other',
      inputs: { a: [[1, 1, 1, 1]], b: [[5, 5, 5, 5]] },
      params: { keep: 0.75, method: 'slice' },
      expect: [1, 1, 1, 5],
    },
    {
      title: 'a window of the second',
      inputs: { a: [[0, 0, 0, 0, 0, 0, 0, 0, 0, 0]], b: [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]] },
      params: { keep: 0.5, method: 'cyclic' },
      expect: [0, 0, 0, 0, 0, 6, 0, 0, 0, 0],
    },
    {
      title: 'a share of the second that rises and falls',
      inputs: { a: [[0, 0, 0, 0]], b: [[1, 1, 1, 1]] },
      params: { keep: 0.5, method: 'gradient' },
      expect: [0, 0.45, 0.45, 0],
    },
  ],
  build: (g, { a, b }, { keep, method, ...turning }, { mask, shape, at, warn }) => {
    const problem = methodProblem(method, keep, at('keep'))
    if (problem !== undefined) return problem
    for (const key of ['norm', 'vectors'] as const)
      if (method !== 'slerp' && turning[key] !== TURNING[key]) warn(unusedParam(at(key), key, 'method: slerp'))
    return interpolate(g, method, a, mask === undefined ? b : g.choose(mask, b, a), keep, shape, turning)
  },
})
