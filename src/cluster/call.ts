import { spawn } from 'node:child_process'

/** What a program left: no code if it could not be started, when `stderr` says why. */
export interface Called {
  readonly code: number | undefined
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program with arguments and an input to its end. */
export type Call = (program: string, args: readonly string[], input?: string) => Promise<Called>

/** For how long a program may run, in ms: one that does not come back counts as one that failed. */
const LIMIT = 120_000

/** Runs programs without a shell, with messages in English. */
export const createCall =
  (environment: Readonly<Record<string, string | undefined>>): Call =>
  (program, args, input = '') =>
    new Promise((resolve) => {
      const child = spawn(program, args, {
        env: { ...environment, LC_ALL: 'C' },
        timeout: LIMIT,
        killSignal: 'SIGKILL',
      })
      let [stdout, stderr] = ['', '']
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        stdout += text
      })
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        stderr += text
      })
      child.on('error', (error) => resolve({ code: undefined, stdout, stderr: error.message }))
      child.on('close', (code) => resolve({ code: code ?? 1, stdout, stderr }))
      // A program that ends without reading its input is no problem.
      child.stdin.on('error', () => undefined).end(input)
    })
