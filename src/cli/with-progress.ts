import type { RunOptions } from '../run/options.js'
import { createProgressLine } from '../view/progress-line.js'
import type { Console } from './console.js'
import { listenForStop } from './signals.js'

/** Milliseconds between two looks at what is to be drawn. */
export const TICK = 100

/** The line of progress of a console; a quiet one writes nothing. */
export const progressLineOn = (console: Console, quiet = false): ReturnType<typeof createProgressLine> =>
  createProgressLine({
    terminal: console.errRedraws,
    write: quiet ? () => undefined : console.err,
    columns: () => console.look('err').width,
    now: () => performance.now(),
  })

/**
 * Runs on the processor under the signals of the terminal, with a line that shows progress. `exitCode` is that of a
 * signal which came meanwhile.
 */
export const withProgress = async <T>(
  console: Console,
  workers: number,
  work: (options: RunOptions & Required<Pick<RunOptions, 'listener'>>) => Promise<T>,
  quiet = false,
): Promise<{ readonly result: T; readonly exitCode: number | undefined }> => {
  const line = progressLineOn(console, quiet)
  const interruption = listenForStop(line.clear)
  const ticking = setInterval(line.tick, TICK)
  try {
    const result = await work({ workers, device: 'cpu', signal: interruption.signal, listener: line.hear })
    return { result, exitCode: interruption.exitCode }
  } finally {
    clearInterval(ticking)
    line.clear()
    interruption.end()
  }
}
