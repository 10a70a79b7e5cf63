import { signed, unsigned, type Code } from './wasm-module.js'

/** Instructions of WebAssembly on four lanes of 32 bits, as code that leaves one value; operands are such code too. */

const simd = (opcode: number): Code => [0xfd, unsigned(opcode)]
const unary =
  (opcode: number) =>
  (x: Code): Code => [x, simd(opcode)]
const binary =
  (opcode: number) =>
  (x: Code, y: Code): Code => [x, y, simd(opcode)]
const shift =
  (opcode: number) =>
  (x: Code, bits: number): Code => [x, i32(bits), simd(opcode)]
/** Access to memory at an address and a fixed distance from it; nothing is known of the alignment. */
const load =
  (opcode: number) =>
  (address: Code, offset: number): Code => [address, simd(opcode), 0, unsigned(offset)]

export const get = (local: number): Code => [0x20, unsigned(local)]
export const set = (local: number, value: Code): Code => [value, 0x21, unsigned(local)]

export const getGlobal = (global: number): Code => [0x23, unsigned(global)]

export const i32 = (value: number): Code => [0x41, signed(value)]
/** Adds to a local, given by the code that gets it. */
export const addTo = (local: Code, value: number): Code => [local, i32(value), 0x6a, 0x21, ...local.slice(1)]
export const loadI32 = (address: Code, offset: number): Code => [address, 0x28, 0, unsigned(offset)]
/** Signed: 0 and less ends a count down. */
export const moreI32 = (x: Code, y: Code): Code => [x, y, 0x4a]
/** Runs `body` as long as `condition` holds at its start. */
export const whileLoop = (condition: Code, body: Code): Code =>
  // block { loop { if not condition leave; body; again } }
  [0x02, 0x40, 0x03, 0x40, condition, 0x45, 0x0d, 1, body, 0x0c, 0, 0x0b, 0x0b]

/** The same 32 bits in each lane. */
export const constant = (word: number): Code => {
  const bytes = [...new Uint8Array(Uint32Array.of(word).buffer)]
  return [simd(12), bytes, bytes, bytes, bytes]
}

export const load128 = load(0)
export const load4Signed8 = (address: Code, offset: number): Code => [load(92)(address, offset), simd(0x87), simd(0xa7)]
export const load4Unsigned8 = (address: Code, offset: number): Code => [
  load(92)(address, offset),
  simd(0x89),
  simd(0xa9),
]
export const load4Signed16 = load(3)
export const load4Unsigned16 = load(4)
/** A float32 of memory in each lane. */
export const loadSplat = load(9)

export const store128 = (address: Code, offset: number, value: Code): Code => [
  address,
  value,
  simd(11),
  0,
  unsigned(offset),
]
const storeLane =
  (opcode: number) =>
  (address: Code, offset: number, value: Code): Code => [address, value, simd(opcode), 0, unsigned(offset), 0]
/** The first eight bytes. */
export const store64 = storeLane(91)
/** The first four bytes. */
export const store32 = storeLane(90)

export const and = binary(78)
export const or = binary(80)
export const xor = binary(81)
export const not = unary(77)
/** Bits of `yes` where `mask` has ones, of `no` elsewhere. */
export const select = (yes: Code, no: Code, mask: Code): Code => [yes, no, mask, simd(82)]

export const shiftLeft = shift(0xab)
/** Zeros come in from above. */
export const shiftRight = shift(0xad)
/** The sign comes in from above. */
export const shiftRightSigned = shift(0xac)
export const addWords = binary(0xae)
export const subWords = binary(0xb1)
export const minWords = binary(0xb6)
export const unequalWords = binary(56)
export const lessWords = binary(57)
export const moreWords = binary(59)
export const atLeastWords = binary(63)

export const equal = binary(65)
export const unequal = binary(66)
/** On two float64; both halves of a lane of 64 bits have the answer. */
export const unequal64 = binary(72)
export const less = binary(67)
export const more = binary(68)
export const atMost = binary(69)
export const atLeast = binary(70)
export const abs = unary(0xe0)
export const negate = unary(0xe1)
export const sqrt = unary(0xe3)
export const add = binary(0xe4)
export const sub = binary(0xe5)
export const mul = binary(0xe6)
export const div = binary(0xe7)
/** `y < x ? y : x`, in one instruction of the processor: x where one is NaN. */
export const lesser = binary(0xea)
/** `x < y ? y : x`, in one instruction of the processor: x where one is NaN. */
export const greater = binary(0xeb)
export const fromSigned = unary(0xfa)
export const fromUnsigned = unary(0xfb)

/** Eight lanes of 16 bits from two times four that hold numbers below 2^16. */
export const narrowTo16 = binary(0x86)
/** The lowest byte of each lane, in the first four bytes. */
export const takeLowBytes = (x: Code): Code => [x, x, simd(13), ...[0, 1, 2, 3].flatMap(() => [0, 4, 8, 12])]

/** Two float64, in the first two lanes, as float32. */
export const demote = unary(94)
/** The first two float32 as float64. */
export const promote = unary(95)
/** Four lanes, chosen by number from four of `x` (0 to 3) and four of `y` (4 to 7). */
export const shuffle = (x: Code, y: Code, chosen: readonly number[]): Code => [
  x,
  y,
  simd(13),
  ...chosen.flatMap((lane) => [0, 1, 2, 3].map((byte) => 4 * lane + byte)),
]

const LANES = [0, 1, 2, 3]
/** Four 64-bit integers of memory as float32, each rounded once. */
export const loadWide = (address: Code, isSigned: boolean): Code =>
  LANES.reduce<Code>(
    (code, lane) => [code, address, 0x29, 0, unsigned(8 * lane), isSigned ? 0xb4 : 0xb5, simd(32), lane],
    constant(0),
  )
/** Stores four float32 as 64-bit integers, rounded toward 0. */
export const storeWide = (address: Code, value: Code): Code =>
  LANES.flatMap((lane) => [address, value, simd(31), lane, 0xfc, 4, 0x37, 0, unsigned(8 * lane)])
