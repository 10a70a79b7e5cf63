import { InferenceSession, Tensor } from 'onnxruntime-node'
import type { Port, PortType } from '../graph/program.js'

/** A typed array ONNX Runtime takes. */
export type Numbers = Float32Array | Float64Array | Uint8Array | Int8Array | Uint16Array | Int16Array | Uint32Array | Int32Array | BigInt64Array | BigUint64Array

type ArrayType = { new (buffer: ArrayBufferLike, offset: number, length: number): Numbers; readonly BYTES_PER_ELEMENT: number }

/** How each port type appears to ONNX Runtime and as a typed array; half floats travel as their bits. */
export const PORT_TYPES: Readonly<Record<PortType, { readonly ort: Tensor.Type; readonly array: ArrayType }>> = {
  bool: { ort: 'bool', array: Uint8Array },
  u8: { ort: 'uint8', array: Uint8Array },
  i8: { ort: 'int8', array: Int8Array },
  u16: { ort: 'uint16', array: Uint16Array },
  i16: { ort: 'int16', array: Int16Array },
  u32: { ort: 'uint32', array: Uint32Array },
  i32: { ort: 'int32', array: Int32Array },
  u64: { ort: 'uint64', array: BigUint64Array },
  i64: { ort: 'int64', array: BigInt64Array },
  f16: { ort: 'float16', array: Uint16Array },
  f32: { ort: 'float32', array: Float32Array },
  f64: { ort: 'float64', array: Float64Array },
}

/** Wraps numbers as an input of a port, without a copy. */
export const feed = (port: Port, numbers: Numbers): Tensor =>
  new Tensor(PORT_TYPES[port.type].ort, numbers as never, port.rank === 0 ? [] : [numbers.length])

/** Runs one fused program. The outputs are in the order of the program's. */
export type RunProgram = (feeds: Readonly<Record<string, Tensor>>) => Promise<Readonly<Record<string, Tensor>>>

/**
 * Compiles an ONNX model for this thread. One thread per session, or bits could depend on their number; the basic optimisations only,
 * since the others replace nodes by fused ones that round differently.
 */
export const createSession = async (model: Uint8Array): Promise<RunProgram> => {
  const session = await InferenceSession.create(model, {
    executionProviders: ['cpu'],
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'basic',
    logSeverityLevel: 3,
  })
  return (feeds) => session.run(feeds)
}
