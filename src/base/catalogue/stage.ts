import type { Diagnostic } from '../diagnostic.js'
import { entry } from './entry.js'

/** Why a folder for copies of inputs is not used, or no longer. */
export const stageWords = {
  full: (folder: string): string => `${folder} is almost full`,
  foreign: (root: string): string => `${root} belongs to another user, or others can write to it`,
  refused: (folder: string, code: string): string =>
    code === 'ENOENT' ? `there is no ${folder}` : `${folder} cannot be used (${code})`,
  altered: (folder: string): string => `copies in ${folder} no longer matched what was copied`,
  unset: (name: string): string => `the variable ${name} is not set`,
} as const

/** A task read inputs directly, though it was given a folder for copies. */
export const stageUnused = (host: string, why: string): Diagnostic =>
  entry('stage-unused', `${host} read some or all inputs directly, without copies: ${why}`, {
    at: { type: 'option', name: '--stage' },
    severity: 'warning',
    help: 'check that folder on that machine, or pass another; the outputs are the same either way',
  })

/** A folder for copies of inputs that depends on where a command is run. */
export const stageRelative = (folder: string): Diagnostic =>
  entry('stage-relative', `\`--stage ${folder}\` is not an absolute path`, {
    at: { type: 'option', name: '--stage' },
    blame: 'usage',
    help: "give a folder on a disk of each machine's own: /tmp, or '$TMPDIR' for what a task has there",
  })
