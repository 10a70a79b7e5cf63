import { blockWeightLora, loadsAtOnce, lorasOfText, wrongWidget } from '../../base/catalogue/import-comfyui.js'
import { isObject } from '../../base/is-object.js'
import type { WorkflowNode } from './graph.js'
import type { Lane } from './lanes.js'
import { bakeLora, refused } from './loaders.js'
import type { Gap, Lora, NodeClass, Value, Visit, Widget } from './nodes.js'
import { inTypeOf } from './widgets.js'

const numbered = (count: number, of: (i: number) => readonly Widget[]): readonly Widget[] =>
  Array.from({ length: count }, (_, i) => of(i + 1)).flat()

const isNone = (name: string): boolean => name === '' || name === 'None'

/** Bakes LoRAs into the model and, where it is linked, the text encoder, one after another. */
const bakeAll = (visit: Visit, loras: readonly Lora[]): readonly Value[] => {
  const [model, clip] = [visit.lane('model'), visit.has('clip') ? visit.lane('clip') : undefined]
  const first: readonly Lane[] = clip === undefined ? [model] : [model, clip]
  return loras.reduce(
    (lanes, lora, i) => bakeLora(visit, lanes, clip === undefined ? { ...lora, clipStrength: 0 } : lora, i),
    first,
  )
}

/** The rows of a Power Lora Loader: by name in the API format, in their order among its widgets in the other. */
const rowsOf = ({ inputs, widgets }: WorkflowNode): readonly Readonly<Record<string, unknown>>[] =>
  [
    ...[...inputs].flatMap(([name, input]) => (/^lora_/i.test(name) && input.type === 'value' ? [input.value] : [])),
    ...widgets,
  ]
    .filter(isObject)
    .filter((row) => 'on' in row && 'lora' in row && 'strength' in row)

const powerLora = (visit: Visit): readonly Value[] | Gap => {
  const loras: Lora[] = []
  for (const row of rowsOf(visit.node)) {
    if (row['on'] !== true || row['lora'] === null) continue
    const [name, strength] = [inTypeOf(row['lora'], ''), inTypeOf(row['strength'], 0)]
    const clipStrength = row['strengthTwo'] == null ? strength : inTypeOf(row['strengthTwo'], 0)
    if (typeof name !== 'string' || typeof strength !== 'number' || typeof clipStrength !== 'number')
      return visit.gap(
        String(row['lora']).slice(0, 60),
        wrongWidget(String(row['strengthTwo'] ?? row['strength']).slice(0, 60)),
      )
    if (!isNone(name)) loras.push({ name, strength, clipStrength })
  }
  return bakeAll(visit, loras)
}

/** LoRAs of a node's own widgets, by the ends of their names. */
const ownLoras = (
  ends: readonly (number | string)[],
  of: (end: number | string) => Lora | undefined,
): readonly Lora[] =>
  ends.flatMap((end) => {
    const lora = of(end)
    return lora === undefined || isNone(lora.name) ? [] : [lora]
  })

const FOUR = ['01', '02', '03', '04']
const THREE = [1, 2, 3]

const rgthreeStack: NodeClass = {
  links: { model: 'model', clip: 'clip' },
  widgets: FOUR.flatMap((end): readonly Widget[] => [
    [`lora_${end}`, 'None'],
    [`strength_${end}`, 1],
  ]),
  give: (visit) =>
    bakeAll(
      visit,
      ownLoras(FOUR, (end) => {
        const strength = visit.number(`strength_${end}`)
        return { name: visit.text(`lora_${end}`), strength, clipStrength: strength }
      }),
    ),
}

const comfyrollStack: NodeClass = {
  links: { lora_stack: 'loras?' },
  widgets: numbered(THREE.length, (i) => [
    [`switch_${i}`, 'Off'],
    [`lora_name_${i}`, 'None'],
    [`model_weight_${i}`, 1],
    [`clip_weight_${i}`, 1],
  ]),
  give: (visit) => [
    {
      type: 'loras',
      loras: [
        ...visit.loras('lora_stack'),
        ...ownLoras(THREE, (i) =>
          visit.text(`switch_${i}`) === 'On'
            ? {
                name: visit.text(`lora_name_${i}`),
                strength: visit.number(`model_weight_${i}`),
                clipStrength: visit.number(`clip_weight_${i}`),
              }
            : undefined,
        ),
      ],
    },
  ],
}

/** The most LoRAs that Efficiency's stacker has, and how many it had at first. */
const [MOST, AT_FIRST] = [49, 3]

const isEarlyStacker = (node: WorkflowNode): boolean =>
  !node.inputs.has('input_mode') && !['simple', 'advanced'].includes(String(node.widgets[0]))

const stackerWidgets = (node: WorkflowNode): readonly Widget[] => {
  if (isEarlyStacker(node))
    return numbered(AT_FIRST, (i) => [
      [`lora_name_${i}`, 'None'],
      [`lora_wt_${i}`, 1],
    ])
  const count = node.inputs.get('lora_count')
  const given = Number(count?.type === 'value' ? count.value : node.widgets[1])
  return [
    ['input_mode', 'simple'],
    ['lora_count', AT_FIRST],
    ...numbered(Math.min(Number.isFinite(given) ? given : AT_FIRST, MOST), (i) => [
      [`lora_name_${i}`, 'None'],
      [`lora_wt_${i}`, 1],
      [`model_str_${i}`, 1],
      [`clip_str_${i}`, 1],
    ]),
  ]
}

const efficiencyStacker: NodeClass = {
  links: { lora_stack: 'loras?' },
  widgets: stackerWidgets,
  give: (visit) => {
    const ends = Array.from({ length: MOST }, (_, i) => i + 1).filter((i) => visit.has(`lora_name_${i}`))
    const byPart = visit.has('input_mode') && visit.text('input_mode') === 'advanced'
    const own = ownLoras(ends, (i) => ({
      name: visit.text(`lora_name_${i}`),
      strength: visit.number(byPart ? `model_str_${i}` : `lora_wt_${i}`),
      clipStrength: visit.number(byPart ? `clip_str_${i}` : `lora_wt_${i}`),
    }))
    return [{ type: 'loras', loras: [...own, ...visit.loras('lora_stack')] }]
  },
}

const comfyrollLoad: NodeClass = {
  links: { model: 'model', clip: 'clip' },
  widgets: [
    ['switch', 'On'],
    ['lora_name', 'None'],
    ['strength_model', 1],
    ['strength_clip', 1],
  ],
  give: (visit) => {
    const [name, strength] = [visit.text('lora_name'), visit.number('strength_model')]
    const lora = { name, strength, clipStrength: visit.number('strength_clip') }
    return bakeAll(visit, visit.text('switch') === 'On' && !isNone(name) ? [lora] : [])
  },
}

/** Nodes of other packs that load LoRAs. */
export const LORA_PACKS: ReadonlyMap<string, NodeClass> = new Map<string, NodeClass>([
  ['Power Lora Loader (rgthree)', { links: { model: 'model', clip: 'clip?' }, widgets: [], give: powerLora }],
  ['Lora Loader Stack (rgthree)', rgthreeStack],
  ['CR LoRA Stack', comfyrollStack],
  ['LoRA Stacker', efficiencyStacker],
  ['CR Load LoRA', comfyrollLoad],
  [
    'CR Apply LoRA Stack',
    {
      links: { model: 'model', clip: 'clip', lora_stack: 'loras?' },
      widgets: [],
      give: (visit) => bakeAll(visit, visit.loras('lora_stack')),
    },
  ],
  ['LoraLoaderBlockWeight //Inspire', refused(blockWeightLora)],
  ...['Efficient Loader', 'Eff. Loader SDXL'].map((type): [string, NodeClass] => [type, refused(loadsAtOnce)]),
  ...['ImpactWildcardEncode', 'WildcardEncode //Inspire'].map((type): [string, NodeClass] => [
    type,
    refused(lorasOfText),
  ]),
])
