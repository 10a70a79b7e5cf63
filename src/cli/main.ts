#!/usr/bin/env node
import { runCommand } from './program.js'

// The process ends by itself once output is flushed and the workers are gone: `process.exit` would cut both short.
try {
  process.exitCode = await runCommand(process.argv.slice(2))
} catch (error) {
  const { BUG_EXIT_CODE, renderCrash } = await import('./crash.js')
  process.stderr.write(renderCrash(error))
  process.exitCode = BUG_EXIT_CODE
}
