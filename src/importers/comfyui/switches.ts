import type { Workflow, WorkflowInput, WorkflowNode } from './graph.js'

type Link = Extract<WorkflowInput, { readonly type: 'link' }>

/** What an output of a node passes on, which is one of its inputs. */
type PassedOn = (node: WorkflowNode, slot: number, runs: (link: Link) => boolean) => WorkflowInput | undefined

const numberOf = (node: WorkflowNode, name: string): number | undefined => {
  const input = node.inputs.get(name)
  const value = input === undefined ? node.widgets[0] : input.type === 'value' ? input.value : undefined
  return typeof value === 'number' ? value : undefined
}

/** The first of its inputs that is there: what is muted gives nothing. */
const firstOf =
  (inputs: RegExp): PassedOn =>
  (node, slot, runs) => {
    const names = [...node.inputs.keys()].filter((name) => inputs.test(name)).toSorted()
    const links = names.flatMap((name): readonly Link[] => {
      const input = node.inputs.get(name)!
      return input.type === 'link' ? [input] : []
    })
    const first = links.find(runs)
    return first === undefined || !node.type.startsWith('Context') ? first : { ...first, slot }
  }

/** The input whose number a widget says. */
const chosenBy =
  (widget: string, input: string): PassedOn =>
  (node) => {
    const number = numberOf(node, widget)
    return number === undefined ? undefined : node.inputs.get(`${input}${number}`)
  }

/** What the first outputs of a context are called as inputs; the very first is the context itself. */
const CONTEXT = ['base_ctx', 'model', 'clip', 'vae']

/** An output of a context: what is linked to it, else that of the context that it is based on. */
const contextOf: PassedOn = (node, slot) => {
  if (slot === 0) return undefined
  const base = node.inputs.get('base_ctx')
  return node.inputs.get(CONTEXT[slot] ?? '') ?? (base?.type === 'link' ? { ...base, slot } : undefined)
}

/** Nodes of other packs that pass one of their inputs on. */
const PASSING: ReadonlyMap<string, PassedOn> = new Map([
  ['Any Switch (rgthree)', firstOf(/^any_\d+$/)],
  ['Context Switch (rgthree)', firstOf(/^ctx_\d+$/)],
  ['Context Switch Big (rgthree)', firstOf(/^ctx_\d+$/)],
  ['Context (rgthree)', contextOf],
  ['Context Big (rgthree)', contextOf],
  ['ImpactSwitch', chosenBy('select', 'input')],
  ['CR Model Input Switch', chosenBy('Input', 'model')],
  ['CR Clip Input Switch', chosenBy('Input', 'clip')],
  ['CR VAE Input Switch', chosenBy('Input', 'VAE')],
])

/** Switches behind switches whose end is looked for before the first of their links is taken as it is. */
const MOST_DEEP = 100

/**
 * A workflow whose links lead past switches and contexts to what they pass on. Where one passes nothing on, or a circle
 * leads back to it, links still end there.
 */
export const passSwitches = (workflow: Workflow): Workflow => {
  const { nodes } = workflow
  if (![...nodes.values()].some(({ type }) => PASSING.has(type))) return workflow
  const known = new Map<string, WorkflowInput>()
  let depth = 0
  const runs = (link: Link): boolean => {
    if (depth === MOST_DEEP) return true
    depth++
    const end = follow(link)
    depth--
    if (end.type === 'value') return true
    const node = nodes.get(end.node)
    // A context is there, whatever is linked to it.
    return node?.muted === false && (PASSING.get(node.type) ?? contextOf) === contextOf
  }
  const follow = (link: Link): WorkflowInput => {
    const passed: string[] = []
    let at: WorkflowInput = link
    while (at.type === 'link') {
      const key = `${at.node}.${at.slot}`
      const found = known.get(key)
      if (found !== undefined) {
        at = found
        break
      }
      known.set(key, at)
      passed.push(key)
      const node = nodes.get(at.node)
      const next: WorkflowInput | undefined =
        node === undefined || node.muted ? undefined : PASSING.get(node.type)?.(node, at.slot, runs)
      if (next === undefined) break
      at = next
    }
    for (const key of passed) known.set(key, at)
    return at
  }
  return {
    ...workflow,
    nodes: new Map(
      [...nodes].map(([id, node]) => [
        id,
        {
          ...node,
          inputs: new Map(
            [...node.inputs].map(([name, input]) => [name, input.type === 'link' ? follow(input) : input]),
          ),
        },
      ]),
    ),
  }
}
