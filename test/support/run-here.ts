import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runCommand } from '#src/cli/program.js'
import type { Console } from '#src/cli/console.js'
import { renderDiagnostics } from '#src/base/screen.js'

/**
 * What a command printed in this process: each stream, both in the order of their writes with HERE for the folder and
 * STORE for an empty store, and its exit code.
 */
export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
  readonly screen: string
}

/** Gives this process other values of its environment, and a function that takes them back. */
const changeEnvironment = (values: Readonly<Record<string, string>>): (() => void) => {
  const before = Object.keys(values).map((name) => [name, process.env[name]] as const)
  Object.assign(process.env, values)
  return () => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  }
}

/**
 * Runs a command line in a folder without a process of its own, as if no terminal and no hub were there, with an empty
 * store unless `env` names one.
 * What it prints is taken before the last guard. Folder and environment are this process's: one command at a time.
 */
export const runHere = async (
  folder: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ran> => {
  const before = process.cwd()
  const store = mkdtempSync(join(tmpdir(), 'smelt-store-'))
  const hub = { HF_HUB_CACHE: join(store, 'hub'), HF_HUB_OFFLINE: '1' }
  const restore = changeEnvironment({ SMELT_CACHE: store, ...hub, ...env })
  const look = { color: false, width: 100 } as const
  let [stdout, stderr, screen] = ['', '', '']
  process.chdir(folder)
  const cwd = process.cwd()
  const err = (text: string): void => {
    stderr += text
    screen += text
  }
  const console: Console = {
    cwd,
    out: (text) => {
      stdout += text
      screen += text
    },
    err,
    look: () => look,
    errRedraws: false,
    tell: (diagnostics) => err(renderDiagnostics(diagnostics, { ...look, cwd })),
  }
  try {
    const code = await runCommand(args, console)
    return { code, stdout, stderr, screen: screen.replaceAll(cwd, 'HERE').replaceAll(store, 'STORE') }
  } finally {
    process.chdir(before)
    restore()
    rmSync(store, { recursive: true, force: true })
  }
}
