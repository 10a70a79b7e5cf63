import { isObject } from '../../base/is-object.js'
import { definitionsOf, SUBGRAPH_INPUTS, type Definition } from './definitions.js'
import { MOST_NODES, type Workflow, type WorkflowInput, type WorkflowNode, type WorkflowProblem } from './graph.js'
import { rawGraph, type RawGraph, type RawNode } from './ui-nodes.js'

/** True for an object with a list of nodes: the UI format, of either schema. */
export const isUiFormat = (json: unknown): json is Readonly<Record<string, unknown>> =>
  isObject(json) &&
  Array.isArray(json['nodes']) &&
  json['nodes'].some((n) => isObject(n) && typeof n['type'] === 'string')

/** The workflow, or the inside of one of its nodes. */
interface Scope {
  readonly prefix: string
  readonly graph: RawGraph
  readonly muted: boolean
  readonly outer: { readonly scope: Scope; readonly instance: RawNode; readonly definition: Definition } | undefined
  readonly inner: Map<string, Scope>
}

/** An output of a node, or a value. */
type Source =
  | { readonly type: 'output'; readonly scope: Scope; readonly node: string; readonly slot: number }
  | { readonly type: 'value'; readonly value: unknown }
  | undefined

const [MUTED, BYPASSED] = [2, 4]
/** Nodes that pass their first input on. */
const PASSING = new Set(['Reroute', 'Reroute (rgthree)', 'SetNode'])
const WITHOUT_EFFECT = new Set([...PASSING, 'Note', 'MarkdownNote', 'PrimitiveNode', 'GetNode'])

const linkIn = (scope: Scope, id: string | undefined): Source => {
  const link = id === undefined ? undefined : scope.graph.links.get(id)
  return link === undefined ? undefined : { type: 'output', scope, node: link.node, slot: link.slot }
}

/** Where an input of a node comes from; an input of a group's inside may come from outside. */
const originOf = (scope: Scope, node: RawNode, index: number): Source => {
  const link = node.inputs[index]?.link
  if (link !== undefined) return linkIn(scope, link)
  if (scope.outer?.definition.type !== 'group') return undefined
  const { instance, definition } = scope.outer
  const at = definition.inputs.get(`${node.id}:${index}`)
  const outside = at === undefined ? undefined : instance.inputs.filter((input) => !input.widget)[at]
  return outside === undefined ? undefined : linkIn(scope.outer.scope, outside.link)
}

/** The value of a widget that a subgraph shows on its outside. */
const promoted = (instance: RawNode, name: string): Source => {
  const proxies = instance.properties['proxyWidgets']
  const at = Array.isArray(proxies)
    ? proxies.findIndex((proxy) => Array.isArray(proxy) && (proxy[0] === '-1' || proxy[0] === -1) && proxy[1] === name)
    : instance.inputs.filter((input) => input.widget).findIndex((input) => input.name === name)
  return at >= 0 && at < instance.widgets.length ? { type: 'value', value: instance.widgets[at] } : undefined
}

const fromOutside = (scope: Scope, slot: number): Source => {
  if (scope.outer?.definition.type !== 'subgraph') return undefined
  const { scope: outside, instance, definition } = scope.outer
  const name = definition.inputs[slot] ?? ''
  const byName = instance.inputs.findIndex((input) => input.name === name)
  const index = byName === -1 ? slot : byName
  return instance.inputs[index]?.link === undefined ? promoted(instance, name) : originOf(outside, instance, index)
}

const fromInside = (inner: Scope, slot: number): Source => {
  const definition = inner.outer!.definition
  if (definition.type === 'subgraph') return linkIn(inner, definition.outputs[slot])
  const port = definition.outputs[slot]
  return port === undefined ? undefined : { type: 'output', scope: inner, node: port.node, slot: port.slot }
}

/** What a bypassed node gives in place of an output: its first input of that type, the one in the same place before all. */
const throughBypass = (scope: Scope, node: RawNode, slot: number): Source => {
  const type = node.outputs[slot]
  const places = [slot, ...node.inputs.keys()]
  const index = places.find((i) => node.inputs[i] !== undefined && node.inputs[i].type === type)
  return index === undefined ? undefined : originOf(scope, node, index)
}

const setterOf = (scope: Scope, getter: RawNode): RawNode | undefined =>
  [...scope.graph.nodes.values()].find((n) => n.type === 'SetNode' && n.widgets[0] === getter.widgets[0])

/** One hop back from an output that belongs to no node that computes; `'here'` where it does. */
const hop = ({ scope, node: id, slot }: Extract<Source, { readonly type: 'output' }>): Source | 'here' => {
  if (id === SUBGRAPH_INPUTS && scope.outer !== undefined) return fromOutside(scope, slot)
  const node = scope.graph.nodes.get(id)
  if (node === undefined) return undefined
  if (PASSING.has(node.type)) return originOf(scope, node, 0)
  if (node.type === 'PrimitiveNode') return { type: 'value', value: node.widgets[0] }
  if (node.type === 'GetNode') {
    const setter = setterOf(scope, node)
    return setter === undefined ? undefined : originOf(scope, setter, 0)
  }
  if (node.mode === BYPASSED) return throughBypass(scope, node, slot)
  const inner = scope.inner.get(id)
  return inner === undefined ? 'here' : fromInside(inner, slot)
}

/** Follows sources to where they begin; what is known of an output is kept, and circles lead nowhere. */
const createFollower = (): ((source: Source) => WorkflowInput | undefined) => {
  const known = new Map<string, WorkflowInput | undefined>()
  return (source) => {
    const passed: string[] = []
    let at = source
    let found: WorkflowInput | undefined
    while (at !== undefined) {
      if (at.type === 'value') {
        found = at
        break
      }
      const key = `${at.scope.prefix}${at.node}.${at.slot}`
      if (known.has(key)) {
        found = known.get(key)
        break
      }
      known.set(key, undefined)
      passed.push(key)
      const next = hop(at)
      if (next === 'here') {
        found = { type: 'link', node: at.scope.prefix + at.node, slot: at.slot }
        break
      }
      at = next
    }
    for (const key of passed) known.set(key, found)
    return found
  }
}

/** The nodes of a group's inside with the widget values of the node that stands for it. */
const withWidgets = (graph: RawGraph, widgets: readonly unknown[]): RawGraph => {
  const nodes = [...graph.nodes.values()]
  if (nodes.reduce((n, node) => n + node.widgets.length, 0) !== widgets.length) return graph
  let at = 0
  return {
    ...graph,
    nodes: new Map(
      nodes.map((node) => [node.id, { ...node, widgets: widgets.slice(at, (at += node.widgets.length)) }]),
    ),
  }
}

const isInside = (scope: Scope, definition: Definition): boolean =>
  scope.outer !== undefined && (scope.outer.definition === definition || isInside(scope.outer.scope, definition))

/** Reads the UI format: subgraphs and groups opened, links followed through whatever only passes values on. */
export const readUiFormat = (json: Readonly<Record<string, unknown>>): Workflow | WorkflowProblem => {
  const definitions = definitionsOf(json)
  const found: { readonly scope: Scope; readonly node: RawNode }[] = []
  let count = 0
  const open = (scope: Scope): boolean => {
    for (const node of scope.graph.nodes.values()) {
      if (++count > MOST_NODES) return false
      const definition = definitions.get(node.type)
      if (definition === undefined || isInside(scope, definition)) {
        if (!WITHOUT_EFFECT.has(node.type)) found.push({ scope, node })
        continue
      }
      const inner: Scope = {
        prefix: `${scope.prefix}${node.id}:`,
        graph: definition.type === 'group' ? withWidgets(definition.graph, node.widgets) : definition.graph,
        muted: scope.muted || node.mode === MUTED || node.mode === BYPASSED,
        outer: { scope, instance: node, definition },
        inner: new Map(),
      }
      scope.inner.set(node.id, inner)
      if (!open(inner)) return false
    }
    return true
  }
  if (!open({ prefix: '', graph: rawGraph(json), muted: false, outer: undefined, inner: new Map() })) return 'large'
  const follow = createFollower()
  return {
    format: 'ui',
    nodes: new Map(found.map(({ scope, node }) => [scope.prefix + node.id, nodeOf(scope, node, follow)])),
  }
}

const nodeOf = (scope: Scope, node: RawNode, follow: ReturnType<typeof createFollower>): WorkflowNode => {
  const inputs = new Map<string, WorkflowInput>(
    Object.entries(node.named).map(([name, value]) => [name, { type: 'value', value }]),
  )
  for (const [index, { name }] of node.inputs.entries()) {
    const source = follow(originOf(scope, node, index))
    if (source !== undefined && name !== '') inputs.set(name, source)
  }
  return {
    id: scope.prefix + node.id,
    type: node.type,
    title: node.title,
    muted: scope.muted || node.mode === MUTED || node.mode === BYPASSED,
    inputs,
    widgets: node.widgets,
  }
}
