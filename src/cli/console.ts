import { outputLost } from '../base/catalogue/cli.js'
import { exitCode, type Diagnostic } from '../base/diagnostic.js'
import { escapeScreen } from '../base/excerpt.js'
import { renderDiagnostics } from '../base/screen.js'
import type { Look } from '../view/text.js'

/** A command's access to its environment. Data goes to `out`; progress, plans and problems go to `err`. */
export interface Console {
  readonly cwd: string
  out(text: string): void
  err(text: string): void
  /** How text on each stream is to look. */
  look(stream: 'out' | 'err'): Look
  /** True where a line can be redrawn. */
  readonly errRedraws: boolean
  /** Prints problems, if any. */
  tell(diagnostics: readonly Diagnostic[]): void
}

/** What decides about colour besides the terminal: `--color`, `--no-color`. */
export interface ColorChoice {
  readonly color: boolean | undefined
}

/** The width without a terminal, and of a terminal that does not report one. */
const [PLAIN_WIDTH, TERMINAL_WIDTH] = [100, 80]

/**
 * Colour: the command line decides, then NO_COLOR and FORCE_COLOR (any text but the empty one; `0` is no), then whether
 * a terminal that can is there.
 */
export const wantsColor = (
  env: Readonly<Record<string, string | undefined>>,
  isTerminal: boolean,
  chosen: boolean | undefined,
): boolean => {
  if (chosen !== undefined) return chosen
  const { NO_COLOR, FORCE_COLOR, TERM } = env
  if (NO_COLOR !== undefined && NO_COLOR !== '') return false
  if (FORCE_COLOR !== undefined && FORCE_COLOR !== '') return FORCE_COLOR !== '0' && FORCE_COLOR !== 'false'
  return isTerminal && TERM !== 'dumb'
}

/**
 * The console of this process. A closed pipe (`| head`) is not an error; any other failure to write standard output is.
 */
export const openConsole = (choice: ColorChoice): Console => {
  const streams = { out: process.stdout, err: process.stderr }
  const gone = { out: false, err: false }
  const write = (stream: 'out' | 'err', text: string): void => {
    if (!gone[stream] && text !== '') streams[stream].write(escapeScreen(text, look(stream).color))
  }
  const look = (stream: 'out' | 'err'): Look => ({
    color: wantsColor(process.env, streams[stream].isTTY, choice.color),
    width: streams[stream].isTTY ? Math.max(20, streams[stream].columns || TERMINAL_WIDTH) : PLAIN_WIDTH,
  })
  const cwd = process.cwd()
  const tell = (diagnostics: readonly Diagnostic[]): void =>
    write('err', renderDiagnostics(diagnostics, { ...look('err'), cwd }))
  process.stderr.on('error', () => {
    gone.err = true
  })
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    gone.out = true
    if (error.code === 'EPIPE') return
    const problem = outputLost(error.message)
    tell([problem])
    // The error may come when the command is done and its exit code set.
    process.once('exit', (code) => {
      process.exitCode = code === 0 ? exitCode([problem]) : code
    })
  })
  return {
    cwd,
    out: (text) => write('out', text),
    err: (text) => write('err', text),
    look,
    errRedraws: process.stderr.isTTY && process.env['TERM'] !== 'dumb',
    tell,
  }
}
