import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../../dist/bin/smelt.js', import.meta.url))

/** What a finished program left; `code` is null when a signal ended it. */
export interface Finished {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/**
 * An environment in which the program has a store and a hub's cache of its own, new and empty, and asks no hub: tests
 * neither see what other builds left nor touch the user's.
 */
export const makeEnvironment = (
  more: Readonly<Record<string, string>> = {},
): { readonly env: NodeJS.ProcessEnv; remove(): void } => {
  const { NO_COLOR: _no, FORCE_COLOR: _force, ...inherited } = process.env
  const store = mkdtempSync(join(tmpdir(), 'smelt-store-'))
  return {
    env: { ...inherited, SMELT_CACHE: store, HF_HUB_CACHE: join(store, 'hub'), HF_HUB_OFFLINE: '1', ...more },
    remove: () => rmSync(store, { recursive: true, force: true }),
  }
}

const running = new Set<ChildProcess>()
// What hangs outlives neither its test nor the guard against hanging.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/**
 * Starts the real program in a folder, with an empty store unless `env` names one; `watch` sees the process and
 * everything it has printed so far, after each piece, and `watchErrors` the same of standard error.
 */
export const smelt = (
  folder: string,
  args: readonly string[],
  {
    env = {},
    watch,
    began,
    watchErrors,
  }: {
    readonly env?: Readonly<Record<string, string>>
    /** Sees the process at once, before it has printed anything. */
    readonly began?: (child: ChildProcess) => void
    readonly watch?: (child: ChildProcess, stdout: string) => void
    readonly watchErrors?: (child: ChildProcess, stderr: string) => void
  } = {},
): Promise<Finished> =>
  new Promise((resolve, reject) => {
    const environment = makeEnvironment(env)
    const child = spawn(process.execPath, [MAIN, ...args], {
      cwd: folder,
      env: environment.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    running.add(child)
    began?.(child)
    let [stdout, stderr] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
      watch?.(child, stdout)
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
      watchErrors?.(child, stderr)
    })
    child.on('error', reject)
    child.on('close', (code, signal) => {
      running.delete(child)
      environment.remove()
      resolve({ code, signal, stdout, stderr })
    })
  })

/** A temporary folder with some texts in it, removed by `remove`. */
export const makeFolder = (
  texts: Readonly<Record<string, string>> = {},
): { readonly path: string; write(name: string, text: string): void; remove(): void } => {
  const path = mkdtempSync(join(tmpdir(), 'smelt-test-'))
  const write = (name: string, text: string): void => writeFileSync(join(path, name), text)
  for (const [name, text] of Object.entries(texts)) write(name, text)
  return { path, write, remove: () => rmSync(path, { recursive: true, force: true }) }
}

/** A screen without what differs from run to run: the folder, times, rates and memory. */
export const steady = (screen: string, folder: string): string =>
  screen
    .replaceAll(folder, 'HERE')
    .replace(/done in [^:]+:/, 'done in TIME:')
    .replace(/, [\d.]+ [kMG]?B\/s;/, ', RATE;')
    .replace(/peak memory [\d.]+ MB$/m, 'peak memory MEMORY')
    .replace(/about [\d.]+ [MG]B/, 'about MEMORY')
    .replace(/^(  time +)about [\d.]+ s/m, '$1about TIME')
    .replace(/(workers?), about [\d.]+ s/, '$1, about TIME')
