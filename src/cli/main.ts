#!/usr/bin/env node
import { bug } from '../base/catalogue/cli.js'
import { renderDiagnostics } from '../base/screen.js'
import { runCommand } from './program.js'

/** EX_SOFTWARE of sysexits(3): the fault is the program's. */
const BUG = 70

// The process ends by itself once output is flushed and the workers are gone: `process.exit` would cut both short.
try {
  process.exitCode = await runCommand(process.argv.slice(2))
} catch (error) {
  const details = error instanceof Error ? (error.stack ?? error.message) : String(error)
  process.stderr.write(`${renderDiagnostics([bug(error instanceof Error ? error.message : details)], { color: false })}\n${details}\n`)
  process.exitCode = BUG
}
