import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { makeEnvironment } from '../support/smelt.js'

/** What a program left behind. */
export interface Finished {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** The repository's root. */
export const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/**
 * Runs a file of the repository with node, from its root unless another folder is given; `onOutput` hears of all that
 * it prints, and may send a signal.
 */
export const runProgram = (
  args: readonly string[],
  onOutput: (text: string, kill: (signal: 'SIGINT') => void) => void = () => undefined,
  folder = ROOT,
): Promise<Finished> =>
  new Promise((resolve, reject) => {
    const environment = makeEnvironment()
    const child = spawn(process.execPath, args, { cwd: folder, env: environment.env })
    const texts = { stdout: '', stderr: '' }
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream].setEncoding('utf8').on('data', (text: string) => {
        texts[stream] += text
        onOutput(text, (signal) => child.kill(signal))
      })
    }
    child.on('error', reject)
    child.on('close', (code) => {
      environment.remove()
      resolve({ code, ...texts })
    })
  })
