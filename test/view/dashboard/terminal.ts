import { widthOf } from '#src/base/columns.js'

/** A terminal as far as a dashboard uses one. Fails at anything else, and at what would scroll. */
export interface FakeTerminal {
  write(text: string): void
  /** The screen, without spaces at the ends of its lines. */
  lines(): readonly string[]
  /** How often the whole screen was cleared, and how many characters were written to it. */
  readonly cleared: number
  readonly printed: number
}

const ESCAPE = /^\u001b\[(\??)([\d;]*)([A-Za-z])/

/** A terminal of a size, with something on it that a dashboard has to replace. */
export const fakeTerminal = (columns: number, rows: number): FakeTerminal => {
  const cells = Array.from({ length: rows }, () => new Array<string>(columns).fill('#'))
  let [row, column, cleared, printed] = [0, 0, 0, 0]
  const put = (character: string): void => {
    const width = widthOf(character)
    if (column + width > columns) throw new Error(`row ${row} is longer than ${columns} columns`)
    cells[row]![column] = character
    for (let i = 1; i < width; i++) cells[row]![column + i] = ''
    column += width
    printed += 1
  }
  return {
    write: (text) => {
      for (let rest = text; rest !== '';) {
        const escape = ESCAPE.exec(rest)
        if (escape === null) {
          const [character] = rest
          if (character! < ' ') throw new Error(`a control character ${JSON.stringify(character)} was written`)
          put(character!)
          rest = rest.slice(character!.length)
          continue
        }
        rest = rest.slice(escape[0].length)
        const [, mode, numbers, letter] = escape
        if (mode === '?' || letter === 'm') continue
        if (letter === 'H') {
          const [r, c] = numbers!.split(';').map(Number)
          if (r! > rows) throw new Error(`row ${r} is below the screen`)
          ;[row, column] = [r! - 1, c! - 1]
        } else if (letter === 'K' && numbers === '') cells[row]!.fill(' ', Math.min(column, columns - 1))
        else if (letter === 'J' && numbers === '2') {
          cleared += 1
          for (const line of cells) line.fill(' ')
        } else throw new Error(`an escape that no dashboard needs: ${JSON.stringify(escape[0])}`)
      }
    },
    lines: () => cells.map((line) => line.join('').trimEnd()),
    get cleared() {
      return cleared
    },
    get printed() {
      return printed
    },
  }
}
