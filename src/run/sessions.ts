import { env, InferenceSession, Tensor } from 'onnxruntime-node'
import type { Port } from '../graph/program.js'
import { indexOf, providerOf, type Device } from './devices/device.js'
import { PORT_TYPES, type Numbers } from './port-types.js'

// What goes wrong is thrown and told in other words; the library would print it too.
env.logLevel = 'fatal'

/**
 * Makes tensors of f16 hold a Uint16Array: ONNX Runtime 1.30 makes it a Float16Array where JavaScript has one (Node.js
 * 24), in which its native part finds no numbers. It decides at the first tensor.
 */
const keepHalvesAsBits = (): void => {
  const halves = Reflect.getOwnPropertyDescriptor(globalThis, 'Float16Array')
  if (halves === undefined) return
  Reflect.deleteProperty(globalThis, 'Float16Array')
  new Tensor('float16', new Uint16Array(1), [1]).dispose()
  Reflect.defineProperty(globalThis, 'Float16Array', halves)
}
keepHalvesAsBits()

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
