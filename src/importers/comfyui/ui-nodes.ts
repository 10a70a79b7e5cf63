import { isObject } from '../../base/is-object.js'

/** An input of a node as the UI format has it. */
export interface RawInput {
  readonly name: string
  readonly type: string
  /** The id of the link that ends here. */
  readonly link: string | undefined
  /** True for a widget that can be linked. */
  readonly widget: boolean
}

/** A node as the UI format has it, made safe to read. */
export interface RawNode {
  readonly id: string
  readonly type: string
  readonly title: string | undefined
  /** 2: muted, 4: bypassed. */
  readonly mode: number
  readonly inputs: readonly RawInput[]
  readonly outputs: readonly string[]
  readonly widgets: readonly unknown[]
  /** Widgets by name, as some packs write them. */
  readonly named: Readonly<Record<string, unknown>>
  readonly properties: Readonly<Record<string, unknown>>
}

/** Where a link begins and ends. */
export interface RawLink {
  readonly id: string
  readonly node: string
  readonly slot: number
  readonly target: string
  readonly targetSlot: number
}

/** A graph of the UI format: the workflow itself, or what is inside a subgraph or group. */
export interface RawGraph {
  readonly nodes: ReadonlyMap<string, RawNode>
  readonly links: ReadonlyMap<string, RawLink>
}

const textOf = (value: unknown): string => (typeof value === 'string' || typeof value === 'number' ? String(value) : '')

/** A list, or an empty one in place of anything else. */
export const listOf = (value: unknown): readonly unknown[] =>
  Array.isArray(value) ? (value as readonly unknown[]) : []

const slotOf = (value: unknown): number => (Number.isInteger(value) && (value as number) >= 0 ? (value as number) : 0)

/** Inputs or outputs of a node beyond which none is read: no node has as many. */
const MOST_PORTS = 1000

const portsOf = (value: unknown): readonly unknown[] => listOf(value).slice(0, MOST_PORTS)

const inputOf = (input: unknown): RawInput =>
  isObject(input)
    ? {
        name: textOf(input['name']),
        type: textOf(input['type']),
        link: textOf(input['link']) || undefined,
        widget: isObject(input['widget']),
      }
    : { name: '', type: '', link: undefined, widget: false }

/** A node of the list, or undefined where the entry is none; `index` is its id in a group. */
export const rawNode = (node: unknown, index?: number): RawNode | undefined => {
  if (!isObject(node) || typeof node['type'] !== 'string') return undefined
  const id = index === undefined ? textOf(node['id']) : String(index)
  if (id === '') return undefined
  const widgets = node['widgets_values']
  return {
    id,
    type: node['type'],
    title: typeof node['title'] === 'string' ? node['title'] : undefined,
    mode: typeof node['mode'] === 'number' ? node['mode'] : 0,
    inputs: portsOf(node['inputs']).map(inputOf),
    outputs: portsOf(node['outputs']).map((output) => (isObject(output) ? textOf(output['type']) : '')),
    widgets: listOf(widgets),
    named: isObject(widgets) ? widgets : {},
    properties: isObject(node['properties']) ? node['properties'] : {},
  }
}

/** A link of either schema: a list of six, or an object. */
const rawLink = (link: unknown): RawLink | undefined => {
  if (Array.isArray(link)) {
    const [id, node, slot, target, targetSlot] = link as readonly unknown[]
    return {
      id: textOf(id),
      node: textOf(node),
      slot: slotOf(slot),
      target: textOf(target),
      targetSlot: slotOf(targetSlot),
    }
  }
  if (!isObject(link)) return undefined
  return {
    id: textOf(link['id']),
    node: textOf(link['origin_id']),
    slot: slotOf(link['origin_slot']),
    target: textOf(link['target_id']),
    targetSlot: slotOf(link['target_slot']),
  }
}

/** The graph of a workflow or of a subgraph. */
export const rawGraph = (json: Readonly<Record<string, unknown>>): RawGraph => {
  const nodes = listOf(json['nodes']).flatMap((node) => rawNode(node) ?? [])
  const links = listOf(json['links']).flatMap((link) => rawLink(link) ?? [])
  return { nodes: new Map(nodes.map((n) => [n.id, n])), links: new Map(links.map((l) => [l.id, l])) }
}

/**
 * The graph of a group node, whose definition counts nodes from 0 and gives links no ids: `[origin, slot, target,
 * targetSlot]`.
 */
export const rawGroup = (json: Readonly<Record<string, unknown>>): RawGraph => {
  const nodes = listOf(json['nodes']).flatMap((node, i) => rawNode(node, i) ?? [])
  const links = listOf(json['links']).flatMap((link, i): readonly RawLink[] => {
    const [node, slot, target, targetSlot] = listOf(link)
    return typeof node !== 'number' || typeof target !== 'number'
      ? []
      : [{ id: `${i}`, node: `${node}`, slot: slotOf(slot), target: `${target}`, targetSlot: slotOf(targetSlot) }]
  })
  const ending = new Map(links.map((l) => [`${l.target}:${l.targetSlot}`, l.id]))
  return {
    nodes: new Map(
      nodes.map((node) => [
        node.id,
        { ...node, inputs: node.inputs.map((input, i) => ({ ...input, link: ending.get(`${node.id}:${i}`) })) },
      ]),
    ),
    links: new Map(links.map((l) => [l.id, l])),
  }
}
