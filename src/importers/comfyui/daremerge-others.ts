import {
  earlyInvert,
  gaussianHalf,
  notProjection,
  normalizesBiases,
  randomAbove,
  shiftedMean,
  unknownMethod,
} from '../../base/catalogue/import-comfyui.js'
import type { Field } from '../importer.js'
import { oneMinus } from '../numbers.js'
import { magnitudeWidgets, METHOD } from './daremerge-widgets.js'
import { layerPatterns } from './layer-texts.js'
import type { Lane } from './lanes.js'
import type { Gap, NodeClass, Value, Visit, Widget } from './nodes.js'
import { MISSING, sentence, stepOf } from './steps.js'
import { task, type Task } from './task.js'

const mask = (of: Task): readonly Value[] => [{ type: 'mask', task: of }]

const onModels = (visit: Visit, lanes: readonly Lane[], write: Task['write']): Task => ({
  needs: () => lanes.map((model) => visit.lanes.make({ model })),
  write,
})

const RANDOM: readonly Widget[] = [
  ['arg_one', 0],
  ['arg_two', 0],
  ['seed', 1],
]

/** What a masking node fills in; `whole` is the key for true and false. */
const filling = (
  visit: Visit,
  whole: 'value' | 'set',
): { readonly fields: readonly Field[]; readonly comment?: string } | Gap => {
  const [operation, one] = [visit.text('operation'), visit.number('arg_one')]
  const seed: Field = ['seed', visit.seed()]
  switch (operation) {
    case 'true':
    case 'false':
      return { fields: [[whole, operation === 'true']] }
    case 'random':
      return { fields: [['p', Math.min(1, Math.max(0, oneMinus(one)))], seed], comment: randomAbove(one) }
    case 'gaussian':
      return { fields: [['p', 0.5], seed], comment: gaussianHalf }
    default:
      return visit.gap('operation', unknownMethod(operation))
  }
}

const SETS: Readonly<Record<string, string>> = {
  union: 'mask.union',
  intersect: 'mask.intersection',
  difference: 'mask.difference',
  xor: 'mask.xor',
}

/** The node's `attn_only` scales the output projection too, without its counterpart. */
const attention = (visit: Visit, a: Lane, b: Lane, magnify: boolean): Value => {
  const fields =
    (method: string, own?: string) =>
    ([x, y]: readonly string[], layers: readonly Field[]): readonly Field[] => [
      ['a', x!],
      ['b', y!],
      ['method', method],
      ['magnify', magnify],
      ...(own === undefined ? layers : [['layers', own] as const]),
      MISSING,
    ]
  const matched = stepOf(visit, {
    kind: 'matched',
    op: 'model.normalize',
    first: a,
    others: [b],
    part: 'matched',
    layers: 'component:unet',
    fields: fields('attn_only'),
  })
  return stepOf(visit, {
    kind: 'normalized',
    op: 'model.normalize',
    first: matched,
    others: [b],
    layers: 'component:unet',
    fields: fields('all', '**.to_out'),
    comment: notProjection,
  })
}

const noise = (visit: Visit): readonly Value[] | Gap => {
  const [lane, method, kind] = [visit.lane('model'), visit.text('method'), visit.text('operation')]
  const layers = layerPatterns(visit, visit.text('layers'), 'diffusion_model')
  if (layers === undefined) return [lane]
  if (kind !== 'gaussian' && kind !== 'random') return visit.gap('operation', unknownMethod(kind))
  const [ratio, of] = [visit.number('ratio'), visit.mask('model_mask')]
  const blends = method !== 'comfy'
  const noisy = stepOf(visit, {
    kind: 'noise',
    op: 'model.noise',
    first: lane,
    more: of === undefined ? [] : [of],
    part: 'noise',
    fields: ([model, own]) => [
      ['model', model!],
      ['kind', kind === 'gaussian' ? 'gaussian' : 'uniform'],
      ['std', kind === 'gaussian' ? visit.number('std') : 0.288675],
      ['strength', blends ? 1 : oneMinus(ratio)],
      ['seed', visit.seed()],
      ['layers', ...layers],
      ...(own === undefined ? [] : [['mask', own] as const, ['unmasked', 'merge'] as const]),
    ],
    comment: visit.number('mean') === 0 || kind === 'random' ? undefined : shiftedMean,
  })
  if (!blends) return [noisy]
  const word = ['bislerp', 'colorize'].includes(method) ? 'lerp' : method
  if (word === 'hslerp') return visit.gap('method', unknownMethod(method))
  return [
    stepOf(visit, {
      kind: 'blended',
      op: 'merge.blend',
      first: lane,
      others: [noisy],
      fields: ([a, b], own) => [
        ['a', a!],
        ['b', b!],
        ['keep', word === 'cosine' ? oneMinus(ratio) : ratio],
        ...(word === 'lerp' ? [] : [['method', word] as const]),
        ...own,
      ],
    }),
  ]
}

/** The nodes of ComfyUI-DareMerge that make masks or change one model. */
export const DAREMERGE_OTHERS: ReadonlyMap<string, NodeClass> = new Map<string, NodeClass>([
  [
    'DM_SimpleMasker',
    {
      links: { model: 'model' },
      widgets: [['operation', 'true'], ...RANDOM],
      give: (visit) => {
        const filled = filling(visit, 'value')
        if ('type' in filled) return filled
        return mask(
          onModels(visit, [visit.lane('model')], ([like]) =>
            visit.draft.step(
              visit.title('mask'),
              'mask.fill',
              [['like', like!], ...filled.fields],
              sentence(filled.comment),
            ),
          ),
        )
      },
    },
  ],
  [
    'DM_MagnitudeMasker',
    {
      links: { model_a: 'model', model_b: 'model' },
      widgets: magnitudeWidgets,
      give: (visit) => {
        const early = visit.has('invert')
        const select = early ? (/^yes$/i.test(visit.text('invert')) ? 'above' : 'below') : visit.text('select')
        if (early) visit.draft.note(visit.where, earlyInvert(select))
        return mask(
          onModels(visit, [visit.lane('model_a'), visit.lane('model_b')], ([a, b]) =>
            visit.draft.step(visit.title('mask'), 'mask.magnitude', [
              ['model', b!],
              ['base', a!],
              ['quantile', visit.number('threshold')],
              ['select', select],
              MISSING,
            ]),
          ),
        )
      },
    },
  ],
  [
    'DM_QuadMasker',
    {
      links: { model: 'model' },
      widgets: [['seed', 1]],
      give: (visit) => {
        const parts = onModels(visit, [visit.lane('model')], ([like]) =>
          visit.draft.step(visit.title('quarters'), 'mask.partition', [
            ['like', like!],
            ['parts', 4],
            ['seed', visit.seed()],
          ]),
        )
        return [1, 2, 3, 4].map((i) => ({ type: 'mask', task: task(([name]) => `${name!}.${i}`, [parts]) }))
      },
    },
  ],
  [
    'DM_MaskOperations',
    {
      links: { mask_a: 'mask', mask_b: 'mask' },
      widgets: [['operation', 'union']],
      give: (visit) => {
        const op = SETS[visit.text('operation')]
        if (op === undefined) return visit.gap('operation', unknownMethod(visit.text('operation')))
        return mask(
          task(
            (masks) => visit.draft.step(visit.title('mask'), op, [['masks', masks]]),
            [visit.mask('mask_a')!, visit.mask('mask_b')!],
          ),
        )
      },
    },
  ],
  [
    'DM_MaskEdit',
    {
      links: { mask: 'mask' },
      widgets: [['operation', 'random'], ...RANDOM, ['layers', '']],
      give: (visit) => {
        const [filled, layers] = [filling(visit, 'set'), layerPatterns(visit, visit.text('layers'))]
        if ('type' in filled) return filled
        if (layers === undefined) return mask(visit.mask('mask')!)
        return mask(
          task(
            ([name]) =>
              visit.draft.step(
                visit.title('mask'),
                'mask.edit',
                [['mask', name!], ['layers', ...layers], ...filled.fields],
                sentence(filled.comment),
              ),
            [visit.mask('mask')!],
          ),
        )
      },
    },
  ],
  [
    'DM_NormalizeModel',
    {
      links: { model_a: 'model', model_b: 'model' },
      widgets: [
        ['method', 'attn_only'],
        ['magnify', 'off'],
      ],
      give: (visit) => {
        const [a, b, method] = [visit.lane('model_a'), visit.lane('model_b'), visit.text('method')]
        const magnify = visit.text('magnify') === 'on'
        if (method === 'none') return [a]
        if (method === 'attn_only') return [attention(visit, a, b, magnify)]
        if (method !== 'q_norm' && method !== 'all') return visit.gap('method', unknownMethod(method))
        return [
          stepOf(visit, {
            kind: 'normalized',
            op: 'model.normalize',
            first: a,
            others: [b],
            layers: 'component:unet',
            comment: method === 'all' ? normalizesBiases : undefined,
            fields: ([x, y], layers) => [
              ['a', x!],
              ['b', y!],
              ['method', method],
              ['magnify', magnify],
              ...layers,
              MISSING,
            ],
          }),
        ]
      },
    },
  ],
  [
    'DM_InjectNoise',
    {
      links: { model: 'model', model_mask: 'mask?' },
      widgets: [
        ['operation', 'gaussian'],
        ['ratio', 0.98],
        ['mean', 0.05],
        ['std', 0.01],
        ['seed', 1],
        ['layers', '*.to_v*'],
        ...METHOD,
      ],
      give: noise,
    },
  ],
])
