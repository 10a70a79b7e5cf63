/** A value of an instruction: a constant, or another instruction by its number. */
export type MechaArgument = string | number | boolean | null | { readonly ref: number }

/** One instruction of a recipe, with its arguments by place and by name. */
export interface Instruction {
  readonly command: 'dict' | 'literal' | 'merge' | 'model' | 'parameter'
  readonly places: readonly MechaArgument[]
  readonly names: ReadonlyMap<string, MechaArgument>
  /** From 1. */
  readonly line: number
}

/** A recipe of sd-mecha. `version` is that of the format; undefined before 0.1. */
export interface MechaRecipe {
  readonly version: string | undefined
  readonly instructions: readonly Instruction[]
  readonly errors: readonly { readonly line: number; readonly text: string }[]
}

/** Names of the commands; `call` was the first name of `merge`. */
const COMMANDS: ReadonlyMap<string, Instruction['command']> = new Map([
  ['dict', 'dict'],
  ['literal', 'literal'],
  ['merge', 'merge'],
  ['call', 'merge'],
  ['model', 'model'],
  ['parameter', 'parameter'],
])

/** True for the text of a recipe, by its first lines. */
export const isMecha = (text: string): boolean =>
  /^\s*(?:#.*\n\s*)*(?:version \d|(?:model|parameter|call|merge|literal) ["&]|dict \w+=)/.test(text)

const TOKEN = /\s+|(?:[A-Za-z_]\w*=)?"(?:[^"\\]|\\.)*"|[^\s"]+/y

/** Words of a line, texts in quotes whole; undefined where a quote is not closed. */
const wordsOf = (line: string): readonly string[] | undefined => {
  const words: string[] = []
  TOKEN.lastIndex = 0
  while (TOKEN.lastIndex < line.length) {
    const [found] = TOKEN.exec(line) ?? []
    if (found === undefined) return undefined
    if (found.trim() !== '') words.push(found)
  }
  return words
}

const constantOf = (word: string): MechaArgument | undefined => {
  if (word.startsWith('"'))
    return word.slice(1, -1).replace(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c === 't' ? '\t' : c))
  if (/^&\d{1,9}$/.test(word)) return { ref: Number(word.slice(1)) }
  if (/^true$/i.test(word)) return true
  if (/^false$/i.test(word)) return false
  if (/^(null|none)$/i.test(word)) return null
  const number = /^[-+]?(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?$/i.test(word) ? Number(word) : NaN
  return Number.isFinite(number) ? number : undefined
}

/** Reads a recipe of any version. Never throws; lines that are no instructions are told in `errors`. */
export const readMecha = (text: string): MechaRecipe => {
  const [instructions, errors]: [Instruction[], MechaRecipe['errors'][number][]] = [[], []]
  let version: string | undefined
  for (const [i, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim()
    if (line === '' || line.startsWith('#')) continue
    const [, found] = instructions.length === 0 && version === undefined ? (/^version\s+(\S+)$/.exec(line) ?? []) : []
    if (found !== undefined) {
      version = found
      continue
    }
    const [first, ...rest] = wordsOf(line) ?? []
    const command = COMMANDS.get(first ?? '')
    const places: MechaArgument[] = []
    const names = new Map<string, MechaArgument>()
    let broken = command === undefined
    for (const word of rest) {
      const [, name, value] = /^([A-Za-z_]\w*)=([^]*)$/.exec(word) ?? []
      const constant = constantOf(value ?? word)
      if (constant === undefined) broken = true
      else if (name === undefined) places.push(constant)
      else names.set(name, constant)
    }
    if (broken) errors.push({ line: i + 1, text: line.slice(0, 80) })
    else instructions.push({ command: command!, places, names, line: i + 1 })
  }
  return { version, instructions, errors }
}
