import type { Dtype } from '../tensor/dtype.js'
import { VALUE_BYTES, ZERO, type Instruction, type Port, type Program, MOST_POWER } from './program.js'
import { decode, decodeMask, encode, type Values } from './wasm-codecs.js'
import { encodeModule, I32, V128, type Code } from './wasm-module.js'
import * as w from './wasm-simd.js'

/** Elements of one iteration of the loop: buffers have space for as many more after their last element. */
export const TURN = 4

/** Bytes of an argument of a program in memory: an address or a float32. */
export const ARGUMENT = 4

/** Instructions of the largest program that is compiled: each takes up to four of the 50,000 locals that V8 allows. */
export const MOST_INSTRUCTIONS = 12_000

/** True unless a program is too large for one function of WebAssembly. */
export const isCompilable = ({ instructions }: Pick<Program, 'instructions'>): boolean =>
  instructions.length <= MOST_INSTRUCTIONS

/**
 * A program as a WebAssembly module whose one function, `run(n, args)`, computes elements 0 to n. At `args` lie, in 4
 * bytes each, what is fed in the order of {@link fedPorts} (an address, or the number itself where `rank` is 0) and
 * then the addresses of the outputs. It computes up to {@link TURN} - 1 elements more than it is asked for, of whatever
 * lies in the buffers. The bits are those of ONNX Runtime on the processor, the sign and payload of NaN aside.
 */
export const encodeWasm = (program: Program): Uint8Array<ArrayBuffer> => {
  const [N, ARGS] = [0, 1]
  const locals: number[] = []
  const local = (type: number): number => locals.push(type) + ARGS
  const start: Code[] = []
  const body: Code[] = []
  const next: Code[] = []

  const constants = new Map<number, Code>()
  const words = (word: number): Code => {
    const known = constants.get(word)
    if (known !== undefined) return known
    // From a global, which is read before the loop: a constant would be made anew in each turn.
    const at = local(V128)
    start.push(w.set(at, w.getGlobal(constants.size)))
    constants.set(word, w.get(at))
    return w.get(at)
  }
  const keepIn =
    (code: Code[]) =>
    (value: Code): Code => {
      const at = local(V128)
      code.push(w.set(at, value))
      return w.get(at)
    }
  const values: Values = {
    keep: keepIn(body),
    keepOnce: keepIn(start),
    words: (word) => words(word >>> 0),
    floats: (value) => words(new Uint32Array(Float32Array.of(value).buffer)[0]!),
  }
  const argument = (type: number, value: Code): Code => {
    const at = local(type)
    start.push(w.set(at, value))
    return w.get(at)
  }
  const pointer = (index: number, port: Port): Code => {
    const address = argument(I32, w.loadI32(w.get(ARGS), ARGUMENT * index))
    next.push(w.addTo(address, TURN * VALUE_BYTES[port.type]))
    return address
  }

  const fed = fedPorts(program)
  const inputs = new Map(
    fed.map((port, index) => [
      port.name,
      port.rank === 1
        ? { port, address: pointer(index, port) }
        : { port, value: argument(V128, w.loadSplat(w.get(ARGS), ARGUMENT * index)) },
    ]),
  )
  const outputs = program.outputs.map((port, i) => pointer(fed.length + i, port))
  const valueOf = computeFour(program, inputs, values)
  for (const [i, port] of program.outputs.entries())
    body.push(encode(dtypeOf(program, port), outputs[i]!, valueOf(port.name), values))

  const turn = [body, next, w.addTo(w.get(N), -TURN)]
  return encodeModule(
    [
      {
        name: 'run',
        params: [I32, I32],
        locals,
        body: [start, w.whileLoop(w.moreI32(w.get(N), w.i32(0)), turn)],
      },
    ],
    [...constants.keys()].map((word) => ({ type: V128, value: w.constant(word) })),
  )
}

/** The inputs that a compiled program takes; it needs no length to spread what is one number for all elements. */
export const fedPorts = ({ inputs }: Pick<Program, 'inputs'>): readonly Port[] =>
  inputs.filter((port) => port.name !== 'n')

type Input = { readonly port: Port } & ({ readonly address: Code } | { readonly value: Code })

/** The dtype that a program's output is encoded in. */
const dtypeOf = ({ instructions }: Program, { name, type }: Port): Dtype =>
  instructions.find((i) => i.output === name && i.op === 'Encode')?.dtype ?? (type === 'bool' ? 'BOOL' : 'F32')

/** Computes all values of a program; what it gives has the code of each: lanes of float32, or of a mask. */
const computeFour = (
  { instructions }: Program,
  inputs: ReadonlyMap<string, Input>,
  v: Values,
): ((name: string) => Code) => {
  const known = new Map<string, Code>([[ZERO, v.floats(0)]])
  const load = (name: string, dtype: Dtype, how = decode): Code => {
    const input = inputs.get(name)!
    return 'value' in input ? input.value : v.keep(how(dtype, input.address, v))
  }
  /** What is the same for all elements: it is computed before the loop. */
  const invariant = new Set([ZERO, ...[...inputs.values()].flatMap((i) => ('value' in i ? [i.port.name] : []))])
  const valueOf = (name: string): Code => {
    const code =
      known.get(name) ?? (inputs.get(name)!.port.type === 'bool' ? load(name, 'BOOL', decodeMask) : load(name, 'F32'))
    known.set(name, code)
    return code
  }
  for (const instruction of instructions) {
    const { op, inputs: from, output, dtype } = instruction
    if (op === 'Decode') known.set(output, load(from[0]!, dtype!))
    else if (op === 'DecodeMask') known.set(output, load(from[0]!, dtype!, decodeMask))
    else {
      const operands = from.filter((name) => name !== 'n')
      const once = operands.every((name) => invariant.has(name))
      if (once) invariant.add(output)
      const last = operands.at(-1)!
      const code = OPERATIONS[op]!(operands.map(valueOf), {
        ...v,
        nanOf: (x) => (invariant.has(last) ? v.keepOnce : v.keep)(w.unequal(x, x)),
        instruction,
      })
      known.set(output, (once ? v.keepOnce : v.keep)(code))
    }
  }
  return valueOf
}

/** What operations are made with. */
interface Making extends Values {
  readonly instruction: Instruction
  /** Where the last operand is NaN. */
  nanOf(last: Code): Code
}
type Operation = (args: readonly Code[], making: Making) => Code
const one =
  (make: (x: Code) => Code): Operation =>
  ([x]) =>
    make(x!)
const two =
  (make: (x: Code, y: Code) => Code): Operation =>
  ([x, y]) =>
    make(x!, y!)
const same = one((x) => x)
/** Of which one NaN makes another; which of two zeros it takes is left open, as ONNX Runtime leaves it. */
const extreme =
  (choose: (x: Code, y: Code) => Code): Operation =>
  ([x, y], { nanOf }) =>
    w.or(choose(x!, y!), nanOf(y!))

/** A float32 whose last binary place is 1: what is added to it becomes a whole number, which its lowest bits hold. */
const WHOLE = 1.5 * 2 ** 23
/** The bits of √½, and of what is 1 in float32. */
const [ROOT_HALF, ONE] = [0x3f3504f3, 127 << 23]

/** x, or the bound that it is beyond; NaN becomes the upper one. */
const between = (x: Code, least: number, most: number, v: Making): Code => {
  const below = w.select(x, v.floats(most), w.less(x, v.floats(most)))
  return w.select(below, v.floats(least), w.more(below, v.floats(least)))
}
const splittable = (x: Code, v: Making): Code => between(x, 2 ** -MOST_POWER, 1, v)

/** The instructions of programs, each with the bits that ONNX Runtime gives on the processor. */
const OPERATIONS: Readonly<Record<string, Operation>> = {
  Add: two(w.add),
  Sub: two(w.sub),
  Mul: two(w.mul),
  Div: two(w.div),
  Neg: one(w.negate),
  Abs: one(w.abs),
  Sqrt: one(w.sqrt),
  Round: ([x], v) => w.sub(w.add(x!, v.floats(WHOLE)), v.floats(WHOLE)),
  TwoTo: ([x], v) => {
    const within = between(x!, -MOST_POWER, MOST_POWER, v)
    return w.addWords(w.shiftLeft(w.add(within, v.floats(WHOLE)), 23), v.words(ONE))
  },
  // Bits of numbers grow with them, so what is at or above a power of two times √½ is found by the bits above those of √½.
  Exponent: ([x], v) => w.fromSigned(w.shiftRightSigned(w.subWords(splittable(x!, v), v.words(ROOT_HALF)), 23)),
  Mantissa: ([x], v) => {
    const within = splittable(x!, v)
    return w.subWords(within, w.and(w.subWords(within, v.words(ROOT_HALF)), v.words(0xff800000)))
  },
  Min: extreme(w.lesser),
  Max: extreme(w.greater),
  Greater: two(w.more),
  GreaterOrEqual: two(w.atLeast),
  Less: two(w.less),
  LessOrEqual: two(w.atMost),
  Equal: two(w.equal),
  And: two(w.and),
  Or: two(w.or),
  Xor: two(w.xor),
  Not: one(w.not),
  // Of what is chosen first -0 becomes 0.
  Where: ([mask, yes, no], v) => w.select(w.add(yes!, v.floats(0)), no!, mask!),
  Cast: ([x], v) => (v.instruction.to === 'bool' ? w.unequal(x!, v.floats(0)) : w.and(x!, v.floats(1))),
  Encode: same,
  Expand: same,
  Identity: same,
}
