/** A key as a person means it; `text` is what a letter key writes. */
export type Key =
  | {
      readonly type:
        | 'up'
        | 'down'
        | 'page-up'
        | 'page-down'
        | 'home'
        | 'end'
        | 'enter'
        | 'escape'
        | 'backspace'
        | 'interrupt'
        | 'suspend'
    }
  | { readonly type: 'text'; readonly text: string }

const NAMED: Readonly<Record<string, Exclude<Key['type'], 'text'>>> = {
  '\u001b[A': 'up',
  '\u001bOA': 'up',
  '\u001b[B': 'down',
  '\u001bOB': 'down',
  '\u001b[5~': 'page-up',
  '\u001b[6~': 'page-down',
  '\u001b[H': 'home',
  '\u001bOH': 'home',
  '\u001b[1~': 'home',
  '\u001b[F': 'end',
  '\u001bOF': 'end',
  '\u001b[4~': 'end',
  '\r': 'enter',
  '\n': 'enter',
  '\u001b': 'escape',
  '\u007f': 'backspace',
  '\b': 'backspace',
  '\u0003': 'interrupt',
  '\u001a': 'suspend',
}

/** Whole escape sequences; those that name no key are passed over. */
const SEQUENCE = /^\u001b(?:\[[0-9;?<]*[ -/]*[@-~]|O[@-~])/

/** The keys in what a terminal in raw mode sent. What means nothing here gives none. */
export const readKeys = (input: string): readonly Key[] => {
  const keys: Key[] = []
  for (let rest = input; rest !== '';) {
    const sequence = SEQUENCE.exec(rest)?.[0] ?? String.fromCodePoint(rest.codePointAt(0)!)
    rest = rest.slice(sequence.length)
    const type = NAMED[sequence]
    if (type !== undefined) keys.push({ type })
    else if (sequence >= ' ' && !sequence.startsWith('\u001b')) keys.push({ type: 'text', text: sequence })
  }
  return keys
}
