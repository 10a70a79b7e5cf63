/** Bytes of WebAssembly, in pieces within pieces: code that is part of other code is not copied. */
export type Code = readonly (number | Code)[]

/** Adds the bytes of code to a list. */
const flatten = (code: Code, to: number[] = []): number[] => {
  for (const piece of code) {
    if (typeof piece === 'number') to.push(piece)
    else flatten(piece, to)
  }
  return to
}

/** The number types of locals. */
export const I32 = 0x7f
export const V128 = 0x7b

/** One function of a module: what it takes, what it keeps, and its instructions without the closing `end`. */
export interface WasmFunction {
  readonly name: string
  readonly params: readonly number[]
  /** Types of the locals after the params, in order. */
  readonly locals: readonly number[]
  readonly body: Code
}

/** A global of a module, which starts as what the code of a constant gives. */
export interface WasmGlobal {
  readonly type: number
  readonly value: Code
}

/** An unsigned number in as few bytes as it takes (LEB128). */
export const unsigned = (value: number): Code => {
  const bytes: number[] = []
  let rest = value
  do {
    const low = rest % 128
    rest = Math.floor(rest / 128)
    bytes.push(rest === 0 ? low : low + 128)
  } while (rest !== 0)
  return bytes
}

/** A signed number of 32 bits in as few bytes as it takes (LEB128). */
export const signed = (value: number): Code => {
  const bytes: number[] = []
  for (let rest = value | 0; ; rest >>= 7) {
    const low = rest & 0x7f
    const done = rest >> 6 === 0 || rest >> 6 === -1
    bytes.push(done ? low : low | 0x80)
    if (done) return bytes
  }
}

const vector = (items: readonly Code[]): Code => [unsigned(items.length), items]
const text = (value: string): Code => {
  const bytes = [...Buffer.from(value)]
  return [unsigned(bytes.length), bytes]
}
/** Code with its length in bytes before it. */
const measured = (code: Code): Code => {
  const bytes = flatten(code)
  return [unsigned(bytes.length), bytes]
}
const section = (id: number, content: Code): Code => [id, measured(content)]

const FUNCTION = 0x60
const END = 0x0b
const MUTABLE = 0x01
/** Kinds of what is imported and exported. */
const [FUNCTIONS, MEMORY] = [0x00, 0x02]

/**
 * The bytes of a module that works in the memory it imports as `host.memory` and exports its functions. The format is
 * that of https://webassembly.github.io/spec/core/binary/modules.html.
 */
export const encodeModule = (
  functions: readonly WasmFunction[],
  globals: readonly WasmGlobal[] = [],
): Uint8Array<ArrayBuffer> => {
  const types = functions.map(({ params }) => [FUNCTION, vector(params.map((type) => [type])), 0])
  const bodies = functions.map(({ locals, body }) =>
    measured([vector(runsOf(locals).map(([count, type]) => [unsigned(count), type])), body, END]),
  )
  return Uint8Array.from(
    flatten([
      [0x00, 0x61, 0x73, 0x6d],
      [0x01, 0x00, 0x00, 0x00],
      section(1, vector(types)),
      section(2, vector([[text('host'), text('memory'), MEMORY, 0x00, 0x00]])),
      section(3, vector(functions.map((_, index) => unsigned(index)))),
      section(6, vector(globals.map(({ type, value }) => [type, MUTABLE, value, END]))),
      section(7, vector(functions.map(({ name }, index) => [text(name), FUNCTIONS, unsigned(index)]))),
      section(10, vector(bodies)),
    ]),
  )
}

/** Neighbouring locals of one type, counted. */
const runsOf = (locals: readonly number[]): readonly (readonly [count: number, type: number])[] => {
  const runs: [number, number][] = []
  for (const type of locals) {
    const last = runs.at(-1)
    if (last?.[1] === type) last[0] += 1
    else runs.push([1, type])
  }
  return runs
}
