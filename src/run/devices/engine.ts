import type { Tensor } from 'onnxruntime-node'
import { deviceFailed, deviceOutOfMemory } from '../../base/catalogue/devices.js'
import type { Diagnostic } from '../../base/diagnostic.js'
import type { Program } from '../../graph/program.js'
import { createSession, type Session } from '../sessions.js'
import { indexOf, LEAST_CHUNK, providerOf, type Device } from './device.js'
import { createPinning, type Pinning } from './pinning.js'

/** A device as one worker uses it. */
export interface Engine {
  /** The programs as the device runs them. */
  readonly programs: readonly Program[]
  /** Elements of one run; fewer once the device has run out of memory. */
  readonly chunk: number
  /** True where memory that is handed to `pin` is copied faster. */
  readonly pins: boolean
  /**
   * Keeps pages in memory, so that the device reads and writes them by itself. `view` is whole pages, and lives until
   * the engine is closed.
   */
  pin(view: Uint8Array): void
  /** Has to be told when memory of which parts are pinned may have grown, before the next run. */
  grown(buffer: ArrayBuffer): void
  /**
   * Runs a program; numbers land in `results`. `again`: nothing was done, since a chunk was too large, and chunks are
   * smaller now.
   */
  run(
    program: number,
    feeds: Readonly<Record<string, Tensor>>,
    results: Readonly<Record<string, Tensor>>,
  ): Promise<'done' | 'again' | Diagnostic>
  close(): Promise<void>
}

/** What an engine is made of; the thread that starts it has to have opened the device. */
export interface EngineOptions {
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
export const createEngine = (
  { device, programs, models, chunk: most, runtime }: EngineOptions,
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
  return {
    programs,
    get chunk() {
      return chunk
    },
    pins: pinning !== undefined,
    pin: (view) => void pinning?.pin(view),
    grown: (buffer) => pinning?.check(buffer),
    run: async (program, feeds, results) => {
      try {
        await (await sessionOf(program)).run(feeds, results)
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
