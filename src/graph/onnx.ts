import { create, toBinary } from '@bufbuild/protobuf'
import { ModelProtoSchema } from 'onnx-buf'
import { namedNumber, ZERO, type Instruction, type Port, type Program, type ValueType } from './program.js'

/** ONNX element types. */
const ELEMENT: Readonly<Record<ValueType, number>> = {
  f32: 1,
  u8: 2,
  i8: 3,
  u16: 4,
  i16: 5,
  i32: 6,
  i64: 7,
  bool: 9,
  f16: 10,
  f64: 11,
  u32: 12,
  u64: 13,
  bf16: 16,
}
/** The first opset with BitCast, which lets bf16 cross the JavaScript boundary as u16. */
const OPSET = 26n
const IR_VERSION = 11n

const bytesOf = (a: Float32Array): Uint8Array<ArrayBuffer> => new Uint8Array(a.slice().buffer)

/** A tensor description; the chunk's length is symbolic, so one session serves every chunk. */
const valueInfo = (port: Port) => ({
  name: port.name,
  type: {
    value: {
      case: 'tensorType' as const,
      value: {
        elemType: ELEMENT[port.type],
        shape: {
          dim:
            port.rank === 0
              ? []
              : [
                  {
                    value:
                      port.name === 'n'
                        ? { case: 'dimValue' as const, value: 1n }
                        : { case: 'dimParam' as const, value: 'length' },
                  },
                ],
        },
      },
    },
  },
})

const INTEGER_ATTRIBUTE = 2
const attribute = (name: string, value: number) => ({ name, type: INTEGER_ATTRIBUTE, i: BigInt(value) })

const node = ({ op, inputs, output, to }: Instruction) => ({
  opType: op,
  input: [...inputs],
  output: [output],
  attribute: to !== undefined ? [attribute('to', ELEMENT[to])] : op === 'Gather' ? [attribute('axis', 0)] : [],
})

/** The numbers that a lowered program names, each once. */
const numbersIn = ({ instructions }: Program): readonly (readonly [name: string, value: number])[] =>
  [...new Set(instructions.flatMap(({ inputs }) => inputs))].flatMap((name) => {
    const value = namedNumber(name)
    return value === undefined ? [] : [[name, value] as const]
  })

/**
 * Serialises a lowered program as an ONNX model. `tables` are lookup tables by dtype, with a float32 for every code.
 */
export const encodeOnnx = (program: Program, tables: Readonly<Record<string, Float32Array>>): Uint8Array => {
  const constants = [
    ...Object.entries(tables).map(([name, numbers]) => ({
      name,
      dataType: ELEMENT.f32,
      dims: [BigInt(numbers.length)],
      rawData: bytesOf(numbers),
    })),
    { name: ZERO, dataType: ELEMENT.f32, dims: [], rawData: bytesOf(Float32Array.of(0)) },
    ...numbersIn(program).map(([name, value]) => ({
      name,
      dataType: ELEMENT.f32,
      dims: [],
      rawData: bytesOf(Float32Array.of(value)),
    })),
  ]
  const model = create(ModelProtoSchema, {
    irVersion: IR_VERSION,
    producerName: 'smelt',
    opsetImport: [{ domain: '', version: OPSET }],
    graph: {
      name: 'pass',
      node: program.instructions.map(node),
      input: program.inputs.map(valueInfo),
      output: program.outputs.map(valueInfo),
      initializer: constants.filter(({ name }) => program.instructions.some((i) => i.inputs.includes(name))),
    },
  })
  return toBinary(ModelProtoSchema, model)
}
