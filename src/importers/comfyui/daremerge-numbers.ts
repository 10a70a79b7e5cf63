import { itsResult, mbwBlocksTen, noKinds, shellBlocksTen } from '../../base/catalogue/import-comfyui.js'
import type { Yaml } from '../../document/write.js'
import type { Field } from '../importer.js'
import { KINDS, mbwBlocks, PARTS, SHELLS } from './daremerge-widgets.js'
import { layerPatterns } from './layer-texts.js'
import type { Lane } from './lanes.js'
import type { Gap, NodeClass, Value, Visit, Widget } from './nodes.js'
import { layersOf, numbersField, rulesOf } from './rules.js'
import { sentence } from './steps.js'
import type { Task } from './task.js'

/** Numbers by layer: as they stand in a step, or those of another step. */
export type Numbers = Yaml | Task

export const isTask = (numbers: Numbers): numbers is Task => typeof numbers === 'object' && 'write' in numbers

/** A step that makes weights for the layers of a model. */
export const weightsStep = (
  visit: Visit,
  kind: string,
  op: string,
  like: Lane,
  fields: (names: readonly string[]) => readonly Field[],
  more: readonly Task[] = [],
  comment?: string,
): Task => ({
  needs: () => [visit.lanes.make({ model: like }), ...more],
  write: ([model, ...names]) =>
    visit.draft.step(visit.title(kind), op, [['like', model!], ...fields(names)], sentence(comment)),
})

/** The numbers of some widgets, changed where a method runs the other way. */
type Change = (x: number) => number

const asTheyAre: Change = (x) => x

/** The numbers of the parts of a U-Net: one where all are equal, else a step. */
export const partNumbers = (
  visit: Visit,
  like: Lane,
  parts: Readonly<Record<string, number>>,
  change = asTheyAre,
): Numbers => {
  const entries = Object.entries(parts).map(([part, x]) => [part, change(x)] as const)
  const [first] = entries
  return entries.every(([, x]) => x === first![1])
    ? first![1]
    : weightsStep(visit, 'blocks', 'weights.block', like, () => entries)
}

/** The numbers of the six parts, by the names that `weights.block` has for them. */
export const partsOf = (visit: Visit): Readonly<Record<string, number>> =>
  Object.fromEntries(PARTS.map(([part]) => [part, visit.number(part)]))

const mostFrequent = (numbers: readonly number[]): number => {
  const counts = new Map<number, number>()
  for (const x of numbers) counts.set(x, (counts.get(x) ?? 0) + 1)
  return [...counts].reduce((best, entry) => (entry[1] > best[1] ? entry : best))[0]
}

const LAYERS: Readonly<Record<string, string>> = { time: 'time_embed', label: 'label_emb' }

/** The numbers of the blocks of a U-Net, as rules. */
export const mbwNumbers = (visit: Visit, like: Lane, change = asTheyAre): Yaml => {
  const numbers = mbwBlocks(0).map(([name]) => ({
    layers: LAYERS[name] ?? name,
    value: change(visit.number(name)),
    mayBeAbsent: name === 'label',
  }))
  const has = layersOf(visit.draft, like)
  const present = has === undefined ? numbers : numbers.filter((n) => has(n.layers))
  return rulesOf(mostFrequent((present.length === 0 ? numbers : present).map((n) => n.value)), numbers, has)
}

/** What to say where the nodes gave blocks 10 and 11 the number of block 1. */
export const mbwComment = (visit: Visit): string | undefined =>
  ['input_blocks', 'output_blocks'].some((stem) =>
    [10, 11].some((i) => visit.number(`${stem}.${i}`) !== visit.number(`${stem}.1`)),
  )
    ? mbwBlocksTen
    : undefined

export const shellNumbers = (visit: Visit, like: Lane, shells: Readonly<Record<string, number>>): Task =>
  weightsStep(
    visit,
    'shells',
    'weights.shell',
    like,
    () => Object.entries(shells),
    [],
    shells['exterior'] === shells['core'] ? undefined : shellBlocksTen,
  )

/** The numbers of kinds of layers; `norm` is what the nodes find by that name, the norms of transformers. */
export const kindNumbers = (
  visit: Visit,
  like: Lane,
  kinds: Readonly<Record<'norm' | 'attn' | 'ff', number | undefined>>,
): Task | undefined => {
  const rules = [
    ['group:norm-transformer', kinds.norm],
    ['group:attn', kinds.attn],
    ['group:ff', kinds.ff],
  ] as const
  const given = rules.flatMap(([group, x]) => (x === undefined ? [] : [[group, x] as const]))
  return given.length === 0
    ? undefined
    : weightsStep(visit, 'kinds', 'weights.rules', like, () => [['rules', new Map(given)]])
}

/** The kinds that a node processes. */
export const kindsOf = (visit: Visit): Readonly<Record<'norm' | 'attn' | 'ff', number | undefined>> => ({
  norm: visit.flag('process_norm') ? visit.number('norm') : undefined,
  attn: visit.flag('process_attn') ? visit.number('attn') : undefined,
  ff: visit.flag('process_ff_net') ? visit.number('ff_net') : undefined,
})

const weights = (task: Task, like: Lane): readonly Value[] => [{ type: 'weights', task, like }]

const ofModel = (widgets: readonly Widget[], task: (visit: Visit, like: Lane) => Task | Gap): NodeClass => ({
  links: { model: 'model' },
  widgets,
  give: (visit) => {
    const like = visit.lane('model')
    const found = task(visit, like)
    return 'type' in found ? found : weights(found, like)
  },
})

const OPERATIONS = ['set', 'add', 'subtract', 'multiply', 'divide']

/** The nodes of ComfyUI-DareMerge that make numbers by layer. */
export const DAREMERGE_NUMBERS: ReadonlyMap<string, NodeClass> = new Map<string, NodeClass>([
  [
    'DM_BlockGradient',
    ofModel(PARTS, (visit, like) =>
      weightsStep(visit, 'blocks', 'weights.block', like, () => Object.entries(partsOf(visit))),
    ),
  ],
  [
    'DM_MBWGradient',
    ofModel(mbwBlocks(0), (visit, like) => {
      const numbers = mbwNumbers(visit, like)
      const rules = typeof numbers === 'number' ? new Map([['default', numbers]]) : numbers
      return weightsStep(
        visit,
        'blocks',
        'weights.rules',
        like,
        () => [numbersField('rules', rules)],
        [],
        mbwComment(visit),
      )
    }),
  ],
  [
    'DM_ShellGradient',
    ofModel(SHELLS, (visit, like) =>
      shellNumbers(visit, like, Object.fromEntries(SHELLS.map(([name]) => [name, visit.number(name)]))),
    ),
  ],
  [
    'DM_AttentionGradient',
    ofModel(KINDS, (visit, like) => kindNumbers(visit, like, kindsOf(visit)) ?? visit.gap(itsResult, noKinds)),
  ],
  [
    'DM_GradientOperations',
    {
      links: { gradient_a: 'weights', gradient_b: 'weights' },
      widgets: [
        ['operation', 'mean'],
        ['join', 'inner'],
      ],
      give: (visit) => {
        const [a, b] = [visit.weights('gradient_a'), visit.weights('gradient_b')]
        return weights(
          weightsStep(
            visit,
            'combined',
            'weights.combine',
            a.like,
            ([x, y]) => [
              ['a', x!],
              ['b', y!],
              ['operation', visit.text('operation')],
              ['join', visit.text('join')],
            ],
            [a.task, b.task],
          ),
          a.like,
        )
      },
    },
  ],
  [
    'DM_GradientEdit',
    {
      links: { gradient: 'weights' },
      widgets: [
        ['operation', 'set'],
        ['value', 0],
        ['layers', ''],
      ],
      give: (visit) => {
        const { task, like } = visit.weights('gradient')
        const operation = visit.text('operation')
        const layers = layerPatterns(visit, visit.text('layers'))
        if (layers === undefined) return weights(task, like)
        if (!OPERATIONS.includes(operation)) return visit.gap('operation', operation)
        return weights(
          weightsStep(
            visit,
            'edited',
            'weights.edit',
            like,
            ([name]) => [
              ['weights', name!],
              ['layers', ...layers],
              [operation, visit.number('value')],
            ],
            [task],
          ),
          like,
        )
      },
    },
  ],
])
