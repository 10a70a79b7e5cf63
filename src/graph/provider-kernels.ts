/** The GPU providers of ONNX Runtime, by its names for them. The CPU provider has no table: it has every kernel. */
export type GpuProvider = 'cuda' | 'webgpu'

/**
 * What one provider computes itself: an op with the lists of its input types, each followed by `>` and the target where
 * the op has one.
 */
type Kernels = Readonly<Record<string, readonly string[]>>

const words = (text: string): readonly string[] => text.split(' ')

/** One list of `arity` equal types for each type. */
const alike = (types: string, arity: number): readonly string[] =>
  words(types).map((type) => Array.from({ length: arity }, () => type).join())

const each = (ops: string, lists: readonly string[]): Kernels => Object.fromEntries(words(ops).map((op) => [op, lists]))

const casts = (types: string): readonly string[] =>
  words(types).flatMap((from) => words(types).map((to) => `${from}>${to}`))

const indexed = (types: string, indices: string): readonly string[] =>
  words(types).flatMap((type) => words(indices).map((index) => `${type},${index}`))

const chosen = (types: string): readonly string[] => words(types).map((type) => `bool,${type},${type}`)

const EVERY = 'bool u8 i8 u16 i16 u32 i32 u64 i64 f16 f32 f64 bf16'
const WIDE = 'f32 f16 f64 i32 i64 u32 u64'
const SHADER = 'f32 f16 i32 u32'
const SHADER_STORED = `${SHADER} u8 bool`

/**
 * Recorded on the providers of ONNX Runtime 1.30.0 at opset 26, by creating and running a session for each kernel
 * without fallback to the CPU. Only ops that programs use are listed. The device tests check the list.
 */
const RECORDED: Readonly<Record<GpuProvider, Kernels>> = {
  cuda: {
    Cast: casts(EVERY),
    ...each('Identity', words(EVERY)),
    ...each('Abs', words('u8 i8 u16 i16 u32 i32 u64 i64 f16 f32 f64 bf16')),
    ...each('Neg', words('i8 i16 i32 i64 f16 f32 f64 bf16')),
    ...each('Sqrt', words('f16 f32 f64 bf16')),
    ...each('Add Sub Mul Div', alike('u8 i8 u16 i16 u32 i32 u64 i64 f16 f32 f64 bf16', 2)),
    ...each('Min Max', alike(`${WIDE} bf16`, 2)),
    ...each('Greater GreaterOrEqual Less LessOrEqual', alike(WIDE, 2)),
    ...each('Equal', alike(`${WIDE} bool`, 2)),
    ...each('And Or Xor', alike('bool', 2)),
    Not: ['bool'],
    Where: chosen('f32 f16 f64 bf16 u8 i32 i64'),
    Expand: indexed(EVERY, 'i64'),
    Gather: indexed(EVERY, 'i32 i64'),
  },
  webgpu: {
    Cast: [...casts(SHADER_STORED), ...words(SHADER_STORED).map((from) => `${from}>i64`)],
    ...each('Identity', words(SHADER)),
    ...each('Abs Neg Sqrt', words('f32 f16')),
    ...each('Add Sub Mul Div Min Max', alike(SHADER, 2)),
    ...each('Greater GreaterOrEqual Less LessOrEqual Equal', alike(SHADER, 2)),
    And: ['bool,bool'],
    Not: ['bool'],
    Where: chosen(`${SHADER} bool`),
    // Its Expand of u8 is placed, but fails when it is run.
    Expand: indexed(`${SHADER} bool`, 'i64'),
    Gather: indexed(SHADER_STORED, 'i32 i64'),
  },
}

/**
 * The kernels of a provider, such as `Cast f32>bf16` and `Where bool,f32,f32`: an op, the types of its inputs, and the
 * target of a cast.
 */
export const recordedKernels = (provider: GpuProvider): readonly string[] =>
  Object.entries(RECORDED[provider]).flatMap(([op, lists]) => lists.map((list) => `${op} ${list}`))

const known: Readonly<Record<GpuProvider, ReadonlySet<string>>> = {
  cuda: new Set(recordedKernels('cuda')),
  webgpu: new Set(recordedKernels('webgpu')),
}

/**
 * Whether a provider has a kernel, named as in `recordedKernels`. ONNX Runtime would silently run a missing one on the
 * CPU.
 */
export const hasKernel = (provider: GpuProvider, kernel: string): boolean => known[provider].has(kernel)
