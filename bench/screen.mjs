// A terminal's screen as a picture.

const [WIDTH, HEIGHT, PAD] = [8, 17, 12]
const COLORS = [
  '#484f58',
  '#ff7b72',
  '#3fb950',
  '#d29922',
  '#58a6ff',
  '#bc8cff',
  '#39c5cf',
  '#c9d1d9',
  '#8b949e',
  '#ffa198',
  '#56d364',
  '#e3b341',
  '#79c0ff',
  '#d2a8ff',
  '#56d4dd',
  '#f0f6fc',
]

const escape = (text) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;')

/** Changes a style by the numbers of one escape sequence. */
const restyle = (style, codes) =>
  codes.reduce((s, code) => {
    if (code === 0) return {}
    if (code === 1) return { ...s, bold: true }
    if (code === 2) return { ...s, faint: true }
    if (code === 7) return { ...s, inverse: true }
    if (code === 22) return { ...s, bold: false, faint: false }
    if (code === 27) return { ...s, inverse: false }
    if (code === 39) return { ...s, color: undefined }
    if (code >= 30 && code <= 37) return { ...s, color: COLORS[code - 30] }
    if (code >= 90 && code <= 97) return { ...s, color: COLORS[code - 82] }
    return s
  }, style)

/** Words of a line with the column each begins at, so that every letter stands in its cell whatever the font. */
const wordsOf = (text, column) =>
  [...text.matchAll(/\S+(?: \S+)*/g)].map((m) => ({ text: m[0], column: column + m.index }))

/** Draws what `tmux capture-pane -e -p` prints; no letter may be wider than a cell. */
export const drawScreen = (screen, columns) => {
  const lines = screen.replace(/\n+$/, '').split('\n')
  let style = {}
  const drawn = lines.flatMap((line, row) => {
    let column = 0
    return line.split(/(\x1b\[[\d;]*m)/).flatMap((part) => {
      const codes = /^\x1b\[([\d;]*)m$/.exec(part)
      if (codes !== null) {
        style = restyle(style, codes[1].split(';').map(Number))
        return []
      }
      const begin = column
      column += part.length
      const fill = style.inverse ? '#0d1117' : (style.color ?? '#c9d1d9')
      const weight = style.bold ? ' font-weight="bold"' : ''
      const opacity = style.faint ? ' opacity=".65"' : ''
      const back =
        style.inverse && part !== ''
          ? [
              `<rect x="${PAD + begin * WIDTH}" y="${PAD + row * HEIGHT}" width="${part.length * WIDTH}" height="${HEIGHT}" fill="#c9d1d9"/>`,
            ]
          : []
      return [
        ...back,
        ...wordsOf(part, begin).map(
          ({ text, column: at }) =>
            `<text x="${PAD + at * WIDTH}" y="${PAD + row * HEIGHT + 13}" textLength="${text.length * WIDTH}" lengthAdjust="spacingAndGlyphs" fill="${fill}"${weight}${opacity}>${escape(text)}</text>`,
        ),
      ]
    })
  })
  const [width, height] = [columns * WIDTH + 2 * PAD, lines.length * HEIGHT + 2 * PAD]
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace" font-size="13.3" xml:space="preserve">\n<rect width="100%" height="100%" rx="8" fill="#0d1117"/>\n${drawn.join('\n')}\n</svg>\n`
}
