import type { Diagnostic } from '../diagnostic.js'
import { entry } from './entry.js'
import { listNames } from './file-entry.js'

/** An earlier build with another number of shards left files beside an output. */
export const shardsLeft = (path: string, names: readonly string[]): Diagnostic =>
  entry('shards-left', `${path} has files of an earlier build, with other shards, beside it: ${listNames(names)}`, {
    severity: 'warning',
    blame: 'run',
    at: { type: 'file', path },
    help: `delete ${names.length === 1 ? 'it' : 'them'}: the folder cannot be opened as one model while ${names.length === 1 ? 'it is' : 'they are'} there`,
  })
