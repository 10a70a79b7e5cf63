import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { HANG } from '../support/hang.js'

/** The program as it ships. */
export const MAIN = fileURLToPath(new URL('../../dist/bin/smelt.js', import.meta.url))

/** What a command left. `code` is null when a signal ended it. */
export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  readonly milliseconds: number
  /** It did not end by itself, and was killed. */
  readonly hung: boolean
}

/** A line of `--json`. */
export interface Event {
  readonly type: string
  readonly [key: string]: unknown
}

/** How to start the program. */
export interface Start {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
  /** The program's file, for variants of it. */
  readonly main?: string
  /** A command that starts it: `strace …`, `setpriv …`. */
  readonly wrap?: readonly string[]
  /** Options of node itself. */
  readonly node?: readonly string[]
  /** Called with each event of `--json` as soon as it comes. */
  readonly hear?: (event: Event, child: ChildProcess) => void
  readonly started?: (child: ChildProcess) => void
}

/** Runs the real program to its end, whatever that is. */
export const command = (args: readonly string[], start: Start): Promise<Ended> =>
  new Promise((resolve, reject) => {
    const { NO_COLOR: _no, FORCE_COLOR: _force, NODE_OPTIONS: _options, ...inherited } = process.env
    const [program, ...rest] = [
      ...(start.wrap ?? []),
      process.execPath,
      ...(start.node ?? []),
      start.main ?? MAIN,
      ...args,
    ]
    const began = performance.now()
    const child = spawn(program!, rest, {
      cwd: start.cwd,
      env: { ...inherited, ...start.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let [stdout, stderr, told, hung] = ['', '', 0, false]
    const timer = setTimeout(() => {
      hung = true
      child.kill('SIGKILL')
    }, 0.9 * HANG)
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
      for (let end = stdout.indexOf('\n', told); end >= 0; end = stdout.indexOf('\n', told)) {
        const line = stdout.slice(told, end)
        told = end + 1
        if (line.startsWith('{')) start.hear?.(JSON.parse(line) as Event, child)
      }
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    child.on('error', reject)
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      resolve({ code, signal, stdout, stderr, milliseconds: performance.now() - began, hung })
    })
    start.started?.(child)
  })

/** The events that a command told, as far as its last line is whole. */
export const eventsOf = ({ stdout }: Pick<Ended, 'stdout'>): readonly Event[] =>
  stdout
    .split('\n')
    .slice(0, -1)
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Event)

/** The codes of the problems that a command told as JSON. */
export const codesOf = (ended: Pick<Ended, 'stdout'>): readonly string[] =>
  eventsOf(ended).flatMap((e) =>
    e.type === 'problem-found' ? [(e['diagnostic'] as { readonly code: string }).code] : [],
  )
