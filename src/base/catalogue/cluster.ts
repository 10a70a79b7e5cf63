import type { Diagnostic } from '../diagnostic.js'
import { entry } from './entry.js'

/** A file of a run that is not there, where this process looks. */
export const runFileMissing = (path: string): Diagnostic =>
  entry('run-missing', `there is no ${path}`, {
    at: { type: 'file', path },
    blame: 'run',
    help: 'give the folder of a run, `.smelt/runs/ID` beside its recipe; every machine has to see it under this path',
  })

/** A file of a run that is not as smelt writes it. */
export const runFileInvalid = (path: string, reason: string): Diagnostic =>
  entry('run-invalid', `${path} is not a file of a run that this version of smelt can read: ${reason}`, {
    at: { type: 'file', path },
    blame: 'run',
    help: 'use the version of smelt that began the run, or delete the run’s folder and build again',
  })
