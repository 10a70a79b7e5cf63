import { encodeOnnx } from '#src/graph/onnx.js'
import type { Instruction, Port, PortType, Program, ValueType } from '#src/graph/program.js'

const COMPARISONS = ['Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual', 'Equal']
/** Every type that a value of a program may have. */
export const TYPES: readonly ValueType[] = [
  'bool',
  'u8',
  'i8',
  'u16',
  'i16',
  'u32',
  'i32',
  'u64',
  'i64',
  'f16',
  'f32',
  'f64',
  'bf16',
]

/**
 * Every kernel a provider could have of the ops programs use, and of some that it would be good to have; most of them
 * exist nowhere.
 */
export const CANDIDATES: readonly string[] = [
  ...['Cast', 'BitCast'].flatMap((op) => TYPES.flatMap((from) => TYPES.map((to) => `${op} ${from}>${to}`))),
  ...['Abs', 'Neg', 'Sqrt', 'Not', 'Identity', 'BitwiseNot'].flatMap((op) => TYPES.map((type) => `${op} ${type}`)),
  ...[
    'Add',
    'Sub',
    'Mul',
    'Div',
    'Min',
    'Max',
    ...COMPARISONS,
    'And',
    'Or',
    'Xor',
    'BitwiseAnd',
    'BitwiseOr',
    'BitwiseXor',
  ].flatMap((op) => TYPES.map((type) => `${op} ${type},${type}`)),
  ...TYPES.map((type) => `Where bool,${type},${type}`),
  ...TYPES.map((type) => `Expand ${type},i64`),
  ...TYPES.flatMap((type) => [`Gather ${type},i32`, `Gather ${type},i64`]),
]

/**
 * A kernel as a program of its own. bfloat16 cannot be fed or handed out, so it is cast from and to float32 around it.
 */
export const programOf = (kernel: string): Program => {
  const [op, signature] = kernel.split(' ') as [string, string]
  const [list, to] = signature.split('>') as [string, ValueType | undefined]
  const types = list.split(',') as ValueType[]
  const made = to ?? (COMPARISONS.includes(op) ? 'bool' : op === 'Where' ? types[1]! : types[0]!)
  const outside = (type: ValueType): PortType => (type === 'bf16' ? 'f32' : type)
  const rankOf = (i: number): 0 | 1 => (op === 'Expand' && i === 0 ? 0 : 1)
  const inputs = types.map((type, i): Port => ({
    name: op === 'Expand' && i === 1 ? 'n' : `x${i}`,
    type: outside(type),
    rank: rankOf(i),
  }))
  const before = types.flatMap((type, i): Instruction[] =>
    type === 'bf16' ? [{ op: 'Cast', inputs: [`x${i}`], output: `b${i}`, to: 'bf16' }] : [],
  )
  const after: Instruction[] = made === 'bf16' ? [{ op: 'Cast', inputs: ['o'], output: 'p', to: 'f32' }] : []
  const fed = types.map((type, i) => (type === 'bf16' ? `b${i}` : inputs[i]!.name))
  return {
    key: kernel,
    inputs,
    outputs: [{ name: after.length > 0 ? 'p' : 'o', type: outside(made), rank: 1 }],
    instructions: [...before, { op, inputs: fed, output: 'o', ...(to === undefined ? {} : { to }) }, ...after],
  }
}

/** The ONNX model of a kernel. */
export const modelOf = (kernel: string): Uint8Array => encodeOnnx(programOf(kernel), {})
