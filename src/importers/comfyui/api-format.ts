import { isObject } from '../../base/is-object.js'
import { MOST_NODES, type Workflow, type WorkflowInput, type WorkflowNode, type WorkflowProblem } from './graph.js'

/** True for an object whose values are all nodes: the API format. */
export const isApiFormat = (json: unknown): json is Readonly<Record<string, unknown>> =>
  isObject(json) &&
  Object.keys(json).length > 0 &&
  Object.values(json).every(
    (node) => isObject(node) && typeof node['class_type'] === 'string' && isObject(node['inputs']),
  )

/** The API format inside the body of a request to the server, or itself. */
export const unwrapPrompt = (json: unknown): unknown => {
  if (isApiFormat(json) || !isObject(json)) return json
  return isApiFormat(json['prompt']) ? json['prompt'] : json
}

const inputOf = (value: unknown, ids: ReadonlySet<string>): WorkflowInput => {
  if (Array.isArray(value) && value.length === 2) {
    const [node, slot] = value as readonly unknown[]
    const isId = typeof node === 'string' || typeof node === 'number'
    if (isId && ids.has(String(node)) && Number.isInteger(slot) && (slot as number) >= 0)
      return { type: 'link', node: String(node), slot: slot as number }
  }
  return { type: 'value', value: isObject(value) && '__value__' in value ? value['__value__'] : value }
}

/** Reads the API format: every value by name, virtual nodes already resolved. */
export const readApiFormat = (json: Readonly<Record<string, unknown>>): Workflow | WorkflowProblem => {
  const ids = new Set(Object.keys(json))
  if (ids.size > MOST_NODES) return 'large'
  const nodes = Object.entries(json).map(([id, value]): [string, WorkflowNode] => {
    const node = value as Readonly<Record<string, unknown>>
    const meta = isObject(node['_meta']) ? node['_meta'] : {}
    const inputs = Object.entries(node['inputs'] as Readonly<Record<string, unknown>>)
    return [
      id,
      {
        id,
        type: String(node['class_type']),
        title: typeof meta['title'] === 'string' ? meta['title'] : undefined,
        muted: false,
        inputs: new Map(inputs.map(([name, input]) => [name, inputOf(input, ids)])),
        widgets: [],
      },
    ]
  })
  return { format: 'api', nodes: new Map(nodes) }
}
