import { escapeControls } from '../base/excerpt.js'
import type { PlanOutline } from './plan-outline.js'
import { formatBytes, plural } from './text.js'

interface Node {
  readonly id: string
  readonly shape: 'model' | 'step' | 'output'
  readonly lines: readonly string[]
}
interface Edge {
  readonly from: string
  readonly to: string
  readonly label: string | undefined
}

/**
 * Models and steps share a namespace, outputs have their own: `n` and `o` keep them apart. Ids are safe in both
 * languages.
 */
const toGraph = ({
  models,
  steps,
  outputs,
  reports,
}: PlanOutline): { readonly nodes: readonly Node[]; readonly edges: readonly Edge[] } => {
  const names = [...models.map((m) => m.name), ...steps.map((s) => s.name)]
  const idOf = (name: string): string => `n${names.indexOf(names.includes(name) ? name : name.replace(/\.\d+$/, ''))}`
  const edge = (from: string, to: string): Edge => ({
    from: idOf(from),
    to,
    label: names.includes(from) ? undefined : from,
  })
  const nodes: Node[] = [
    ...models.map((m): Node => ({ id: idOf(m.name), shape: 'model', lines: [m.name, m.path, formatBytes(m.bytes)] })),
    ...steps.map((s): Node => ({
      id: idOf(s.name),
      shape: 'step',
      lines: [s.name, s.op, plural(s.tensors, 'tensor')],
    })),
    ...outputs.map((o, i): Node => ({ id: `o${i}`, shape: 'output', lines: [o.name, o.path, formatBytes(o.bytes)] })),
    ...reports.map((r, i): Node => ({ id: `r${i}`, shape: 'output', lines: [r.name, r.path, 'report'] })),
  ]
  const edges = [
    ...steps.flatMap((s) => s.uses.map((use) => edge(use, idOf(s.name)))),
    ...outputs.map((o, i) => edge(o.from, `o${i}`)),
    ...reports.map((r, i) => edge(r.from, `r${i}`)),
  ]
  return { nodes, edges }
}

const dotText = (text: string): string => escapeControls(text).replace(/[\\"]/g, '\\$&')

const DOT_SHAPES = { model: 'cylinder', step: 'box', output: 'note' } as const

/** The plan as a graph for Graphviz. */
export const renderDot = (outline: PlanOutline): string => {
  const { nodes, edges } = toGraph(outline)
  return `${[
    `digraph "${dotText(outline.name)}" {`,
    '  rankdir=LR',
    '  node [fontname="sans-serif"]',
    ...nodes.map((n) => `  ${n.id} [shape=${DOT_SHAPES[n.shape]}, label="${n.lines.map(dotText).join('\\n')}"]`),
    ...edges.map((e) => `  ${e.from} -> ${e.to}${e.label === undefined ? '' : ` [label="${dotText(e.label)}"]`}`),
    '}',
  ].join('\n')}\n`
}

// Mermaid reads labels as Markdown and HTML; its own escapes are HTML's entities written with `#`.
const mermaidText = (text: string): string =>
  escapeControls(text).replace(/[^\p{L}\p{N} ./_:,-]/gu, (c) => `#${c.codePointAt(0)};`)

const MERMAID_SHAPES = { model: ['[(', ')]'], step: ['[', ']'], output: ['([', '])'] } as const

/** The plan as a flowchart for Mermaid. */
export const renderMermaid = (outline: PlanOutline): string => {
  const { nodes, edges } = toGraph(outline)
  return `${[
    'flowchart LR',
    ...nodes.map(
      (n) =>
        `  ${n.id}${MERMAID_SHAPES[n.shape][0]}"${n.lines.map(mermaidText).join('<br/>')}"${MERMAID_SHAPES[n.shape][1]}`,
    ),
    ...edges.map((e) => `  ${e.from} -->${e.label === undefined ? '' : `|"${mermaidText(e.label)}"|`} ${e.to}`),
  ].join('\n')}\n`
}
