import { runCommand } from '#src/cli/program.js'
import type { Console } from '#src/cli/console.js'
import { renderDiagnostics } from '#src/base/screen.js'

/** What a command printed in this process, both streams in the order of their writes, and its exit code. */
export interface Ran {
  readonly code: number
  readonly out: string
  readonly screen: string
}

/** Runs a command line in a folder without a process of its own, as if no terminal were there. What it prints is taken before the last guard. */
export const runHere = async (folder: string, args: readonly string[]): Promise<Ran> => {
  const before = process.cwd()
  const look = { color: false, width: 100 } as const
  let [out, screen] = ['', '']
  process.chdir(folder)
  const cwd = process.cwd()
  const err = (text: string): void => { screen += text }
  const console: Console = {
    cwd,
    out: (text) => { out += text; screen += text },
    err,
    look: () => look,
    errRedraws: false,
    tell: (diagnostics) => err(renderDiagnostics(diagnostics, { ...look, cwd })),
  }
  try {
    const code = await runCommand(args, console)
    return { code, out, screen: screen.replaceAll(cwd, 'HERE') }
  } finally {
    process.chdir(before)
  }
}
