import { chartWords } from '../../base/catalogue/dashboard.js'
import { greatest } from '../../base/lists.js'
import { cutMiddle, formatBytes, formatCount, plural } from '../text.js'
import { shownSteps } from '../dashboard/derive.js'
import { shortSeconds } from '../dashboard/clock.js'
import type { DashboardState } from '../dashboard/state.js'
import { escapeMarkup } from './format.js'

/** A box of the graph: what it is called, two lines about it, and the boxes that it takes. */
interface Box {
  readonly id: string
  readonly kind: 'model' | 'step' | 'output'
  readonly lines: readonly [string, string, string]
  readonly uses: readonly string[]
}

const [WIDTH, HEIGHT, PASSAGE, ACROSS, DOWN, MARGIN] = [188, 62, 4, 52, 16, 8]
/** Characters that a line of a box has room for. */
const ROOM = 28
const HUES = { model: '#7a8290', step: '#3987e5', output: '#2f9e6a' } as const

/**
 * The one among some names that a text names; a step with several results is named with the number of one behind it.
 */
const nameIn = (names: ReadonlySet<string>, text: string): string | undefined => {
  const plain = text.replace(/\.\d+$/, '')
  return names.has(text) ? text : names.has(plain) ? plain : undefined
}

const boxesOf = (state: DashboardState): readonly Box[] => {
  const { plan } = state
  if (plan === undefined) return []
  const names = new Set([...plan.models.map((m) => m.name), ...plan.steps.map((s) => s.name)])
  const linked = (texts: readonly (string | undefined)[]): readonly string[] => [
    ...new Set(texts.flatMap((text) => (text === undefined ? [] : [nameIn(names, text) ?? []].flat()))),
  ]
  return [
    ...plan.models.map((m): Box => ({
      id: m.name,
      kind: 'model',
      lines: [m.name, m.path, `${formatBytes(m.bytes)}, ${plural(m.tensors, 'tensor')}`],
      uses: [],
    })),
    ...shownSteps(state).map(({ outlined, standing, done, total, seconds }): Box => ({
      id: outlined.name,
      kind: 'step',
      uses: linked(outlined.uses),
      lines: [
        outlined.name,
        outlined.op,
        [
          standing === 'reused' ? 'kept' : `${standing}, ${formatCount(done)}/${formatCount(total)}`,
          shortSeconds(seconds),
        ]
          .filter((t) => t !== '')
          .join(', '),
      ],
    })),
    ...plan.outputs.map((o, i): Box => ({
      id: `output ${i}`,
      kind: 'output',
      lines: [o.name, o.path, formatBytes(o.bytes)],
      uses: linked([o.from]),
    })),
    ...plan.reports.map((r, i): Box => ({
      id: `report ${i}`,
      kind: 'output',
      lines: [r.name, r.path, 'report'],
      uses: linked([r.from]),
    })),
  ]
}

/** A place in a column: a box, or the passage of what a box gives to columns farther right. */
interface Slot {
  readonly id: string
  readonly box: Box | undefined
  readonly from: readonly string[]
}
interface Placed extends Slot {
  readonly x: number
  readonly y: number
  readonly height: number
}

const passageOf = (box: string, column: number): string => `${box}\0${column}`

/** Boxes and passages by column: each box right of all that it takes, outputs last. */
const columnsOf = (boxes: readonly Box[]): readonly (readonly Slot[])[] => {
  const depth = new Map<string, number>()
  for (const box of boxes)
    depth.set(
      box.id,
      box.kind === 'model'
        ? 0
        : 1 +
            greatest(
              box.uses.map((use) => depth.get(use) ?? 0),
              0,
            ),
    )
  const last = greatest(depth.values(), 0)
  for (const box of boxes) if (box.kind === 'output') depth.set(box.id, last)
  const farthest = new Map<string, number>()
  for (const box of boxes)
    for (const use of box.uses) farthest.set(use, Math.max(farthest.get(use) ?? 0, depth.get(box.id)!))
  /** Where in the column before `column` an edge from a box comes from. */
  const before = (use: string, column: number): string =>
    column - 1 === depth.get(use) ? use : passageOf(use, column - 1)
  return Array.from({ length: last + 1 }, (_, column) => [
    ...boxes
      .filter((b) => depth.get(b.id) === column)
      .map((box): Slot => ({ id: box.id, box, from: box.uses.map((use) => before(use, column)) })),
    ...boxes
      .filter((b) => depth.get(b.id)! < column && (farthest.get(b.id) ?? 0) > column)
      .map((b): Slot => ({ id: passageOf(b.id, column), box: undefined, from: [before(b.id, column)] })),
  ])
}

/** Puts slots one below the other, near what they come from. */
const place = (boxes: readonly Box[]): readonly Placed[] => {
  const placed = new Map<string, Placed>()
  for (const [column, slots] of columnsOf(boxes).entries()) {
    const middle = ({ from }: Slot): number => from.reduce((n, id) => n + (placed.get(id)?.y ?? 0) / from.length, 0)
    let y = MARGIN
    for (const slot of slots.toSorted((a, b) => middle(a) - middle(b))) {
      const height = slot.box === undefined ? PASSAGE : HEIGHT
      placed.set(slot.id, { ...slot, x: MARGIN + column * (WIDTH + ACROSS), y, height })
      y += height + DOWN
    }
  }
  return [...placed.values()]
}

const drawEdge = (from: Placed, to: Placed): string => {
  const [x, y, u, v] = [from.x + WIDTH, from.y + from.height / 2, to.x, to.y + to.height / 2]
  const through = to.box === undefined ? `H${u + WIDTH}` : ''
  return `<path d="M${x} ${y}C${x + ACROSS / 2} ${y} ${u - ACROSS / 2} ${v} ${u} ${v}${through}" fill="none" stroke="currentColor" opacity="0.35"/>`
}

const drawBox = (x: number, y: number, { kind, lines }: Box): string => {
  const [name, what, figures] = lines.map((line) => escapeMarkup(cutMiddle(line, ROOM)))
  return [
    `<g transform="translate(${x} ${y})"><title>${escapeMarkup(lines.join(', '))}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" rx="6" fill="currentColor" fill-opacity="0.06"/><rect width="4" height="${HEIGHT}" rx="2" fill="${HUES[kind]}"/>`,
    `<text x="14" y="20" font-weight="600">${name}</text><text x="14" y="37" opacity="0.75">${what}</text><text x="14" y="53" opacity="0.75">${figures}</text></g>`,
  ].join('')
}

/**
 * The graph of a build as an SVG element: models on the left, steps in the order of their work, outputs on the right.
 * `''` without a plan.
 */
export const drawRunGraph = (state: DashboardState): string => {
  const slots = place(boxesOf(state))
  if (slots.length === 0) return ''
  const byId = new Map(slots.map((slot) => [slot.id, slot]))
  const [width, height] = [
    greatest(slots.map((s) => s.x)) + WIDTH + MARGIN,
    greatest(slots.map((s) => s.y + s.height)) + MARGIN,
  ]
  const edges = slots.flatMap((slot) => slot.from.map((id) => drawEdge(byId.get(id)!, slot)))
  const boxes = slots.flatMap(({ box, x, y }) => (box === undefined ? [] : [drawBox(x, y, box)]))
  const label = chartWords.graph(plural(slots.filter((s) => s.box?.kind === 'step').length, 'step'))
  const size = `width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"`
  const look = 'font-family="system-ui, sans-serif" font-size="12" fill="currentColor"'
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} role="img" aria-label="${label}" ${look}>${edges.join('')}${boxes.join('')}</svg>`
}
