import { graphemesOf, widthOf } from '../base/columns.js'

/** How text is to look; `width` counts terminal columns. */
export interface Look {
  readonly color: boolean
  readonly width: number
}

/** What a stretch of text is, which decides its colour. */
export type Style = 'title' | 'name' | 'code' | 'faint' | 'good' | 'bad' | 'warn'

/** The codes of styles that every terminal with sixteen colours has. */
export const STYLES: Readonly<Record<Style, string>> = {
  title: '1',
  name: '1;36',
  code: '36',
  faint: '2',
  good: '32',
  bad: '1;31',
  warn: '33',
}

/** Colours text where the look allows it. */
export const paint = ({ color }: Look, style: Style, text: string): string =>
  color && text !== '' ? `\u001b[${STYLES[style]}m${text}\u001b[0m` : text

const fitting = (characters: readonly string[], room: number): string[] => {
  let used = 0
  const end = characters.findIndex((character) => (used += widthOf(character)) > room)
  return characters.slice(0, end === -1 ? characters.length : end)
}

/** As much of the start of a text as fits into `width` columns. */
export const cutEnd = (text: string, width: number): string =>
  widthOf(text) <= width
    ? text
    : fitting(
        graphemesOf(text).map(({ segment }) => segment),
        width,
      ).join('')

/**
 * A text of at most `width` columns: the middle of a longer one is left out, since names differ at both ends. Takes no
 * colours.
 */
export const cutMiddle = (text: string, width: number): string => {
  if (widthOf(text) <= width) return text
  if (width <= 1) return width === 1 ? '…' : ''
  const characters = graphemesOf(text).map(({ segment }) => segment)
  const tail = fitting(characters.toReversed(), Math.floor((width - 1) / 2)).reverse()
  const head = fitting(characters, width - 1 - widthOf(tail.join('')))
  return `${head.join('')}…${tail.join('')}`
}

/** Words wrapped into lines of at most `width` columns; a longer word stands alone. Every line begins with `indent`. */
export const wrap = (text: string, width: number, indent = ''): string[] => {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && widthOf(last) + 1 + widthOf(word) <= width) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(indent + word)
  }
  return lines
}

/** Rows with their columns aligned: left, or right where `right` says so. The last column is not padded. */
export const align = (rows: readonly (readonly string[])[], right: readonly number[] = [], indent = ''): string[] => {
  const widths: number[] = []
  for (const row of rows)
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, widthOf(cell))
    })
  return rows.map((row) =>
    (
      indent +
      row
        .map((cell, i) => {
          const pad = ' '.repeat(widths[i]! - widthOf(cell))
          return right.includes(i) ? pad + cell : cell + pad
        })
        .join('  ')
    ).trimEnd(),
  )
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']

/** Bytes with three significant digits and a decimal unit, as file managers show them. */
export const formatBytes = (bytes: number): string => {
  let value = bytes
  let unit = 0
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000
    unit++
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2
  return `${value.toFixed(digits)} ${UNITS[unit]}`
}

/** A whole number with thousands separators. */
export const formatCount = (count: number): string => String(count).replace(/\B(?=(\d{3})+$)/g, ',')

/** A count and its noun. */
export const plural = (count: number, noun: string, several = `${noun}s`): string =>
  `${formatCount(count)} ${count === 1 ? noun : several}`

/** What a recipe has, counted. */
export const countParts = (inputs: readonly { readonly kind?: string }[], steps: number, outputs: number): string => {
  const adapters = inputs.filter(({ kind }) => kind === 'adapter').length
  return [
    plural(inputs.length - adapters, 'model'),
    ...(adapters === 0 ? [] : [plural(adapters, 'adapter')]),
    plural(steps, 'step'),
    plural(outputs, 'output'),
  ].join(', ')
}

/** A duration in seconds, formatted. */
export const formatDuration = (seconds: number): string => {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`
}

/** Numbers and what they count, most first: `F16 1,130, I64 1`. */
export const formatTally = (tally: Readonly<Record<string, number>>): string =>
  Object.entries(tally)
    .sort(([, x], [, y]) => y - x)
    .map(([name, count]) => `${name} ${formatCount(count)}`)
    .join(', ')

/** How often each key occurs. */
export const tallyOf = (keys: Iterable<string>): Record<string, number> => {
  const tally: Record<string, number> = {}
  for (const key of keys) tally[key] = (tally[key] ?? 0) + 1
  return tally
}

/** How many tensors of a step were merged, kept and so on, the most frequent first: `12 merged, 3 missing`. */
export const countsText = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .sort(([, x], [, y]) => y - x)
    .map(([what, count]) => `${formatCount(count)} ${what}`)
    .join(', ')
