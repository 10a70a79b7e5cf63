#!/usr/bin/env node
import nodeModule from 'node:module'
import { setFlagsFromString } from 'node:v8'
import { reasonOf } from '../base/reason.js'
import { allowRelaxedSimd } from '../kernels/relaxed-simd.js'
import { explainLimit } from '../run/limits.js'

// Most commands are over within a second, of which V8 as of Node.js 20 spends half on optimising functions that then run
// a few times more. Later versions wait by themselves, and do not know this flag.
if (process.versions.v8.startsWith('11.')) setFlagsFromString('--interrupt-budget=1000000')
// V8 refuses what it has compiled for an earlier command with other flags: all are set before anything else.
allowRelaxedSimd()

// Node.js keeps what V8 has compiled for the next command, from version 22 on, in the folder that it has for that. Where
// it may not write, it compiles anew.
const { enableCompileCache } = nodeModule as { readonly enableCompileCache?: () => unknown }
enableCompileCache?.()

// ONNX Runtime would keep an identifier of this machine and events of every build in the user's cache, and send them;
// it asks this when it is loaded.
process.env['ORT_DISABLE_TELEMETRY'] ??= '1'

/**
 * The exit codes of what a limit of the process leads to; the module that knows them all may be one too many to load.
 */
const LIMIT_CODES = { retry: 75, run: 3 } as const

/** Says why the program ended, with nothing but what is loaded where a limit is why. */
const explain = async (error: unknown): Promise<number> => {
  const limit = explainLimit(reasonOf(error))
  if (limit !== undefined) {
    // Other parts may fail for the same reason, which has been told.
    process.on('uncaughtException', () => undefined)
    process.stderr.write(`error[${limit.code}]: ${limit.message}\nhelp: ${limit.help}\n\n1 error\n`)
    return LIMIT_CODES[limit.blame === 'retry' ? 'retry' : 'run']
  }
  const { BUG_EXIT_CODE, renderCrash } = await import('./crash.js')
  process.stderr.write(renderCrash(error))
  return BUG_EXIT_CODE
}

// The process ends by itself once output is flushed and the workers are gone: `process.exit` would cut both short.
try {
  // Not loaded with this module: an error of its loading must be caught here.
  const { runCommand } = await import('./program.js')
  process.exitCode = await runCommand(process.argv.slice(2))
} catch (error) {
  process.exitCode = await explain(error)
}
