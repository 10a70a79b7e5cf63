import { spawn } from 'node:child_process'
import { scoreNeedsName, scoreNeedsOutput, scoreUnknownOutput } from '../base/catalogue/search.js'
import type { Diagnostic } from '../base/diagnostic.js'

const PLACEHOLDER = /\{output(?::([^{}]*))?\}/g
const NUMBER = /(?<![\w.])[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|(?:nan|inf(?:inity)?)(?!\w))/gi

/**
 * The last number that a text names, numbers in paths aside; undefined where there is none, and where the last one is
 * no finite number: an earlier one is not what was measured.
 */
export const lastNumber = (text: string): number | undefined => {
  const words = text.split(/\s+/).filter((word) => !/[/\\]/.test(word))
  const last = words.flatMap((word) => word.match(NUMBER) ?? []).at(-1)
  return last !== undefined && Number.isFinite(Number(last)) ? Number(last) : undefined
}

/** What is wrong with a score command, given the names of the recipe's outputs. */
export const checkScoreCommand = (command: string, outputs: readonly string[]): Diagnostic | undefined => {
  const named = [...command.matchAll(PLACEHOLDER)].map(([, name]) => name)
  if (named.length === 0) return scoreNeedsOutput(outputs)
  const unknown = named.find((name) => name !== undefined && !outputs.includes(name))
  if (unknown !== undefined) return scoreUnknownOutput(unknown, outputs)
  return named.includes(undefined) && outputs.length > 1 ? scoreNeedsName(outputs) : undefined
}

/** A path as one word of the shell, whatever is in it. */
const quote = (path: string, windows: boolean): string =>
  windows ? `"${path}"` : `'${path.replaceAll("'", String.raw`'\''`)}'`

/** A score command with the paths of outputs in place of `{output}` and `{output:NAME}`. */
export const fillCommand = (command: string, paths: ReadonlyMap<string, string>, windows: boolean): string =>
  command.replace(PLACEHOLDER, (_, name: string | undefined) =>
    quote(name === undefined ? [...paths.values()][0]! : paths.get(name)!, windows),
  )

/** What a score command left. */
export interface Scored {
  readonly score: number | undefined
  /** How it ended, where it failed: the exit code, or a signal. */
  readonly ended: number | string | undefined
  /** The end of what it said on standard error. */
  readonly complaint: string
}

/** Characters of standard error that are kept. */
const MOST_COMPLAINT = 2000
/** Characters of standard output that are kept; the last number stands at its end. */
const MOST_OUTPUT = 1 << 20

/** Runs a command by the shell in a folder; the last number that it prints to standard output is the score. */
export const runScore = (command: string, folder: string, signal: AbortSignal): Promise<Scored> =>
  new Promise((resolve) => {
    const child = spawn(command, { cwd: folder, shell: true, stdio: ['ignore', 'pipe', 'pipe'], signal })
    const texts = { stdout: '', stderr: '' }
    for (const [stream, most] of [
      ['stdout', MOST_OUTPUT],
      ['stderr', MOST_COMPLAINT],
    ] as const)
      child[stream].setEncoding('utf8').on('data', (text: string) => {
        texts[stream] = (texts[stream] + text).slice(-most)
      })
    const end = (ended: number | string | undefined): void =>
      resolve({
        score: ended === undefined ? lastNumber(texts.stdout) : undefined,
        ended,
        complaint: texts.stderr.trim(),
      })
    child.on('error', (error) => end(error.message))
    child.on('close', (code, killed) => end(killed ?? (code === 0 ? undefined : (code ?? undefined))))
  })
