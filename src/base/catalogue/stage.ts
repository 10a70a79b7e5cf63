import type { Diagnostic } from '../diagnostic.js'
import { entry } from './entry.js'

/** Why a folder for copies of inputs is not used, or no longer. */
export const stageWords = {
  full: (folder: string): string => `${folder} is almost full`,
  foreign: (root: string): string => `${root} belongs to somebody else, or others can write to it`,
  refused: (folder: string, code: string): string =>
    code === 'ENOENT' ? `there is no ${folder}` : `${folder} cannot be used (${code})`,
  altered: (folder: string): string => `copies in ${folder} were not what had been copied`,
  unset: (name: string): string => `the variable ${name} is not set`,
} as const

/** A task read inputs where they are, though there is a folder for copies. */
export const stageUnused = (host: string, why: string): Diagnostic =>
  entry('stage-unused', `${host} read inputs where they are, at least in part: ${why}`, {
    at: { type: 'option', name: '--stage' },
    severity: 'warning',
    help: 'check that folder on that machine, or pass another; what was built is the same',
  })

/** A folder for copies of inputs that depends on where a command is run. */
export const stageRelative = (folder: string): Diagnostic =>
  entry('stage-relative', `\`--stage ${folder}\` is not an absolute path`, {
    at: { type: 'option', name: '--stage' },
    blame: 'usage',
    help: "give a folder on a disk of each machine's own: /tmp, or '$TMPDIR' for what a task has there",
  })
