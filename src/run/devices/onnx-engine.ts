import type { Tensor } from 'onnxruntime-node'
import { deviceFailed, deviceOutOfMemory } from '../../base/catalogue/devices.js'
import type { Port, Program } from '../../graph/program.js'
import type { Kernels } from '../../kernels/kernels.js'
import { PORT_TYPES, type Numbers } from '../port-types.js'
import { createSession, feed, type Session } from '../sessions.js'
import { indexOf, LEAST_CHUNK, providerOf, type Device } from './device.js'
import type { Engine, Frame } from './engine.js'
import { createPinning, type Pinning } from './pinning.js'

/** ONNX Runtime on a device, which the thread that starts it has to have opened. */
export interface OnnxOptions {
  readonly type: 'onnx'
  readonly device: Device
  readonly programs: readonly Program[]
  /** Parallel to `programs`: their ONNX bytes. */
  readonly models: readonly Uint8Array[]
  readonly chunk: number
  /** Path of CUDA's runtime library, where memory is to be pinned. */
  readonly runtime?: string
}

const OUT_OF_MEMORY =
  /out of memory|failed to allocate memory|bad allocation|bad_alloc|CUDA failure 2\b|smaller than requested bytes|CUBLAS_STATUS_(ALLOC_FAILED|NOT_INITIALIZED)/i

/** True for what ONNX Runtime says where a device has no room left. */
export const isOutOfMemory = (message: string): boolean => OUT_OF_MEMORY.test(message)

/** What ONNX Runtime says went wrong, without names of machines and places in its source. */
const reasonOf = (message: string): string =>
  (
    /\b[A-Z]+ failure \d+: [^;\n]*/.exec(message)?.[0] ??
    message
      .split('\n')[0]!
      .replaceAll(/\S*\/\S*/g, '')
      .slice(0, 300)
  ).trim()

/** Sets up the sessions of one worker; each is made, by `open`, when it is first needed and kept. */
export const createOnnxEngine = (
  { device, programs, models, chunk: most, runtime }: OnnxOptions,
  kernels: Kernels,
  open: (program: number) => Promise<Session> = (program) => createSession(models[program]!, device),
): Engine => {
  const sessions = new Map<number, Session>()
  const pinning: Pinning | undefined = runtime === undefined ? undefined : createPinning(runtime, indexOf(device))
  let chunk = most

  const sessionOf = async (program: number): Promise<Session> => {
    const session = sessions.get(program) ?? (await open(program))
    sessions.set(program, session)
    return session
  }
  /** Gives back all memory of the device that this worker holds: an arena never shrinks by itself. */
  const releaseAll = async (): Promise<void> => {
    const held = [...sessions.values()]
    sessions.clear()
    for (const session of held) await session.release()
  }
  const numbersAt = (port: Port, offset: number, length: number): Tensor =>
    feed(port, kernels.view(PORT_TYPES[port.type].array as never, offset, length) as Numbers)
  const run = async (program: number, { inputs, scalars, outputs, length }: Frame): Promise<void> => {
    const { inputs: ports, outputs: results } = programs[program]!
    const fed = ports.map((port, i): Tensor => {
      if (i < inputs.length) return numbersAt(port, inputs[i]!, length)
      const scalar = scalars[i - inputs.length]
      return feed(port, scalar === undefined ? BigInt64Array.of(BigInt(length)) : Float32Array.of(scalar))
    })
    await (
      await sessionOf(program)
    ).run(
      Object.fromEntries(ports.map((port, i) => [port.name, fed[i]!])),
      Object.fromEntries(results.map((port, i) => [port.name, numbersAt(port, outputs[i]!, length)])),
    )
  }
  return {
    programs,
    get chunk() {
      return chunk
    },
    takesBlocks: false,
    pins: pinning !== undefined,
    pin: (view) => void pinning?.pin(view),
    grown: (buffer) => pinning?.check(buffer),
    run: async (program, frame) => {
      try {
        await run(program, frame)
        return 'done'
      } catch (error) {
        if (providerOf(device) === 'cpu') throw error
        const message = error instanceof Error ? error.message : String(error)
        if (!isOutOfMemory(message)) return deviceFailed(device, reasonOf(message))
        await releaseAll()
        if (chunk / 2 < LEAST_CHUNK) return deviceOutOfMemory(device, chunk)
        chunk /= 2
        return 'again'
      }
    },
    close: async () => {
      await releaseAll()
      pinning?.release()
    },
  }
}
