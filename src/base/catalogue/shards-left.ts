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

/** The folder of an output has files that belong to another model, such as those of another tokenizer. */
export const sidesLeft = (path: string, names: readonly string[]): Diagnostic =>
  entry('sides-left', `${path} also has files that are not of this build: ${listNames(names)}`, {
    severity: 'warning',
    blame: 'run',
    at: { type: 'file', path },
    help: `delete ${names.length === 1 ? 'it' : 'them'} if an earlier build left ${names.length === 1 ? 'it' : 'them'}: programs may load another tokenizer from ${names.length === 1 ? 'it' : 'them'}`,
  })
