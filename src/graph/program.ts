import type { Dtype } from '../tensor/dtype.js'
import type { BlockGrid } from '../tensor/block-grid.js'
import type { Comparison, Logic, Stream, TensorOp, Vector } from './expression.js'
import type { Product } from './products.js'

/** The type of a port's numbers between JavaScript and ONNX Runtime. */
export type PortType = 'bool' | 'u8' | 'i8' | 'u16' | 'i16' | 'u32' | 'i32' | 'u64' | 'i64' | 'f16' | 'f32' | 'f64'

/** One input or output of a program; `rank` 1 is one value per element of the chunk, 0 one value in all. */
export interface Port {
  readonly name: string
  readonly type: PortType
  readonly rank: 0 | 1
}

/** What a value inside a program may hold. */
export type ValueType = PortType | 'bf16'

/**
 * One operation of a program: an ONNX node, or one that each device does in its own way: `Decode` of stored numbers to
 * float32, `DecodeMask` to whether they are not 0, `Encode` of float32 to a stored `dtype`, and those of powers of two.
 */
export interface Instruction {
  readonly op: string
  readonly inputs: readonly string[]
  readonly output: string
  /** The target of a cast. */
  readonly to?: ValueType
  readonly dtype?: Dtype
}

/** A fused elementwise program: structure only. Every number that differs between tensors is an input. */
export interface Program {
  /** Equal for programs of equal structure, which share a session. */
  readonly key: string
  readonly inputs: readonly Port[]
  readonly outputs: readonly Port[]
  readonly instructions: readonly Instruction[]
}

/** Numbers the host generates for each chunk. */
export type GeneratedInput =
  | { readonly type: 'bernoulli'; readonly p: number; readonly stream: Stream }
  | { readonly type: 'normal' | 'uniform'; readonly stream: Stream }
  | { readonly type: 'constant'; readonly value: boolean }
  | { readonly type: 'position'; readonly stride: number; readonly length: number }
  | { readonly type: 'product'; readonly product: Product }
  | { readonly type: 'spread'; readonly vector: Vector; readonly grid: BlockGrid }

/** The port type of each dtype when stored numbers are fed unchanged. */
export const STORED: Readonly<Record<Dtype, PortType>> = {
  BOOL: 'u8',
  F4: 'u8',
  F6_E2M3: 'u8',
  F6_E3M2: 'u8',
  U8: 'u8',
  I8: 'i8',
  F8_E5M2: 'u8',
  F8_E4M3: 'u8',
  F8_E8M0: 'u8',
  F8_E4M3FNUZ: 'u8',
  F8_E5M2FNUZ: 'u8',
  I16: 'i16',
  U16: 'u16',
  F16: 'f16',
  BF16: 'u16',
  I32: 'i32',
  U32: 'u32',
  F32: 'f32',
  C64: 'u64',
  F64: 'f64',
  I64: 'i64',
  U64: 'u64',
}

/** The name of the number 0, which programs may use without feeding it. */
export const ZERO = 'zero'

/** The name of another number, which only lowered programs use. */
export const numberName = (value: number): string => `=${Math.fround(value)}`

/** The number of such a name; undefined for other names. */
export const namedNumber = (name: string): number | undefined =>
  name.startsWith('=') ? Number(name.slice(1)) : undefined

/** Bytes of one number of each type. */
export const VALUE_BYTES: Readonly<Record<ValueType, number>> = {
  bool: 1,
  u8: 1,
  i8: 1,
  u16: 2,
  i16: 2,
  f16: 2,
  bf16: 2,
  u32: 4,
  i32: 4,
  f32: 4,
  u64: 8,
  i64: 8,
  f64: 8,
}

/** The operations of instructions, by those of expressions; what is no ONNX node is made of some in `lower.ts`. */
export const APPLY: Readonly<Record<Exclude<TensorOp, 'sign'>, string>> = {
  add: 'Add',
  sub: 'Sub',
  mul: 'Mul',
  div: 'Div',
  neg: 'Neg',
  abs: 'Abs',
  sqrt: 'Sqrt',
  min: 'Min',
  max: 'Max',
  round: 'Round',
  'two-to': 'TwoTo',
  exponent: 'Exponent',
  mantissa: 'Mantissa',
}
export const COMPARE: Readonly<Record<Comparison, string>> = {
  greater: 'Greater',
  'greater-equal': 'GreaterOrEqual',
  less: 'Less',
  'less-equal': 'LessOrEqual',
  equal: 'Equal',
}
export const LOGIC: Readonly<Record<Logic, string>> = { and: 'And', or: 'Or', xor: 'Xor', not: 'Not' }

/** Powers of two are made from −126 to 126; numbers are split from 2⁻¹²⁶ to 1. What is beyond counts as the bound, and NaN as the upper one. */
export const MOST_POWER = 126
