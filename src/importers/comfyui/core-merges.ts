import {
  addsModels,
  blocksOfUNet,
  differenceAsModel,
  scaledStructure,
  subtractsDifference,
} from '../../base/catalogue/import-comfyui.js'
import type { Yaml } from '../../document/write.js'
import { BLOCK_CLASSES, MAY_BE_ABSENT, TENSORS } from './block-classes.js'
import type { Lane, LaneStep } from './lanes.js'
import type { Gap, NodeClass, Value, Visit, Widget } from './nodes.js'
import { layersOf, numbersField, rulesOf, type LayerNumber } from './rules.js'
import { MISMATCH, MISSING, stepOf } from './steps.js'

/** The two models of a merging node, or what is wrong with them. */
const bothOf = (visit: Visit, names: readonly [string, string]): readonly [Lane, Lane] | Gap => {
  const lanes = names.map((name) => visit.lane(name))
  const difference = lanes.findIndex((lane) => lane.delta)
  return difference === -1 ? [lanes[0]!, lanes[1]!] : visit.gap(names[difference]!, differenceAsModel)
}

/** `keep·a + (1 − keep)·b`. Merges of model and text encoder by one number are one step where they can be. */
export const blend = (visit: Visit, a: Lane, b: Lane, keep: Yaml, comment?: string, index?: number): LaneStep =>
  stepOf(visit, {
    kind: a.lane === 'model' ? 'merge' : `merge_${a.lane}`,
    op: 'merge.blend',
    first: a,
    others: [b],
    comment,
    ...(index === undefined ? {} : { index }),
    fields: ([first, second], layers) => [
      ['a', first!],
      ['b', second!],
      numbersField('keep', keep),
      ...layers,
      MISSING,
    ],
    pair:
      typeof keep !== 'number'
        ? undefined
        : {
            key: `blend ${keep} ${index ?? ''}`,
            fields: ([first, second], layers) => [['a', first!], ['b', second!], ['keep', keep], ...layers, MISSING],
          },
  })

const simple = (names: readonly [string, string], kind: 'model' | 'clip'): NodeClass => ({
  links: { [names[0]]: kind, [names[1]]: kind },
  widgets: [['ratio', 1]],
  give: (visit) => {
    const both = bothOf(visit, names)
    return 'type' in both ? both : [blend(visit, ...both, visit.number('ratio'))]
  },
})

const subtract = (names: readonly [string, string], kind: 'model' | 'clip'): NodeClass => ({
  links: { [names[0]]: kind, [names[1]]: kind },
  widgets: [['multiplier', 1]],
  give: (visit) => {
    const [x, y, factor] = [visit.lane(names[0]), visit.lane(names[1]), visit.number('multiplier')]
    if (y.delta) return visit.gap(names[1], subtractsDifference)
    const difference = stepOf(visit, {
      kind: 'difference',
      op: 'model.subtract',
      first: x,
      others: [y],
      fields: ([a, b]) => [['a', a!], ['b', b!], MISSING, MISMATCH],
      delta: true,
    })
    if (factor === 1) return [difference]
    return [
      stepOf(visit, {
        kind: 'scaled',
        op: 'model.scale',
        first: difference,
        fields: ([model], layers) => [['model', model!], ['factor', factor], ...layers],
        delta: true,
        part: 'scaled',
      }),
    ]
  },
})

/** A difference of two models, and what it is multiplied by. */
export interface Difference {
  readonly x: Lane
  readonly y: Lane
  readonly factor: number
}

/** `m·(x − y)`, if a lane is what a subtracting node makes of two models. */
export const differenceOf = (lane: Lane): Difference | undefined => {
  if (lane.type !== 'step' || !lane.delta) return undefined
  if (lane.op === 'model.scale') {
    const inner = differenceOf(lane.first)
    const factor = lane.fields([''], []).find(([key]) => key === 'factor')?.[1]
    return inner === undefined || typeof factor !== 'number' ? undefined : { ...inner, factor }
  }
  return lane.op === 'model.subtract' && !lane.first.delta
    ? { x: lane.first, y: lane.others[0]!, factor: 1 }
    : undefined
}

/** Adds what stands second to what stands first, whose tensors the result has. */
const add = (names: readonly [string, string], kind: 'model' | 'clip'): NodeClass => ({
  links: { [names[0]]: kind, [names[1]]: kind },
  widgets: [],
  give: (visit) => {
    const [first, second] = [visit.lane(names[0]), visit.lane(names[1])]
    const [before, behind] = [differenceOf(first), differenceOf(second)]
    if (before !== undefined && !second.delta) return [addToMinuend(visit, before, second)]
    if (!first.delta && behind !== undefined) {
      const strength: readonly (readonly ['strength', number])[] =
        behind.factor === 1 ? [] : [['strength', behind.factor]]
      return [
        stepOf(visit, {
          kind: 'merge',
          op: 'merge.add_difference',
          first,
          others: [behind.x, behind.y],
          fields: ([a, b, c], layers) => [['a', a!], ['b', b!], ['c', c!], ...strength, ...layers, MISSING, MISMATCH],
        }),
      ]
    }
    if (second.delta)
      return [
        stepOf(visit, {
          kind: 'merge',
          op: 'model.add',
          first,
          others: [second],
          fields: ([a, delta], layers) => [['a', a!], ['delta', delta!], ...layers, MISSING, MISMATCH],
          delta: first.delta,
        }),
      ]
    if (first.delta)
      return [
        stepOf(visit, {
          kind: 'merge',
          op: 'model.add',
          first: second,
          others: [first],
          fields: ([a, delta], layers) => [['a', a!], ['delta', delta!], ...layers, MISSING, MISMATCH],
        }),
      ]
    visit.draft.note(visit.where, addsModels)
    return [
      weighted(visit, [
        [first, 1],
        [second, 1],
      ]),
    ]
  },
})

/** A sum of models, which has the tensors of the first. */
const weighted = (visit: Visit, parts: readonly (readonly [Lane, number])[], comment?: string): Value =>
  stepOf(visit, {
    kind: 'merge',
    op: 'merge.linear',
    first: parts[0]![0],
    others: parts.slice(1).map(([lane]) => lane),
    comment,
    fields: (names, layers) => [
      ['models', names.map((model, i) => ({ model, weight: parts[i]![1] }))],
      ['normalize', false],
      ...layers,
      MISSING,
      MISMATCH,
    ],
  })

/**
 * `m·(x − y) + z` has the tensors of `x`: of an inpainting model, its nine input channels. Written as an addition to `z`,
 * it would lose them.
 */
const addToMinuend = (
  visit: Visit,
  { x, y, factor }: { readonly x: Lane; readonly y: Lane; readonly factor: number },
  z: Lane,
): Value =>
  factor === 1
    ? stepOf(visit, {
        kind: 'merge',
        op: 'merge.add_difference',
        first: x,
        others: [z, y],
        fields: ([a, b, c], layers) => [['a', a!], ['b', b!], ['c', c!], ...layers, MISSING, MISMATCH],
      })
    : weighted(
        visit,
        [
          [x, factor],
          [z, 1],
          [y, -factor],
        ],
        scaledStructure(factor),
      )

/** The layers of a widget, which its name begins. */
const OF_BLOCKS: Readonly<Record<string, readonly string[]>> = {
  input: ['input_blocks'],
  middle: ['middle_block'],
  out: ['output_blocks', 'out'],
}

const blocks = (type: string, names: readonly string[]): NodeClass => {
  const widgets = names.map((name): Widget => [name, 1])
  return {
    links: { model1: 'model', model2: 'model' },
    widgets,
    give: (visit) => {
      const both = bothOf(visit, ['model1', 'model2'])
      if ('type' in both) return both
      // Tensors of no widget take the first in the order of the file, which a program may have sorted.
      const leading =
        visit.node.widgets.length > 0
          ? names[0]!
          : ([...visit.node.inputs.keys()].find((k) => names.includes(k)) ?? names[0]!)
      const has = layersOf(visit.draft, both[0])
      const numbers = names
        .filter((name) => !TENSORS.has(name))
        .flatMap((name): readonly LayerNumber[] =>
          (type === 'ModelMergeBlocks' ? OF_BLOCKS[name]! : [name.replace(/\.$/, '')]).map((layers) => ({
            layers,
            value: visit.number(name),
            mayBeAbsent: MAY_BE_ABSENT.has(name),
          })),
        )
      const keep = rulesOf(visit.number(leading), numbers, has)
      const isUnsure = type === 'ModelMergeBlocks' && typeof keep !== 'number' && has === undefined
      return [blend(visit, ...both, keep, isUnsure ? blocksOfUNet(visit.number(leading)) : undefined)]
    },
  }
}

const MODELS = ['model1', 'model2'] as const
const CLIPS = ['clip1', 'clip2'] as const

/** The merging nodes of ComfyUI's core. */
export const CORE_MERGES: ReadonlyMap<string, NodeClass> = new Map([
  ['ModelMergeSimple', simple(MODELS, 'model')],
  ['CLIPMergeSimple', simple(CLIPS, 'clip')],
  ['ModelMergeSubtract', subtract(MODELS, 'model')],
  ['ModelSubtract', subtract(MODELS, 'model')],
  ['CLIPMergeSubtract', subtract(CLIPS, 'clip')],
  ['CLIPSubtract', subtract(CLIPS, 'clip')],
  ['ModelMergeAdd', add(MODELS, 'model')],
  ['ModelAdd', add(MODELS, 'model')],
  ['CLIPMergeAdd', add(CLIPS, 'clip')],
  ['CLIPAdd', add(CLIPS, 'clip')],
  ...Object.entries(BLOCK_CLASSES).map(([type, names]) => [type, blocks(type, names)] as const),
])
