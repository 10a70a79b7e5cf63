import { isObject } from '../../base/is-object.js'
import type { Workflow, WorkflowInput, WorkflowNode } from './graph.js'
import type { Widget } from './nodes.js'

/** What stands after a seed in the UI format: what happens to it after a run. */
const CONTROLS = new Set<unknown>(['fixed', 'increment', 'decrement', 'randomize'])

/** Nodes that hold nothing but a value. */
const CONSTANTS = new Set([
  'PrimitiveInt',
  'PrimitiveFloat',
  'PrimitiveString',
  'PrimitiveStringMultiline',
  'PrimitiveBoolean',
  // Of KJNodes.
  'INTConstant',
  'FloatConstant',
  'StringConstant',
])

/** A value of a widget: from the file, or where `missing`, that of a new node. */
export interface WidgetValue {
  readonly value: unknown
  readonly missing: boolean
  /** The node that computes it, where smelt does not. */
  readonly computedBy: WorkflowNode | undefined
}

/** A step of sliders is 0.01, and their arithmetic leaves 0.7099999999999997 for 0.71. */
const unslid = (x: number): number => {
  const round = Math.round(x * 100) / 100
  return Math.abs(round - x) < 1e-9 ? round : x
}

/** A value in the type of another; undefined where it cannot be. */
export const inTypeOf = (value: unknown, like: Widget[1]): Widget[1] | undefined => {
  if (typeof like === 'number') {
    const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
    return typeof number === 'number' && Number.isFinite(number) ? unslid(number) : undefined
  }
  if (typeof like === 'boolean') {
    if (value === 'true' || value === 'false') return value === 'true'
    return typeof value === 'boolean' ? value : undefined
  }
  // ComfyUI-Custom-Scripts has files with their pictures.
  const text = isObject(value) ? value['content'] : value
  return typeof text === 'string' || typeof text === 'number' ? String(text) : undefined
}

/** The value of a link that leads to a constant; the node that computes it where it leads to another. */
const linked = (
  workflow: Workflow,
  input: Extract<WorkflowInput, { readonly type: 'link' }>,
): { readonly value: unknown } | { readonly computedBy: WorkflowNode } | undefined => {
  let at: WorkflowInput | undefined = input
  let node: WorkflowNode | undefined
  for (let hops = 0; hops < 100 && at?.type === 'link'; hops++) {
    node = workflow.nodes.get(at.node)
    if (node === undefined) return undefined
    if (!CONSTANTS.has(node.type)) return { computedBy: node }
    at = node.inputs.get('value') ?? node.inputs.get('string') ?? { type: 'value', value: node.widgets[0] }
  }
  return at?.type === 'value' ? { value: at.value } : undefined
}

/** The values of a node's widgets by name: named ones first, then those in the order of the class. */
export const readWidgets = (
  workflow: Workflow,
  node: WorkflowNode,
  widgets: readonly Widget[],
): ReadonlyMap<string, WidgetValue> => {
  const values = new Map<string, WidgetValue>()
  let at = 0
  for (const [name, fallback] of widgets) {
    const ordered = node.widgets[at++]
    if (/^(noise_)?seed$/.test(name) && CONTROLS.has(node.widgets[at])) at++
    const input = node.inputs.get(name)
    const found = input?.type === 'link' ? linked(workflow, input) : input
    const computedBy = found !== undefined && 'computedBy' in found ? found.computedBy : undefined
    const value = found !== undefined && 'value' in found ? found.value : ordered
    const missing = value === undefined || value === null
    values.set(name, { value: missing ? fallback : value, missing, computedBy })
  }
  return values
}
