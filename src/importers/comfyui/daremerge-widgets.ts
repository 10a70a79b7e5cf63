import type { WorkflowNode } from './graph.js'
import type { Widget } from './nodes.js'

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')

const numbered = (stem: string, count: number, value: number): readonly Widget[] =>
  Array.from({ length: count }, (_, i) => [`${stem}.${i}`, value])

/** The value of a widget that the file must have, since its default is not known. */
export const REQUIRED = Number.NaN

export const METHOD: readonly Widget[] = [['method', 'comfy']]

/** The parts of a U-Net, in the order of the last version. */
export const PARTS: readonly Widget[] = [
  ['time', 1],
  ['label', 1],
  ['input', 1],
  ['middle', 1],
  ['output', 1],
  ['out', 1],
]

/** The blocks of a U-Net; `value` is what a new node has for each. */
export const mbwBlocks = (value: number): readonly Widget[] => [
  ['time', 1],
  ['label', 1],
  ...numbered('input_blocks', 12, value),
  ...numbered('middle_block', 3, value),
  ...numbered('output_blocks', 12, value),
  ['out', value],
]

const dare = (drop: number): readonly Widget[] => [
  ['drop_rate', drop],
  ['ties', 'sum'],
  ['rescale', 'off'],
  ['seed', 1],
  ['method', 'comfy'],
  ['iterations', 1],
]

export const DARE = dare(0.9)

export const SHELLS: readonly Widget[] = [
  ['exterior', 1],
  ['interior', 1],
  ['core', 1],
]

export const KINDS: readonly Widget[] = [
  ['process_norm', true],
  ['process_attn', true],
  ['process_ff_net', true],
  ['norm', 1],
  ['attn', 1],
  ['ff_net', 1],
]

/** The node for one day in January 2024 had other names and switches. */
const EARLY_ELEMENT: readonly Widget[] = [
  ['shallow layer', 1],
  ['middle layer', 1],
  ['deep layer', 1],
  ['norm', true],
  ['attn', true],
  ['ff.net', true],
  ['norm_vol', 1],
  ['attn_vol', 1],
  ['ff.net_vol', 1],
]

/** True for the widgets of that day. */
export const isEarlyElement = (node: WorkflowNode): boolean =>
  node.inputs.has('shallow layer') || typeof node.widgets.at(-4) === 'boolean'

export const elementWidgets = (node: WorkflowNode): readonly Widget[] => [
  ...DARE,
  ...(isEarlyElement(node) ? EARLY_ELEMENT : [...SHELLS, ...KINDS]),
]

/** Until 29 January 2024 what DARE needs came first, so that the second value was a word. */
export const mbwWidgets = (node: WorkflowNode): readonly Widget[] =>
  typeof node.widgets[1] === 'string' ? [...dare(0.85), ...mbwBlocks(0)] : [...mbwBlocks(0), ...DARE]

const MASKED: readonly (readonly string[])[] = [
  ['input', 'middle', 'out', 'time'],
  ['input', 'middle', 'output', 'out', 'time'],
]

/** The widgets of the masked merger, which grew from five to seven. */
export const maskedWidgets = (node: WorkflowNode): readonly Widget[] => {
  const named = node.widgets.length === 0
  const [hasLabel, hasOutput] = [node.inputs.has('label'), node.inputs.has('output')]
  const early = named ? (hasLabel ? undefined : MASKED[Number(hasOutput)]) : MASKED[node.widgets.length - 5]
  return [...(early?.map((name): Widget => [name, 1]) ?? PARTS), ...METHOD]
}

/** Masks from magnitudes, as merging nodes made them themselves until 22 January 2024. */
export const EXCLUSION: readonly Widget[] = [
  ['exclude_a', REQUIRED],
  ['include_b', REQUIRED],
  ['threshold_type', 'median'],
  ['invert', 'No'],
]

/** The first merging node of the pack, which had `sparsity`. */
export const isFirstMerger = (node: WorkflowNode): boolean => node.inputs.has('model1') || node.inputs.has('sparsity')

/** The widgets of the merging node of January 2024, with and without signs and iterations. */
export const earlyDareWidgets = (node: WorkflowNode): readonly Widget[] => {
  const signs = node.widgets.length === 0 ? node.inputs.has('ties') : typeof node.widgets[1] === 'string'
  const four: readonly Widget[] = [
    ['input', 1],
    ['middle', 1],
    ['out', 1],
    ['time', 1],
  ]
  return signs
    ? [
        ['drop_rate', 0.9],
        ['ties', 'sum'],
        ['rescale', 'off'],
        ['seed', 1],
        ...four,
        ...METHOD,
        ...EXCLUSION,
        ['iterations', 1],
      ]
    : [['drop_rate', 0.9], ['seed', 1], ...four, ...METHOD, ...EXCLUSION]
}

/** The widgets of the block merging node of January 2024. */
export const EARLY_MBW: readonly Widget[] = [
  ['drop_rate', 0.85],
  ['ties', 'sum'],
  ['rescale', 'on'],
  ['seed', 1],
  ...METHOD,
  ...EXCLUSION,
  ['iterations', 1],
  ...mbwBlocks(0.7),
]

/** The magnitude masker, which first said `invert` in place of `select`. */
export const magnitudeWidgets = (node: WorkflowNode): readonly Widget[] => {
  const early = node.inputs.has('invert') || ['yes', 'no'].includes(textOf(node.widgets[2]).toLowerCase())
  return [['threshold', 0], ['threshold_type', 'median'], early ? ['invert', 'No'] : ['select', 'below']]
}
