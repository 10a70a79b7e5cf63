import { spawnSync } from 'node:child_process'
import { openSync, readFileSync, writeSync } from 'node:fs'
import { ReadStream } from 'node:tty'
import { readKeys, type Key } from '../view/dashboard/keys.js'
import type { DashboardPort } from '../view/dashboard/dashboard.js'

/** The terminal while something draws on the whole of it. */
export interface Terminal {
  readonly port: Omit<DashboardPort, 'stop' | 'now'>
  /** Gives the screen back as it was, with keys and cursor. May be called more than once, and at any time. */
  leave(): void
  /** Gives the terminal to the shell until that sends the process on. */
  suspend(): void
}

/** What the terminal tells. */
export interface TerminalListener {
  keys(keys: readonly Key[]): void
  resized(): void
}

/**
 * The other screen, without a cursor, and back. Wrapping at the end of a line is off meanwhile, for terminals that
 * count a character wider than we do.
 */
const [ENTER, LEAVE] = ['\u001b[?1049h\u001b[?25l\u001b[?7l', '\u001b[?7h\u001b[?25h\u001b[?1049l']

/** An escape sequence that came in two pieces is whole after so many ms; an Escape that is a key is known to be one. */
const ESCAPE = 30

/** True for a locale in which terminals show more than ASCII. */
export const showsUnicode = ({ LC_ALL, LC_CTYPE, LANG, TERM }: Readonly<Record<string, string | undefined>>): boolean =>
  TERM !== 'linux' && (process.platform === 'win32' || /utf-?8/i.test(LC_ALL || LC_CTYPE || LANG || ''))

/**
 * True where the shell has given this process the terminal. One in the background that takes it anyway is stopped by
 * the system, and its build with it.
 */
export const isForeground = (): boolean => {
  if (process.platform === 'win32') return true
  try {
    const stat = readFileSync('/proc/self/stat', 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[2] === fields[5]
  } catch {
    const { status, stdout } = spawnSync('ps', ['-o', 'stat=', '-p', String(process.pid)], { encoding: 'utf8' })
    return status === 0 && stdout.includes('+')
  }
}

/**
 * True where a dashboard can be drawn on standard error, with keys from standard input unless something else comes from
 * there.
 */
export const isTerminal = (keysFromInput: boolean): boolean => {
  const { TERM, CI } = process.env
  const inCi = CI !== undefined && !['', '0', 'false'].includes(CI)
  return process.stderr.isTTY && (!keysFromInput || process.stdin.isTTY) && TERM !== 'dumb' && !inCi && isForeground()
}

const openKeys = (fromInput: boolean): ReadStream | undefined => {
  if (fromInput) return process.stdin.isTTY ? process.stdin : undefined
  try {
    return new ReadStream(openSync('/dev/tty', 'r'))
  } catch {
    return undefined
  }
}

/**
 * Takes the whole terminal. Loads what draws on it first, so that nothing else waits for that.
 * Whatever ends the process by itself gives the terminal back; a signal with its default effect does not, so call
 * `leave` before one.
 */
export const enterTerminal = async (
  color: boolean,
  listener: TerminalListener,
  keysFromInput = true,
): Promise<Terminal> => {
  // React checks everything twice unless it is told that nobody develops with it.
  process.env['NODE_ENV'] ??= 'production'
  const { loadLines } = await import('../view/dashboard/screen.js')
  const render = await loadLines()
  const out = process.stderr
  const input = openKeys(keysFromInput)
  let inside = true
  let pending = ''
  let timer: NodeJS.Timeout | undefined
  const write = (text: string): void => {
    if (inside) out.write(text)
  }
  const flush = (): void => {
    const keys = readKeys(pending)
    pending = ''
    if (keys.length > 0 && inside) listener.keys(keys)
  }
  const heard = (data: Buffer | string): void => {
    pending += data.toString()
    clearTimeout(timer)
    if (/\u001b(?:\[[0-9;?<]*|O)?$/.test(pending)) timer = setTimeout(flush, ESCAPE)
    else flush()
  }
  const resized = (): void => {
    if (inside) listener.resized()
  }
  const enter = (): void => {
    inside = true
    out.write(ENTER)
    input?.setRawMode(true)
    input?.resume()
  }
  const resume = (): void => {
    if (inside || !isForeground()) return
    enter()
    listener.resized()
  }
  const giveBack = (): void => {
    if (!inside) return
    inside = false
    try {
      input?.setRawMode(false)
      // By the file itself: at the end of a process streams have no more time.
      writeSync(out.fd, LEAVE)
    } catch {
      // The terminal is slow to take it, or is gone, which the stream knows how to tell.
      out.write(LEAVE)
    }
  }
  const leave = (): void => {
    giveBack()
    clearTimeout(timer)
    process.removeListener('exit', giveBack)
    process.removeListener('SIGCONT', resume)
    out.removeListener('resize', resized)
    input?.removeListener('data', heard)
    input?.pause()
    if (!keysFromInput) input?.destroy()
  }
  process.on('exit', giveBack)
  process.on('SIGCONT', resume)
  out.on('resize', resized)
  input?.on('data', heard)
  enter()
  return {
    port: {
      write,
      size: () => ({ columns: Math.max(1, out.columns || 80), rows: Math.max(1, out.rows || 24) }),
      color,
      unicode: showsUnicode(process.env),
      render,
    },
    leave,
    suspend: () => {
      giveBack()
      process.kill(process.pid, 'SIGTSTP')
    },
  }
}
