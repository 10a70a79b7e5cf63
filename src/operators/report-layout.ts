import type { Architecture } from '../architectures/detect.js'
import { greatest, groupBy, least } from '../base/lists.js'
import type { Section } from './report-document.js'

/** Kinds of layer, the particular before the general: a tensor is of the first of its architecture's groups here. */
const KINDS = ['attn1', 'attn2', 'attn', 'ff', 'norm', 'conv', 'emb', 'proj', 'mod', 'fused', 'io']
const OTHER = 'other'

/**
 * Where the tensors of a report stand: every tensor in one block and one kind. Plain data, as all that reports are
 * drawn from.
 */
export type Layout = {
  /** In the order of the network. */
  readonly blocks: readonly string[]
  readonly kinds: readonly string[]
  readonly places: { readonly [tensor: string]: { readonly block: string; readonly kind: string } }
}

/** The block that a tensor of a layout is in. */
export const blockOf = ({ places }: Layout, tensor: string): string => places[tensor]!.block

/** Without an architecture, a block is what lies before a tensor's first number, and the number. */
const pathOf = (tensor: string): string => {
  const segments = tensor.split('.')
  const number = segments.findIndex((segment) => /^\d+$/.test(segment))
  return segments.slice(0, number < 0 ? 1 : number + 1).join('.')
}

/** Sorts tensors into blocks and kinds of layer. */
export const layOut = (names: Iterable<string>, architecture: Architecture | undefined): Layout => {
  const all = [...names].map((tensor) => {
    const { block, groups } = architecture?.locate(tensor) ?? { block: pathOf(tensor), groups: [] as readonly string[] }
    return { tensor, place: { block, kind: KINDS.find((kind) => groups.includes(kind)) ?? OTHER } }
  })
  const present = new Set(all.map(({ place }) => place.block))
  const kinds = new Set(all.map(({ place }) => place.kind))
  return {
    blocks: architecture === undefined ? [...present] : architecture.blocks.filter((block) => present.has(block)),
    kinds: [...KINDS, OTHER].filter((kind) => kinds.has(kind)),
    places: Object.fromEntries(all.map(({ tensor, place }) => [tensor, place])),
  }
}

/** What a heat map of blocks × kinds of layer shows, beside its title. */
type Scale = Pick<Extract<Section, { type: 'heatmap' }>, 'format' | 'low' | 'high'>

/** A heat map of blocks × kinds of layer; `valueOf` makes one number of all tensors of a cell. */
export const blockMap = <T extends { readonly name: string }>(
  title: string,
  items: readonly T[],
  layout: Layout,
  valueOf: (cell: readonly T[]) => number | null,
  scale: Partial<Scale> & Pick<Scale, 'format'>,
): Section => {
  const cells = groupBy(items, ({ name }) => `${layout.places[name]!.block}\0${layout.places[name]!.kind}`)
  const values = layout.blocks.map((block) =>
    layout.kinds.map((kind) => {
      const cell = cells.get(`${block}\0${kind}`)
      return cell === undefined ? null : valueOf(cell)
    }),
  )
  const found = values.flat().filter((value) => value !== null && Number.isFinite(value)) as number[]
  return {
    type: 'heatmap',
    title,
    axes: ['block', 'kind of layer'],
    rows: layout.blocks,
    columns: layout.kinds,
    values,
    low: found.length === 0 ? 0 : least(found),
    high: found.length === 0 ? 1 : greatest(found),
    ...scale,
  }
}

/** A shape for people. */
export const shapeText = (shape: readonly number[]): string => (shape.length === 0 ? 'scalar' : shape.join('×'))
