import { constants } from 'node:os'

/** The signals by which people and schedulers stop programs. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
type Signal = (typeof SIGNALS)[number]

/** A stop that may be asked for while something runs. */
export interface Interruption {
  readonly signal: AbortSignal
  /**
   * The exit code of a command that stopped because of it (128 and the signal's number); undefined while nobody asked.
   */
  readonly exitCode: number | undefined
  /** Gives the signals their default effect back. */
  end(): void
}

/**
 * Listens for the first signal, which asks for a stop; the second has its default effect, which ends the process at
 * once, after `dying`.
 * Never by `process.exit`, which would abort inside ONNX Runtime instead of ending.
 */
export const listenForStop = (asked: (signal: Signal) => void, dying: () => void = () => undefined): Interruption => {
  const controller = new AbortController()
  let exitCode: number | undefined
  const end = (): void => SIGNALS.forEach((name) => process.removeListener(name, hear))
  const hear = (name: Signal): void => {
    if (exitCode !== undefined) {
      end()
      dying()
      process.kill(process.pid, name)
      return
    }
    exitCode = 128 + constants.signals[name]
    asked(name)
    controller.abort()
  }
  SIGNALS.forEach((name) => process.on(name, hear))
  return {
    signal: controller.signal,
    get exitCode() {
      return exitCode
    },
    end,
  }
}

/** Waits so many seconds, or until a signal, or until `wake` calls what it is given. */
export const sleepUnless = (
  signal: AbortSignal | undefined,
  seconds: number,
  wake: (awake: () => void) => void = () => undefined,
): Promise<void> =>
  new Promise((done) => {
    if (signal?.aborted === true) return done()
    const end = (): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', end)
      done()
    }
    const timer = setTimeout(end, seconds * 1000)
    signal?.addEventListener('abort', end)
    wake(end)
  })
