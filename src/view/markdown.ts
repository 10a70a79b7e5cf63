import { append } from '../base/lists.js'
import { widthOf } from '../base/columns.js'
import { paint, wrap, type Look } from './text.js'

/** Code keeps its backticks where there is no colour to tell it by. A link shows its words. */
const inline = (text: string, look: Look): string => {
  const plain = text.replace(/\[([^\]]+)\]\([^)]+\)/g, '$1')
  return look.color ? plain.replace(/`([^`]+)`/g, (_, code: string) => paint(look, 'code', code)) : plain
}

// Wrapping comes first and colours second, so that a piece of code that is wrapped may not be cut: its spaces are
// hidden meanwhile.
const HIDDEN = '\u00a0'
const paragraph = (text: string, look: Look, indent = ''): string[] =>
  wrap(
    text.replace(/`[^`]+`/g, (code) => code.replaceAll(' ', HIDDEN)),
    look.width,
    indent,
  ).map((line) => inline(line.replaceAll(HIDDEN, ' '), look))

const cellsOf = (row: string): string[] =>
  row
    .replace(/^\|\s*|\s*\|$/g, '')
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll('\\|', '|'))

const NO_VALUE = /^(none|[–-])?$/

/** A table as definitions: the first cell and the short ones in a line, the last wrapped below. */
const table = (rows: readonly string[], look: Look): string[] => {
  const [head = [], , ...body] = rows.map(cellsOf)
  return [
    paint(look, 'title', `${head[0]?.replace(/^./, (c) => c.toUpperCase()) ?? ''}s`),
    ...body.flatMap((cells) => {
      const [name = '', ...middle] = cells.slice(0, -1)
      const label = middle.flatMap((cell, i) =>
        NO_VALUE.test(cell) ? [] : [head[i + 1] === 'default' && cell !== 'required' ? `default ${cell}` : cell],
      )
      const line = `  ${name}  ${label.join('; ')}`
      const first =
        widthOf(line) <= look.width
          ? [inline(line, look)]
          : [inline(`  ${name}`, look), ...paragraph(label.join('; '), look, '    ')]
      const last = cells.at(-1) ?? ''
      return NO_VALUE.test(last) ? first : [...first, ...paragraph(last, look, '      ')]
    }),
  ]
}

/** Shows the Markdown that smelt writes about itself (headings, paragraphs, tables, fenced code) in a terminal. */
export const renderMarkdown = (markdown: string, look: Look): string => {
  const out: string[] = []
  const lines = markdown.trimEnd().split('\n')
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!
    const until = (test: (text: string) => boolean): string[] => {
      const from = i
      while (i + 1 < lines.length && test(lines[i + 1]!)) i++
      return lines.slice(from, i + 1)
    }
    if (line.startsWith('#')) out.push(paint(look, 'title', line.replace(/^#+ /, '')))
    else if (line.startsWith('|'))
      append(
        out,
        table(
          until((l) => l.startsWith('|')),
          look,
        ),
      )
    else if (line.startsWith('```')) {
      append(
        out,
        until((l) => !l.startsWith('```'))
          .slice(1)
          .map((l) => `    ${l}`),
      )
      i++
    } else if (line === '') out.push('')
    else append(out, paragraph(line, look))
  }
  return `${out.join('\n')}\n`
}
