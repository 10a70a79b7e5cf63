import { greatest, least } from '../../base/lists.js'
import type { Glyphs } from './glyphs.js'

/** A step or an output in its place, and the steps before it whose result it takes. */
export interface GraphNode {
  readonly name: string
  readonly uses: readonly string[]
}

/** The graph beside one node: text before the node's own sign, text after it, and what runs on below. */
export interface GraphRow {
  readonly before: string
  readonly after: string
  readonly below: string
}

/** Lanes beyond which a graph is not drawn: it would leave no room for words. */
const MOST_LANES = 8

/**
 * Draws the edges between nodes that stand in order, one lane for each result that is still wanted, as version control
 * draws its branches.
 * Every text is equally wide. Undefined where it would take too many lanes.
 */
export const drawGraph = (nodes: readonly GraphNode[], { lines }: Glyphs): readonly GraphRow[] | undefined => {
  const lastUse = new Map<string, number>()
  nodes.forEach(({ uses }, i) => uses.forEach((use) => lastUse.set(use, i)))
  /** Whose result runs down each lane. */
  const lanes: (string | undefined)[] = []
  const rows: { readonly own: number; readonly cells: readonly string[]; readonly below: readonly string[] }[] = []
  for (const [i, { name, uses }] of nodes.entries()) {
    const taken = lanes.flatMap((lane, at) => (lane !== undefined && uses.includes(lane) ? [at] : []))
    const ending = taken.filter((at) => lastUse.get(lanes[at]!) === i)
    const free = lanes.indexOf(undefined)
    const own = ending[0] ?? (free === -1 ? lanes.length : free)
    const others = taken.filter((at) => at !== own)
    const [from, to] = [least(others, own), greatest(others, own)]
    const after = [...lanes]
    for (const at of ending) after[at] = undefined
    after[own] = lastUse.has(name) ? name : undefined
    const width = Math.max(lanes.length, own + 1)
    const cells = Array.from({ length: 2 * width - 1 }, (_, column) => {
      const lane = column / 2
      const inside = column > 2 * from && column < 2 * to
      if (column % 2 === 1) return inside ? lines['lr']! : ' '
      if (lane === own) return ''
      const [up, down] = [lanes[lane] !== undefined, after[lane] !== undefined]
      const [left, right] = others.includes(lane) || inside ? [lane > from, lane < to] : [false, false]
      const key = `${up ? 'u' : ''}${down ? 'd' : ''}${left ? 'l' : ''}${right ? 'r' : ''}`
      return lines[key] ?? ' '
    })
    while (after.length > 0 && after.at(-1) === undefined) after.pop()
    lanes.splice(0, lanes.length, ...after)
    rows.push({
      own,
      cells,
      below: after.flatMap((lane, at) => [...(at === 0 ? [] : [' ']), lane === undefined ? ' ' : lines['ud']!]),
    })
  }
  const width = greatest(
    rows.map((r) => r.cells.length),
    1,
  )
  if (width > 2 * MOST_LANES - 1) return undefined
  return rows.map(({ own, cells, below }) => ({
    before: cells.slice(0, 2 * own).join(''),
    after: cells
      .slice(2 * own + 1)
      .join('')
      .padEnd(width - 2 * own - 1),
    below: below.join('').padEnd(width),
  }))
}
