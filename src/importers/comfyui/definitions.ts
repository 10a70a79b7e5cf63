import { isObject } from '../../base/is-object.js'
import { listOf, rawGraph, rawGroup, type RawGraph } from './ui-nodes.js'

/** An output of a node inside a group. */
interface Port {
  readonly node: string
  readonly slot: number
}

/** What is inside a subgraph or a group node. */
export type Definition =
  | {
      readonly type: 'subgraph'
      readonly graph: RawGraph
      /** Names of its inputs, in order. */
      readonly inputs: readonly string[]
      /** The link inside that each output shows, in order. */
      readonly outputs: readonly (string | undefined)[]
    }
  | {
      readonly type: 'group'
      readonly graph: RawGraph
      /** Which of its own inputs, widgets left out, stands for an input inside, `node:slot`. */
      readonly inputs: ReadonlyMap<string, number>
      readonly outputs: readonly Port[]
    }

/** The ids that the boundary of a subgraph has inside it. */
export const [SUBGRAPH_INPUTS, SUBGRAPH_OUTPUTS] = ['-10', '-20']

const named = (list: unknown): readonly string[] =>
  listOf(list).map((item) => (isObject(item) && typeof item['name'] === 'string' ? item['name'] : ''))

const subgraphOf = (json: Readonly<Record<string, unknown>>): Definition => {
  const graph = rawGraph(json)
  const ends = new Map(
    [...graph.links.values()].filter((l) => l.target === SUBGRAPH_OUTPUTS).map((l) => [l.targetSlot, l.id]),
  )
  const outputs = named(json['outputs']).map((_, slot) => ends.get(slot))
  return { type: 'subgraph', graph, inputs: named(json['inputs']), outputs }
}

const groupOf = (json: Readonly<Record<string, unknown>>): Definition => {
  const graph = rawGroup(json)
  const nodes = [...graph.nodes.values()]
  const used = new Set([...graph.links.values()].map((l) => `${l.node}:${l.slot}`))
  const external = new Set(
    listOf(json['external']).flatMap((entry) => {
      const [node, slot] = listOf(entry)
      return typeof node === 'number' && typeof slot === 'number' ? [`${node}:${slot}`] : []
    }),
  )
  const open = nodes.flatMap((node) =>
    node.inputs.flatMap((input, slot) => (input.link === undefined && !input.widget ? [`${node.id}:${slot}`] : [])),
  )
  return {
    type: 'group',
    graph,
    inputs: new Map(open.map((port, i) => [port, i])),
    outputs: nodes.flatMap((node) =>
      node.outputs.flatMap((_, slot) => {
        const port = `${node.id}:${slot}`
        return used.has(port) && !external.has(port) ? [] : [{ node: node.id, slot }]
      }),
    ),
  }
}

/** The subgraphs and groups that a workflow defines, by the type of the nodes that stand for them. */
export const definitionsOf = (json: Readonly<Record<string, unknown>>): ReadonlyMap<string, Definition> => {
  const found = new Map<string, Definition>()
  const extra = isObject(json['extra']) ? json['extra'] : {}
  for (const [name, group] of Object.entries(isObject(extra['groupNodes']) ? extra['groupNodes'] : {}))
    if (isObject(group)) for (const mark of ['/', '>']) found.set(`workflow${mark}${name}`, groupOf(group))
  const definitions = isObject(json['definitions']) ? json['definitions'] : {}
  for (const subgraph of listOf(definitions['subgraphs']))
    if (isObject(subgraph) && typeof subgraph['id'] === 'string') found.set(subgraph['id'], subgraphOf(subgraph))
  return found
}
