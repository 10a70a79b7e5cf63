#!/usr/bin/env node
import { runCommand } from './program.js'

// ONNX Runtime would keep an identifier of this machine and events of every build in the user's cache, and send them; it asks this when it is loaded.
process.env['ORT_DISABLE_TELEMETRY'] ??= '1'

// The process ends by itself once output is flushed and the workers are gone: `process.exit` would cut both short.
try {
  process.exitCode = await runCommand(process.argv.slice(2))
} catch (error) {
  const { BUG_EXIT_CODE, renderCrash } = await import('./crash.js')
  process.stderr.write(renderCrash(error))
  process.exitCode = BUG_EXIT_CODE
}
