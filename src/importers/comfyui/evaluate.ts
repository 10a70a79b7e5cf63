import {
  computedValue,
  everywhere,
  inCircle,
  itsResult,
  mutedInput,
  nodeAt,
  noLink,
  unknownNode,
  unknownOutput,
  widgetMissing,
  wrongKind,
  wrongWidget,
} from '../../base/catalogue/import-comfyui.js'
import type { DraftBuilder } from '../draft.js'
import type { Workflow, WorkflowNode } from './graph.js'
import type { Lanes } from './lanes.js'
import type { Gap, Kind, NodeClass, Value, Visit } from './nodes.js'
import { isOwnTitle } from './titles.js'
import { inTypeOf, readWidgets } from './widgets.js'

/** What the outputs of a workflow's nodes carry. */
export interface Evaluation {
  /** What an output of a node carries. */
  output(node: string, slot: number): Value
  /** What an input carries: undefined where nothing is linked to it. */
  input(node: WorkflowNode, name: string, kind: Kind): Value | undefined
  /** Why nothing is linked to an input. */
  readonly unlinked: string
  /** The nodes that were looked at. */
  readonly visited: ReadonlySet<string>
}

/** Where a node is, for messages: its id, and its title or class. */
export const whereIs = (node: WorkflowNode): string => nodeAt(node.id, isOwnTitle(node) ? node.title! : node.type)

/** The inputs of a node that lead to others. */
export const linksOf = (node: WorkflowNode): readonly { readonly node: string; readonly slot: number }[] =>
  [...node.inputs.values()].flatMap((input) => (input.type === 'link' ? [input] : []))

/** Why an input is without a link: nodes of Use Everywhere link by type, and the file does not say what. */
const unlinkedIn = (workflow: Workflow): string =>
  [...workflow.nodes.values()].some(({ type }) => /\bEverywhere/.test(type)) ? everywhere : noLink

const shown = (value: unknown): string =>
  typeof value === 'object' ? (Array.isArray(value) ? 'a list' : 'an object') : String(value).slice(0, 60)

const KIND_OF = { source: 'lane', step: 'lane' } as const

/** Evaluates the nodes that others ask for, each once, what they need before themselves. */
export const createEvaluation = (
  workflow: Workflow,
  classes: ReadonlyMap<string, NodeClass>,
  draft: DraftBuilder,
  lanes: Lanes,
): Evaluation => {
  const known = new Map<string, readonly Value[] | Gap>()
  const unlinked = unlinkedIn(workflow)
  const gap = (node: WorkflowNode, what: string, why: string): Gap => ({ type: 'gap', where: whereIs(node), what, why })

  /** The nodes that a node's declared links lead to. */
  const needed = (node: WorkflowNode): readonly string[] =>
    Object.keys(classes.get(node.type)?.links ?? {}).flatMap((name) => {
      const input = inputOf(node, name)
      return input?.type === 'link' && workflow.nodes.has(input.node) ? [input.node] : []
    })

  const inputOf = (node: WorkflowNode, name: string) =>
    node.inputs.get(name) ?? node.inputs.get(classes.get(node.type)?.renamed?.[name] ?? name)

  const visit = (id: string): void => {
    const stack = [id]
    const open = new Set<string>()
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const node = workflow.nodes.get(top)
      if (node === undefined || known.has(top)) {
        stack.pop()
        continue
      }
      open.add(top)
      const next = needed(node).filter((n) => !known.has(n))
      const circle = next.find((n) => open.has(n))
      if (circle !== undefined) known.set(circle, gap(workflow.nodes.get(circle)!, itsResult, inCircle))
      else if (next.length > 0) stack.push(next[0]!)
      else {
        known.set(top, evaluate(node))
        open.delete(top)
        stack.pop()
      }
    }
  }

  const output = (id: string, slot: number): Value => {
    visit(id)
    const node = workflow.nodes.get(id)
    const given = known.get(id)
    if (node === undefined || given === undefined)
      return { type: 'gap', where: nodeAt(id, '?'), what: '?', why: unlinked }
    if ('type' in given) return given
    return given[slot] ?? gap(node, itsResult, unknownOutput(slot))
  }

  const input = (node: WorkflowNode, name: string, kind: Kind): Value | undefined => {
    const found = inputOf(node, name)
    if (found === undefined) return undefined
    if (found.type === 'value') return kind === 'value' ? found : undefined
    const value = output(found.node, found.slot)
    if (value.type === 'gap') return value
    const is = value.type in KIND_OF && 'lane' in value ? value.lane : value.type
    return is === kind ? value : gap(node, name, wrongKind(kind, is))
  }

  const evaluate = (node: WorkflowNode): readonly Value[] | Gap => {
    const nodeClass = classes.get(node.type)
    if (node.muted) return gap(node, itsResult, mutedInput)
    if (nodeClass === undefined) return gap(node, itsResult, unknownNode)
    const links = new Map<string, Value>()
    for (const [name, declared] of Object.entries(nodeClass.links)) {
      const optional = declared.endsWith('?')
      const value = input(node, name, declared.replace('?', '') as Kind)
      if (value === undefined && !optional) return gap(node, name, unlinked)
      if (value?.type === 'gap') return value
      if (value !== undefined) links.set(name, value)
    }
    const widgets = typeof nodeClass.widgets === 'function' ? nodeClass.widgets(node) : nodeClass.widgets
    const values = new Map<string, unknown>()
    const read = readWidgets(workflow, node, widgets)
    for (const [name, fallback] of widgets) {
      const { value, missing, computedBy } = read.get(name)!
      if (computedBy !== undefined) return gap(node, name, computedValue(computedBy.id, computedBy.type))
      const typed = inTypeOf(value, fallback)
      if (typed === undefined) return gap(node, name, wrongWidget(shown(value)))
      if (missing) draft.note(whereIs(node), widgetMissing(name, typed))
      values.set(name, typed)
    }
    return nodeClass.give(visitOf(node, links, values))
  }

  const visitOf = (
    node: WorkflowNode,
    links: ReadonlyMap<string, Value>,
    values: ReadonlyMap<string, unknown>,
  ): Visit => {
    const linkOf = <T extends Value>(name: string): T => links.get(name) as T
    return {
      node,
      where: whereIs(node),
      title: (kind) => (isOwnTitle(node) ? node.title! : `${kind}_${node.id}`),
      has: (name) => links.has(name) || values.has(name),
      lane: linkOf,
      mask: (name) => linkOf<Extract<Value, { readonly type: 'mask' }> | never>(name)?.task,
      weights: linkOf,
      loras: (name) => linkOf<Extract<Value, { readonly type: 'loras' }> | never>(name)?.loras ?? [],
      models: (name) => linkOf<Extract<Value, { readonly type: 'models' }> | never>(name)?.models ?? [],
      number: (name) => values.get(name) as number,
      seed: () => {
        const seed = values.get('seed') as number
        return Number.isSafeInteger(seed) ? seed : String(seed)
      },
      text: (name) => values.get(name) as string,
      flag: (name) => values.get(name) as boolean,
      order: known.size,
      draft,
      lanes,
      gap: (what, why) => gap(node, what, why),
    }
  }

  return {
    output,
    input,
    unlinked,
    get visited() {
      return new Set(known.keys())
    },
  }
}
