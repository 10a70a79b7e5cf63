import { isAbsolute } from 'node:path'
import { append } from './lists.js'
import type { Diagnostic, Place, Range, Severity } from './diagnostic.js'
import { escapeControls, excerptsOf } from './excerpt.js'
import { positionOf } from './position.js'
import { nearPath } from './resolve-path.js'

/** How a screen of problems looks; `width` counts terminal columns and limits only lines of source. */
export interface ScreenOptions {
  readonly color: boolean
  readonly cwd?: string
  readonly width?: number
}

type Style = 'bold' | 'error' | 'warning' | 'note' | 'help' | 'gutter'

const ANSI: Readonly<Record<Style, string>> = {
  bold: '1',
  error: '1;31',
  warning: '1;33',
  note: '1;32',
  help: '1;36',
  gutter: '1;34',
}

interface Screen {
  readonly paint: (style: Style, text: string) => string
  readonly path: (path: string) => string
  readonly width: number
}

const openScreen = ({ color, cwd, width }: ScreenOptions): Screen => ({
  paint: (style, text) => (color ? `\u001b[${ANSI[style]}m${text}\u001b[0m` : text),
  path: (path) => escapeControls(cwd !== undefined && isAbsolute(path) ? nearPath(path, cwd) : path),
  width: Math.max(20, width ?? 120),
})

const fileOf = (place: Place | undefined): string =>
  place?.type === 'text' ? place.range.source.path : place?.type === 'file' ? place.path : ''
const offsetOf = (place: Place | undefined): number =>
  place?.type === 'text' ? place.range.start : place?.type === 'file' ? (place.offset ?? -1) : -1
const rankOf = (place: Place | undefined): number => (place === undefined ? 2 : place.type === 'option' ? 0 : 1)
const tensorOf = (place: Place | undefined): string => (place?.type === 'file' ? (place.tensor ?? '') : '')
const compare = (x: string, y: string): number => (x < y ? -1 : x > y ? 1 : 0)

/**
 * Problems in order of place: the command line, then by file and offset (or tensor), then those without a place.
 * Stable.
 */
export const sortDiagnostics = (diagnostics: readonly Diagnostic[]): readonly Diagnostic[] =>
  [...diagnostics].sort(
    ({ at: x }, { at: y }) =>
      rankOf(x) - rankOf(y) ||
      compare(fileOf(x), fileOf(y)) ||
      offsetOf(x) - offsetOf(y) ||
      compare(tensorOf(x), tensorOf(y)),
  )

const renderRange = (range: Range, style: Severity | 'note', screen: Screen): string[] => {
  const { line, column } = positionOf(range.source, range.start)
  const excerpts = excerptsOf(range, screen.width)
  const digits = String(excerpts.at(-1)!.line).length
  const bar = screen.paint('gutter', `${' '.repeat(digits)} |`)
  const out = [
    `${' '.repeat(digits)}${screen.paint('gutter', '-->')} ${screen.path(range.source.path)}:${line}:${column}`,
    bar,
  ]
  excerpts.forEach((excerpt, i) => {
    if (i > 0 && excerpt.line > excerpts[i - 1]!.line + 1) out.push(screen.paint('gutter', '...'))
    out.push(`${screen.paint('gutter', `${String(excerpt.line).padStart(digits)} |`)} ${excerpt.text}`.trimEnd())
    out.push(`${bar} ${' '.repeat(excerpt.start)}${screen.paint(style, '^'.repeat(excerpt.end - excerpt.start))}`)
  })
  return out
}

const renderPlace = (place: Place, style: Severity | 'note', screen: Screen): string[] => {
  if (place.type === 'text') return renderRange(place.range, style, screen)
  const arrow = ` ${screen.paint('gutter', '-->')} `
  if (place.type === 'option') return [arrow + escapeControls(place.name)]
  const tensor = place.tensor === undefined ? '' : `, tensor ${escapeControls(place.tensor)}`
  const offset = place.offset === undefined ? '' : `, byte ${place.offset}`
  return [arrow + screen.path(place.path) + tensor + offset]
}

const renderOne = (diagnostic: Diagnostic, screen: Screen): string => {
  const { severity, code, message, at, related, help } = diagnostic
  const out = [
    `${screen.paint(severity, `${severity}[${code}]`)}${screen.paint('bold', `: ${escapeControls(message)}`)}`,
  ]
  if (at !== undefined) append(out, renderPlace(at, severity, screen))
  for (const note of related)
    out.push(
      `${screen.paint('note', 'note')}: ${escapeControls(note.message)}`,
      ...renderPlace(note.at, 'note', screen),
    )
  if (help !== undefined) out.push(`${screen.paint('help', 'help')}: ${escapeControls(help)}`)
  return out.join('\n')
}

const tally = (diagnostics: readonly Diagnostic[]): string =>
  (['error', 'warning'] as const)
    .map((severity) => ({ severity, count: diagnostics.filter((d) => d.severity === severity).length }))
    .filter(({ count }) => count > 0)
    .map(({ severity, count }) => `${count} ${severity}${count === 1 ? '' : 's'}`)
    .join(', ')

/**
 * Problems as a person reads them in a terminal, sorted, each with the line it is on, closed by a count; `''` for none.
 * Nothing in them can drive the terminal: every control character is written out.
 */
export const renderDiagnostics = (diagnostics: readonly Diagnostic[], options: ScreenOptions): string => {
  if (diagnostics.length === 0) return ''
  const screen = openScreen(options)
  return `${sortDiagnostics(diagnostics)
    .map((d) => renderOne(d, screen))
    .join('\n\n')}\n\n${tally(diagnostics)}\n`
}

/** A place as machines read it; lines and columns are 1-based, columns count code points, the end is exclusive. */
export type JsonPlace =
  | {
      readonly path: string
      readonly line: number
      readonly column: number
      readonly endLine: number
      readonly endColumn: number
    }
  | { readonly path: string; readonly tensor?: string; readonly offset?: number }
  | { readonly option: string }

/** A problem as machines read it. */
export interface JsonDiagnostic extends Omit<Diagnostic, 'at' | 'related'> {
  readonly at?: JsonPlace
  readonly related: readonly { readonly at: JsonPlace; readonly message: string }[]
}

const toJsonPlace = (place: Place): JsonPlace => {
  if (place.type === 'option') return { option: place.name }
  if (place.type === 'file') {
    const { type: _, ...rest } = place
    return rest
  }
  const { source, start, end } = place.range
  const [from, to] = [positionOf(source, start), positionOf(source, end)]
  return { path: source.path, line: from.line, column: from.column, endLine: to.line, endColumn: to.column }
}

/** Problems as plain objects for machine output, in the order of {@link sortDiagnostics}. */
export const toJson = (diagnostics: readonly Diagnostic[]): readonly JsonDiagnostic[] =>
  sortDiagnostics(diagnostics).map(({ at, related, ...rest }) => ({
    ...rest,
    ...(at === undefined ? {} : { at: toJsonPlace(at) }),
    related: related.map((note) => ({ at: toJsonPlace(note.at), message: note.message })),
  }))
