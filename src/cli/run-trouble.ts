import { existsSync } from 'node:fs'
import { runGone } from '../base/catalogue/cluster.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { placesOf } from '../cluster/layout.js'
import { errorCode, ioProblem } from '../safetensors/io-problem.js'

const WRITING = /^(?:mkdir|write|rename|link|unlink|rm|rmdir|fsync|ftruncate)$/

/** Puts a failed call on a run's files into words; errors that are not the system's are bugs and are thrown on. */
export const runTrouble = (error: unknown, run: string): Diagnostic => {
  if (errorCode(error) === 'ENOENT' && !existsSync(placesOf(run).plan)) return runGone(run)
  const { path = run, syscall = '' } = error as NodeJS.ErrnoException
  return ioProblem(error, path, WRITING.test(syscall) || errorCode(error) === 'ENOSPC' ? 'write' : 'read')
}
