import { widthOf } from '../../base/columns.js'

/** Lines as they go to a terminal of so many columns, spaces at their ends left out. */
export type RenderLines = (lines: readonly string[], columns: number) => readonly string[]

/** A screen: its rows, each of parts that stand side by side. */
export type Frame = readonly (readonly string[])[]

/** Keeps a terminal's screen equal to the last frame by writing only what changed. */
export interface Painter {
  /** What to write so that the screen shows a frame; `''` if it already does. */
  paint(frame: Frame, columns: number): string
  /** Forgets what the screen shows: it was resized, or another program wrote to it. */
  forget(): void
}

/** Synchronised output: terminals that support it show everything between these at once; others ignore them. */
const [BEGIN, END] = ['\u001b[?2026h', '\u001b[?2026l']
const CLEAR = '\u001b[2J'

/** Lines whose form on a terminal is remembered: those of a log move, and those of lists come again. */
const MOST_KNOWN = 2_000

const goTo = (row: number, column: number): string => `\u001b[${row + 1};${column + 1}H`

interface Part {
  readonly row: number
  readonly column: number
  readonly text: string
  readonly last: boolean
}

/** A painter for a screen that shows nothing known. Parts are named by place, so that nothing ever scrolls. */
export const createPainter = (render: RenderLines): Painter => {
  let shown: Frame | undefined
  let known = new Map<string, string>()
  const learn = (texts: readonly string[], columns: number): void => {
    const missing = [...new Set(texts)].filter((text) => !known.has(text))
    if (known.size + missing.length > MOST_KNOWN) known = new Map()
    const all = known.size === 0 ? [...new Set(texts)] : missing
    render(all, columns).forEach((line, i) => known.set(all[i]!, line))
  }
  return {
    paint: (frame, columns) => {
      const same = shown !== undefined && shown.length === frame.length
      const parts = frame.flatMap((row, y) => {
        let column = 0
        return row.flatMap((text, i): Part[] => {
          const at = column
          column += widthOf(text)
          const before = same ? shown![y] : undefined
          return before?.[i] === text && before.length === row.length
            ? []
            : [{ row: y, column: at, text, last: i === row.length - 1 }]
        })
      })
      shown = frame
      if (same && parts.length === 0) return ''
      learn(
        parts.map((p) => p.text),
        columns,
      )
      const texts = parts.map(({ row, column, text, last }) => {
        const line = known.get(text)!
        const missing = widthOf(text) - widthOf(line)
        // A row that is full needs nothing cleared; clearing there would take its last column away.
        return `${goTo(row, column)}${line}${missing === 0 ? '' : last ? '\u001b[K' : ' '.repeat(missing)}`
      })
      return `${BEGIN}${same ? '' : CLEAR}${texts.join('')}${END}`
    },
    forget: () => {
      shown = undefined
    },
  }
}
