import { env, InferenceSession, Tensor } from 'onnxruntime-node'
import type { Port, PortType } from '../graph/program.js'
import { indexOf, providerOf, type Device } from './devices/device.js'

// What goes wrong is thrown and told in other words; the library would print it too.
env.logLevel = 'fatal'

/** A typed array ONNX Runtime takes. */
export type Numbers =
  | Float32Array
  | Float64Array
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | BigInt64Array
  | BigUint64Array

type ArrayType = {
  new (buffer: ArrayBufferLike, offset: number, length: number): Numbers
  readonly BYTES_PER_ELEMENT: number
}

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

/** A compiled program of one thread. */
export interface Session {
  /**
   * Runs it on `feeds`; the numbers land in `results`, which name every output and have their length. Throws what ONNX
   * Runtime says where it cannot.
   */
  run(feeds: Readonly<Record<string, Tensor>>, results: Readonly<Record<string, Tensor>>): Promise<void>
  /** Gives back what it holds of the device. */
  release(): Promise<void>
}

const providersOf = (device: Device): readonly InferenceSession.ExecutionProviderConfig[] => {
  const provider = providerOf(device)
  return [provider === 'cuda' ? { name: 'cuda', deviceId: indexOf(device) } : provider]
}

/**
 * Compiles an ONNX model for this thread and a device. One thread per session, or bits could depend on their number;
 * the basic
 * optimisations only, since the others replace nodes by fused ones that round differently. Throws where a device has no
 * kernel for a
 * node: nothing is handed to the processor unasked.
 */
export const createSession = async (model: Uint8Array, device: Device = 'cpu'): Promise<Session> => {
  const session = await InferenceSession.create(model, {
    executionProviders: providersOf(device),
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'basic',
    logSeverityLevel: 4,
    extra: {
      // It takes x + 0 for x, which is another number where x is -0.
      optimization: { disable_specified_optimizers: 'NoopElimination' },
      ...(device === 'cpu' ? {} : { session: { disable_cpu_ep_fallback: '1' } }),
    },
    // A device keeps one block of memory for each length it has met unless that is turned off.
    ...(device === 'cpu' ? {} : { enableMemPattern: false }),
  })
  return { run: async (feeds, results) => void (await session.run(feeds, results)), release: () => session.release() }
}
