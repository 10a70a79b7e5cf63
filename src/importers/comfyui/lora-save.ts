import {
  clampsFactors,
  differsByPart,
  extractsOfTwo,
  extractsWhole,
  itsResult,
  loraNames,
} from '../../base/catalogue/import-comfyui.js'
import type { DraftBuilder } from '../draft.js'
import type { Field } from '../importer.js'
import { differenceOf, type Difference } from './core-merges.js'
import { whereIs, type Evaluation } from './evaluate.js'
import type { Workflow, WorkflowNode } from './graph.js'
import { COMPONENTS, rootOf, type Lane, type Lanes, type State } from './lanes.js'
import type { Gap, Widget } from './nodes.js'
import { task, type Task } from './task.js'
import { readWidgets } from './widgets.js'

/** Where ComfyUI saves extracted LoRAs unless its user says otherwise. */
export const LORA_PREFIX = 'loras/ComfyUI_extracted_lora'

const WIDGETS: readonly Widget[] = [
  ['filename_prefix', LORA_PREFIX],
  ['rank', 8],
  ['lora_type', 'standard'],
  ['bias_diff', true],
]

/** The links of the node, and the part of a checkpoint that each carries a difference of. */
const LINKS = [
  ['model_diff', 'model'],
  ['text_encoder_diff', 'clip'],
] as const

/** The task that makes the LoRA of a `LoraSave`, or what smelt cannot say of it. */
export const extractLora = (
  workflow: Workflow,
  evaluation: Evaluation,
  lanes: Lanes,
  draft: DraftBuilder,
  node: WorkflowNode,
): Task | Gap => {
  const where = whereIs(node)
  const gap = (what: string, why: string): Gap => ({ type: 'gap', where, what, why })
  const widgets = readWidgets(workflow, node, WIDGETS)
  const [rank, type, vectors] = ['rank', 'lora_type', 'bias_diff'].map((name) => widgets.get(name)!.value)
  if (type !== 'standard') return gap(`\`lora_type: ${String(type)}\``, extractsWhole)
  const parts: Difference[] = []
  for (const [input, lane] of LINKS) {
    const value = evaluation.input(node, input, lane)
    if (value === undefined) continue
    if (value.type === 'gap') return value
    const difference = differenceOf(value as Lane)
    if (difference === undefined) return gap(input, extractsOfTwo)
    parts.push(difference)
  }
  const [first] = parts
  if (first === undefined) return gap(itsResult, evaluation.unlinked)
  const { factor } = first
  if (parts.some((part) => part.factor !== factor)) return gap(itsResult, differsByPart)
  draft.note(where, loraNames)
  draft.note(where, clampsFactors)
  const state = (of: 'x' | 'y'): State => Object.fromEntries(parts.map((part) => [part[of].lane, part[of]]))
  const [tuned, base] = [lanes.make(state('x')), lanes.make(state('y'))]
  const layers: readonly Field[] =
    parts.length === 1 && rootOf(first.x).bare
      ? []
      : [['layers', parts.length === 1 ? COMPONENTS[first.x.lane] : parts.map((part) => COMPONENTS[part.x.lane])]]
  const scaled =
    factor === 1
      ? tuned
      : task(
          ([a, b]) => draft.step('scaled', 'merge.blend', [['a', a!], ['b', b!], ['keep', factor], ...layers]),
          [tuned, base],
        )
  return task(
    ([model, from]) =>
      draft.step(node.title ?? `lora_${node.id}`, 'adapter.extract', [
        ['model', model!],
        ['base', from!],
        ['rank', typeof rank === 'number' ? rank : 8],
        ...(vectors === true ? ([['vectors', true]] as const) : []),
        ...layers,
      ]),
    [scaled, base],
  )
}
