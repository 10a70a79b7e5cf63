import {
  itsResult,
  differenceAsModel,
  earlyMasks,
  earlyParts,
  firstMerger,
  magnitudeMerger,
  sameAsLerp,
  unknownMethod,
} from '../../base/catalogue/import-comfyui.js'
import type { Field } from '../importer.js'
import { oneMinus } from '../numbers.js'
import {
  isTask,
  kindNumbers,
  kindsOf,
  mbwComment,
  mbwNumbers,
  partNumbers,
  partsOf,
  shellNumbers,
  weightsStep,
  type Numbers,
} from './daremerge-numbers.js'
import {
  DARE,
  EARLY_MBW,
  earlyDareWidgets,
  elementWidgets,
  isEarlyElement,
  isFirstMerger,
  maskedWidgets,
  mbwWidgets,
  METHOD,
  PARTS,
  SHELLS,
} from './daremerge-widgets.js'
import { COMPONENTS, type Lane } from './lanes.js'
import type { Gap, Kind, NodeClass, Value, Visit, Widget } from './nodes.js'
import { numbersField } from './rules.js'
import { MISSING, stepOf } from './steps.js'
import type { Task } from './task.js'

/** The methods that compute what another of smelt's does. */
const LIKE_LERP = ['bislerp', 'colorize']
const METHODS = ['lerp', 'slerp', 'slice', 'cyclic', 'gradient', 'cosine', 'cubic', 'scaled_add']

/** What a node's method is here. */
interface Method {
  readonly word: string
  /** Applied in every iteration of DARE. */
  readonly each: boolean
  /** It runs from B to A, so that numbers are 1 − those of the node. */
  readonly flipped: boolean
  readonly comment: string | undefined
}

const methodOf = (visit: Visit): Method | Gap => {
  const method = visit.text('method')
  if (method === 'comfy') return { word: 'lerp', each: false, flipped: false, comment: undefined }
  if (LIKE_LERP.includes(method)) return { word: 'lerp', each: true, flipped: false, comment: sameAsLerp(method) }
  if (!METHODS.includes(method)) return visit.gap('method', unknownMethod(method))
  return { word: method, each: true, flipped: method === 'cosine', comment: undefined }
}

const joined = (...comments: readonly (string | undefined)[]): string | undefined => {
  const given = comments.filter((c) => c !== undefined)
  return given.length === 0 ? undefined : given.join('\n')
}

/** What a merging node makes of its two models. */
interface Merge {
  readonly a: Lane
  readonly b: Lane
  readonly keep: Numbers
  readonly mask: Task | undefined
  readonly method: Method
  /** Random drops: present for DARE. */
  readonly dare?: readonly Field[]
  readonly layers: string
  readonly comment?: string | undefined
}

const merge = (visit: Visit, { a, b, keep, mask, method, dare, layers, comment }: Merge): readonly Value[] => {
  const more = [...(isTask(keep) ? [keep] : []), ...(mask === undefined ? [] : [mask])]
  return [
    stepOf(visit, {
      kind: 'merge',
      op: dare === undefined ? 'merge.blend' : 'merge.dare',
      first: a,
      others: [b],
      more,
      layers,
      comment: joined(method.comment, comment),
      fields: ([first, second, ...names], own) => [
        ['a', first!],
        ['b', second!],
        ...(dare ?? []),
        ...(isTask(keep) ? [['keep', names[0]!] as const] : [numbersField('keep', keep)]),
        ...(method.word === 'lerp' ? [] : [['method', method.word] as const]),
        ...(dare !== undefined && method.each ? [['blend', 'each'] as const] : []),
        ...(mask === undefined ? [] : [['mask', names.at(-1)!] as const, ['unmasked', 'merge'] as const]),
        ...own,
        MISSING,
      ],
    }),
  ]
}

const dareFields = (visit: Visit): readonly Field[] => [
  ['drop', visit.number('drop_rate')],
  ...(visit.text('ties') === 'off' ? [] : [['ties', visit.text('ties')] as const]),
  ...(visit.text('rescale') === 'on' ? [['rescale', true] as const] : []),
  ...(visit.number('iterations') === 1 ? [] : [['iterations', visit.number('iterations')] as const]),
  ['seed', visit.seed()],
]

/** The two models of a node, or what is wrong with them. */
const models = (visit: Visit, kind: 'model' | 'clip' = 'model'): readonly [Lane, Lane] | Gap => {
  const names = [`${kind}_a`, `${kind}_b`] as const
  const difference = names.find((name) => visit.lane(name).delta)
  return difference === undefined
    ? [visit.lane(names[0]), visit.lane(names[1])]
    : visit.gap(difference, differenceAsModel)
}

/** A merging node: its widgets, and the numbers that it keeps of the first model. */
const merger = (
  widgets: NodeClass['widgets'],
  numbers: (visit: Visit, like: Lane, change: (x: number) => number) => Numbers | Gap | 'a',
  more: {
    readonly links?: Readonly<Record<string, Kind | `${Kind}?`>>
    readonly dare?: boolean
    readonly mask?: (visit: Visit, a: Lane, b: Lane) => Task | undefined
    readonly comment?: (visit: Visit) => string | undefined
  } = {},
): NodeClass => ({
  links: { model_a: 'model', model_b: 'model', model_mask: 'mask?', ...more.links },
  renamed: { model_a: 'model1', model_b: 'model2' },
  widgets,
  give: (visit) => {
    const [both, method] = [models(visit), methodOf(visit)]
    if ('type' in both) return both
    if ('type' in method) return method
    const [a, b] = both
    const keep = numbers(visit, a, method.flipped ? oneMinus : (x) => x)
    if (keep === 'a') return [a]
    if (typeof keep === 'object' && 'type' in keep && keep.type === 'gap') return keep as Gap
    return merge(visit, {
      a,
      b,
      keep: keep as Numbers,
      method,
      mask: more.mask?.(visit, a, b) ?? visit.mask('model_mask'),
      ...(more.dare === true ? { dare: dareFields(visit) } : {}),
      layers: 'component:unet',
      comment: more.comment?.(visit),
    })
  },
})

const byParts = (visit: Visit, like: Lane, change: (x: number) => number): Numbers =>
  partNumbers(visit, like, partsOf(visit), change)

/** 1 − weights. */
const flipped = (visit: Visit, like: Lane, weights: Task): Task =>
  weightsStep(
    visit,
    'flipped',
    'weights.combine',
    like,
    ([name]) => [
      ['a', 1],
      ['b', name!],
      ['operation', 'subtract'],
    ],
    [weights],
  )

const byGradient = (visit: Visit, _: Lane, change: (x: number) => number): Numbers => {
  const { task, like } = visit.weights('gradient')
  return change(1) === 1 ? task : flipped(visit, like, task)
}

const byElement = (visit: Visit, like: Lane, change: (x: number) => number): Numbers | 'a' => {
  const early = isEarlyElement(visit.node)
  const kinds = kindNumbers(visit, like, early ? earlyKinds(visit) : kindsOf(visit))
  if (kinds === undefined) return 'a'
  const names = early ? ['shallow layer', 'middle layer', 'deep layer'] : SHELLS.map(([name]) => name)
  const shells = shellNumbers(
    visit,
    like,
    Object.fromEntries(SHELLS.map(([shell], i) => [shell, visit.number(names[i]!)])),
  )
  const product = weightsStep(
    visit,
    'product',
    'weights.combine',
    like,
    ([a, b]) => [
      ['a', a!],
      ['b', b!],
      ['operation', 'multiply'],
      ['join', 'inner'],
    ],
    [shells, kinds],
  )
  return change(1) === 1 ? product : flipped(visit, like, product)
}

const earlyKinds = (visit: Visit): ReturnType<typeof kindsOf> => ({
  norm: visit.flag('norm') ? visit.number('norm_vol') : undefined,
  attn: visit.flag('attn') ? visit.number('attn_vol') : undefined,
  ff: visit.flag('ff.net') ? visit.number('ff.net_vol') : undefined,
})

/** Numbers of nodes that had no `label`, and mostly no `output`: those took `input` and `out`. */
const byEarlyParts = (visit: Visit, like: Lane, change: (x: number) => number): Numbers => {
  const has = (name: string): boolean => visit.has(name)
  const parts = {
    time: visit.number('time'),
    label: visit.number(has('label') ? 'label' : 'input'),
    input: visit.number('input'),
    middle: visit.number('middle'),
    output: visit.number(has('output') ? 'output' : 'out'),
    out: visit.number('out'),
  }
  return partNumbers(visit, like, parts, change)
}

/** The masks that merging nodes once made themselves: where B moved far from the base, and A did not. */
const earlyMask = (visit: Visit, a: Lane, b: Lane): Task => {
  visit.draft.note(visit.where, earlyMasks)
  const base = visit.has('base_model') ? visit.lane('base_model') : a
  const select = /^yes$/i.test(visit.text('invert')) ? 'below' : 'above'
  const moved = (model: Lane, name: string, widget: string): Task => ({
    needs: () => [visit.lanes.make({ model }), visit.lanes.make({ model: base })],
    write: ([x, y]) =>
      visit.draft.step(visit.title(name), 'mask.magnitude', [
        ['model', x!],
        ['base', y!],
        ['select', select],
        ['quantile', visit.number(widget)],
        MISSING,
      ]),
  })
  return {
    needs: () => [moved(b, 'moved_b', 'include_b'), ...(base === a ? [] : [moved(a, 'moved_a', 'exclude_a')])],
    write: (masks) =>
      masks.length === 1 ? masks[0]! : visit.draft.step(visit.title('changed'), 'mask.difference', [['masks', masks]]),
  }
}

const mbwMerger = (widgets: NodeClass['widgets'], more: Parameters<typeof merger>[2] = {}): NodeClass =>
  merger(widgets, mbwNumbers, { dare: true, comment: mbwComment, ...more })

const DARE_BLOCK = merger([...DARE, ...PARTS], byParts, { dare: true })
const EARLY_DARE = merger(earlyDareWidgets, byEarlyParts, {
  dare: true,
  links: { base_model: 'model?' },
  mask: earlyMask,
  comment: () => earlyParts,
})

const refused = (why: string): NodeClass => ({ links: {}, widgets: [], give: (visit) => visit.gap(itsResult, why) })

const CLIP: readonly Widget[] = [
  ['ties', 'sum'],
  ['rescale', 'off'],
  ['ratio', 1],
  ['drop_rate', 0.9],
  ['seed', 42],
  ...METHOD,
  ['iterations', 1],
]

/** The merging nodes of ComfyUI-DareMerge, under all names that they had. */
export const DAREMERGE_MERGES: ReadonlyMap<string, NodeClass> = new Map<string, NodeClass>([
  ['DM_BlockModelMerger', merger([...PARTS, ...METHOD], byParts)],
  ['DM_AdvancedModelMerger', merger(METHOD, byGradient, { links: { gradient: 'weights' } })],
  ['DM_DareModelMergerBlock', DARE_BLOCK],
  ['DM_DareModelMerger', DARE_BLOCK],
  ['DM_AdvancedDareModelMerger', merger(DARE, byGradient, { dare: true, links: { gradient: 'weights' } })],
  ['DM_DareModelMergerMBW', mbwMerger(mbwWidgets)],
  ['DM_DareModelMergerElement', merger(elementWidgets, byElement, { dare: true })],
  [
    'DM_DareClipMerger',
    {
      links: { clip_a: 'clip', clip_b: 'clip' },
      widgets: CLIP,
      give: (visit) => {
        const [both, method] = [models(visit, 'clip'), methodOf(visit)]
        if ('type' in both) return both
        if ('type' in method) return method
        const ratio = visit.number('ratio')
        return merge(visit, {
          a: both[0],
          b: both[1],
          keep: method.flipped ? oneMinus(ratio) : ratio,
          mask: undefined,
          method,
          dare: dareFields(visit),
          layers: COMPONENTS.clip,
        })
      },
    },
  ],
  [
    'DM_MaskedModelMerger',
    merger(maskedWidgets, byEarlyParts, { comment: (visit) => (visit.has('label') ? undefined : earlyParts) }),
  ],
  [
    'BlockModelMergerAdv',
    merger([...['input', 'middle', 'out', 'time'].map((name): Widget => [name, 1]), ...METHOD], byEarlyParts, {
      comment: () => earlyParts,
    }),
  ],
  [
    'DareModelMerger',
    {
      ...EARLY_DARE,
      widgets: (node) => (isFirstMerger(node) ? [] : earlyDareWidgets(node)),
      give: (visit) => (isFirstMerger(visit.node) ? visit.gap(itsResult, firstMerger) : EARLY_DARE.give(visit)),
    },
  ],
  [
    'DareModelMergerMBW',
    mbwMerger(EARLY_MBW, {
      links: { base_model: 'model?' },
      mask: earlyMask,
    }),
  ],
  ['MagnitudeModelMerger', refused(magnitudeMerger)],
])
