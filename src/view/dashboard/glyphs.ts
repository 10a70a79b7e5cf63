import type { TensorState } from './state.js'

/** Where a step stands. */
export type StepStatus = 'waiting' | 'running' | 'done' | 'reused' | 'failed' | 'stopped'

/** The signs that a screen is drawn with. */
export interface Glyphs {
  readonly standing: Readonly<Record<StepStatus, string>>
  readonly tensor: Readonly<Record<TensorState['state'], string>>
  /** Filled, half filled and empty parts of a bar. */
  readonly bar: readonly [string, string, string]
  /** From low to high. */
  readonly levels: readonly string[]
  readonly rule: string
  readonly mark: string
  readonly output: string
  /** Lines of the graph, by the directions in which they go: up, down, left, right. */
  readonly lines: Readonly<Record<string, string>>
}

const UNICODE: Glyphs = {
  standing: { waiting: '○', running: '◐', done: '●', reused: '◇', failed: '✗', stopped: '◌' },
  tensor: { waiting: '○', working: '◐', done: '●' },
  bar: ['━', '╸', '─'],
  levels: ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'],
  rule: '─',
  mark: '▸',
  output: '▣',
  lines: { ud: '│', lr: '─', ul: '╯', ur: '╰', dl: '╮', dr: '╭', udl: '┤', udr: '├', ulr: '┴', dlr: '┬', udlr: '┼' },
}

const ASCII: Glyphs = {
  standing: { waiting: 'o', running: '@', done: '*', reused: '=', failed: 'x', stopped: '.' },
  tensor: { waiting: 'o', working: '@', done: '*' },
  bar: ['=', '>', '-'],
  levels: ['_', '.', ',', '-', '~', '+', '*', '#'],
  rule: '-',
  mark: '>',
  output: '#',
  lines: { ud: '|', lr: '-', ul: "'", ur: '`', dl: '.', dr: '.', udl: '+', udr: '+', ulr: '+', dlr: '+', udlr: '+' },
}

/** The signs for a terminal that shows Unicode, or for one that does not. */
export const glyphsFor = (unicode: boolean): Glyphs => (unicode ? UNICODE : ASCII)

/** A bar of `width` columns, filled by a share of 1. */
export const drawBar = (
  { bar: [full, half, empty] }: Glyphs,
  share: number,
  width: number,
): readonly [filled: string, rest: string] => {
  const halves = Math.max(0, Math.min(2 * width, Math.floor(share * 2 * width)))
  const filled = full.repeat(halves >> 1) + (halves % 2 === 1 ? half : '')
  return [filled, empty.repeat(width - filled.length)]
}

/** A row of levels, one for each number from 0 to `most`; a blank for what is unknown. */
export const drawLevels = ({ levels }: Glyphs, values: readonly (number | undefined)[], most: number): string =>
  values
    .map((v) =>
      v === undefined
        ? ' '
        : levels[Math.max(0, Math.min(levels.length - 1, Math.ceil((v / (most || 1)) * levels.length) - 1))]!,
    )
    .join('')

/** The same in `rows` lines, highest first. */
export const drawColumns = (
  { levels }: Glyphs,
  values: readonly (number | undefined)[],
  most: number,
  rows: number,
): readonly string[] => {
  const steps = levels.length
  const heights = values.map((v) =>
    v === undefined ? 0 : Math.max(v > 0 ? 1 : 0, Math.min(rows * steps, Math.round((v / (most || 1)) * rows * steps))),
  )
  return Array.from({ length: rows }, (_, i) => {
    const floor = (rows - 1 - i) * steps
    return heights.map((height) => (height <= floor ? ' ' : levels[Math.min(steps, height - floor) - 1]!)).join('')
  })
}
