import type { Dtype } from '../tensor/dtype.js'
import { lowerPowers } from './lower-powers.js'
import { STORED, ZERO, type Instruction, type Program, type ValueType } from './program.js'

/** The execution providers of ONNX Runtime that can run programs. */
export type Provider = 'cpu' | 'cuda' | 'webgpu'

/**
 * How stored numbers become float32: by a cast, by reinterpreting their bits, by a table lookup, or on the host before
 * they are fed.
 */
type Decoding = 'cast' | 'bits' | 'table' | 'host'
/**
 * How float32 becomes stored numbers: by a cast, by a cast whose bits are returned, or on the host after they are
 * returned.
 */
type Encoding = 'cast' | 'bits' | 'host'

/** What differs between providers: how numbers enter and leave a program, and which instructions are replaced. */
interface Conversions {
  readonly decodingOf: (dtype: Dtype) => Decoding
  readonly encodingOf: (dtype: Dtype) => Encoding
  /** The replacement for an instruction without a kernel; `isMask` if its result is a mask that the program returns. */
  readonly rewrite: (instruction: Instruction, emit: Emit, isMask: boolean) => Instruction | undefined
}

/** Adds an instruction and gives the name of its result. */
type Emit = (op: string, inputs: readonly string[], to?: ValueType) => string

/** The CPU's `Where` turns a -0 of its first choice into 0. Adding 0 does the same, and changes nothing else. */
const whereAsOnCpu = ({ op, inputs: [mask, yes, no], output }: Instruction, emit: Emit): Instruction | undefined =>
  op === 'Where' ? { op, inputs: [mask!, emit('Add', [yes!, ZERO]), no!], output } : undefined

const isEightBit = (dtype: Dtype): boolean => dtype === 'F8_E4M3' || dtype === 'F8_E5M2'
const unchanged = (): undefined => undefined

/** The dtypes that WebGPU's provider can cast to float32; it has no other integers, and no bfloat16 or float64. */
const WEBGPU_CASTS: readonly Dtype[] = ['F16', 'U8', 'BOOL', 'U32', 'I32']

const CONVERSIONS: Readonly<Record<Provider, Conversions>> = {
  cpu: {
    decodingOf: (dtype) => (isEightBit(dtype) ? 'table' : dtype === 'BF16' ? 'bits' : 'cast'),
    // No provider returns 8-bit floats, and integer outputs are too few to need a kernel.
    encodingOf: (dtype) => (isEightBit(dtype) || dtype === 'I64' ? 'host' : dtype === 'BF16' ? 'bits' : 'cast'),
    rewrite: unchanged,
  },
  // CUDA has no BitCast: bfloat16 is fed as 16 bits, which a table on the device decodes. It is returned as float32,
  // since nothing on the device can give its bits.
  cuda: {
    decodingOf: (dtype) => (isEightBit(dtype) || dtype === 'BF16' ? 'table' : 'cast'),
    encodingOf: (dtype) => (isEightBit(dtype) || dtype === 'BF16' || dtype === 'I64' ? 'host' : 'cast'),
    rewrite: whereAsOnCpu,
  },
  webgpu: {
    decodingOf: (dtype) => (WEBGPU_CASTS.includes(dtype) ? 'cast' : 'host'),
    encodingOf: (dtype) => (dtype === 'F16' ? 'cast' : 'host'),
    rewrite: (instruction, emit, isMask) => {
      const { op, inputs, output } = instruction
      const [x, y] = [inputs[0]!, inputs[1]!]
      if (op === 'Identity' && isMask) return { op: 'Where', inputs: [x, x, x], output }
      if (op === 'Or') return { op: 'Where', inputs: [x, x, y], output }
      return op === 'Xor' ? { op: 'Where', inputs: [x, emit('Not', [y]), y], output } : whereAsOnCpu(instruction, emit)
    },
  },
}

/** True if the host decodes stored numbers to float32 before they are fed. */
export const isDecodedByHost = (provider: Provider, dtype: Dtype): boolean =>
  dtype !== 'F32' && CONVERSIONS[provider].decodingOf(dtype) === 'host'

/** True if the host encodes float32 after the program has returned it. */
export const isEncodedByHost = (provider: Provider, dtype: Dtype): boolean =>
  dtype !== 'F32' && dtype !== 'BOOL' && CONVERSIONS[provider].encodingOf(dtype) === 'host'

/**
 * The program as one provider runs it: ONNX nodes only. If a port of float32 stands for another dtype, the host decodes
 * or encodes it.
 */
export const lowerFor = (provider: Provider, program: Program): Program => {
  const { decodingOf, encodingOf, rewrite } = CONVERSIONS[provider]
  const instructions: Instruction[] = []
  const inputs = new Map(program.inputs.map((p) => [p.name, p] as const))
  const outputs = new Map(program.outputs.map((p) => [p.name, p] as const))
  let made = 0
  const emit: Emit = (op, from, to) => {
    const output = `w${made++}`
    instructions.push({ op, inputs: from, output, ...(to === undefined ? {} : { to }) })
    return output
  }
  const decodedByHost = (port: string): void => void inputs.set(port, { ...inputs.get(port)!, type: 'f32' })

  const decode = ({ inputs: [port], output, dtype }: Instruction): Instruction => {
    switch (decodingOf(dtype!)) {
      case 'cast':
        return { op: 'Cast', inputs: [port!], output, to: 'f32' }
      case 'bits':
        return { op: 'Cast', inputs: [emit('BitCast', [port!], 'bf16')], output, to: 'f32' }
      case 'table':
        return { op: 'Gather', inputs: [dtype!, emit('Cast', [port!], 'i32')], output }
      case 'host': {
        decodedByHost(port!)
        return { op: 'Identity', inputs: [port!], output }
      }
    }
  }
  const decodeMask = (instruction: Instruction): Instruction => {
    const [port] = instruction.inputs
    if (decodingOf(instruction.dtype!) === 'cast')
      return { op: 'Cast', inputs: [port!], output: instruction.output, to: 'bool' }
    const numbers = decode({ ...instruction, output: `w${made++}` })
    instructions.push(numbers)
    return { op: 'Cast', inputs: [numbers.output], output: instruction.output, to: 'bool' }
  }
  const encode = ({ inputs: [value], output, dtype }: Instruction): Instruction => {
    switch (encodingOf(dtype!)) {
      case 'cast':
        return { op: 'Cast', inputs: [value!], output, to: STORED[dtype!] }
      case 'bits':
        return { op: 'BitCast', inputs: [emit('Cast', [value!], 'bf16')], output, to: STORED[dtype!] }
      case 'host': {
        outputs.set(output, { ...outputs.get(output)!, type: 'f32' })
        return { op: 'Identity', inputs: [value!], output }
      }
    }
  }
  const lowerPower = lowerPowers(emit)
  for (const instruction of program.instructions) {
    const lowered =
      instruction.op === 'Decode'
        ? decode(instruction)
        : instruction.op === 'DecodeMask'
          ? decodeMask(instruction)
          : instruction.op === 'Encode'
            ? encode(instruction)
            : (lowerPower(instruction) ??
              rewrite(instruction, emit, outputs.get(instruction.output)?.type === 'bool') ??
              instruction)
    instructions.push(lowered)
  }
  return { key: program.key, inputs: [...inputs.values()], outputs: [...outputs.values()], instructions }
}

/** The types of everything a lowered program names. */
const typesOf = (program: Program): ReadonlyMap<string, ValueType> => {
  const types = new Map<string, ValueType>(program.inputs.map((p) => [p.name, p.type]))
  const typeOf = (name: string): ValueType => types.get(name) ?? 'f32'
  for (const { op, inputs, output, to } of program.instructions) {
    types.set(output, to ?? (COMPARISONS.has(op) ? 'bool' : op === 'Where' ? typeOf(inputs[1]!) : typeOf(inputs[0]!)))
  }
  return types
}

const COMPARISONS: ReadonlySet<string> = new Set(['Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual', 'Equal'])

/**
 * The kernels that a lowered program needs, each once: the operation, the types of its inputs, and the target of a
 * cast, as in `Cast f16>f32`.
 */
export const kernelsOf = (program: Program): readonly string[] => {
  const types = typesOf(program)
  const typeOf = (name: string): ValueType => types.get(name) ?? 'f32'
  return [
    ...new Set(
      program.instructions.map(
        ({ op, inputs, to }) => `${op} ${inputs.map(typeOf).join()}${to === undefined ? '' : `>${to}`}`,
      ),
    ),
  ]
}
