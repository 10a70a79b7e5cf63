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

/** Where links lead once reroutes, which some programs leave in, are passed; a circle of them leads nowhere. */
const passReroutes = (nodes: ReadonlyMap<string, WorkflowNode>, input: WorkflowInput): WorkflowInput | undefined => {
  let at: WorkflowInput | undefined = input
  for (const passed = new Set<string>(); at?.type === 'link' && nodes.get(at.node)?.type === 'Reroute';) {
    if (passed.has(at.node)) return undefined
    passed.add(at.node)
    at = [...nodes.get(at.node)!.inputs.values()][0]
  }
  return at
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
  const all = new Map(nodes)
  const computing = nodes.filter(([, node]) => node.type !== 'Reroute')
  return {
    format: 'api',
    nodes: new Map(
      computing.map(([id, node]) => {
        const inputs = [...node.inputs].flatMap(([name, input]): readonly (readonly [string, WorkflowInput])[] => {
          const source = passReroutes(all, input)
          return source === undefined ? [] : [[name, source]]
        })
        return [id, { ...node, inputs: new Map(inputs) }]
      }),
    ),
  }
}
