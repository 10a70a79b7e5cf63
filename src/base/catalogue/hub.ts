import type { Diagnostic, Place } from '../diagnostic.js'
import { entry } from './entry.js'
import { commandOn, listNames, quoteName } from './file-entry.js'

/** A repository of a hub at one of its revisions, for messages. */
export interface Named {
  readonly repository: string
  readonly revision: string | undefined
}

/** Why a model may not be downloaded now. */
export type NotNow = 'offline' | 'frozen' | 'planning'

const named = ({ repository, revision }: Named): string =>
  `\`${repository}\`${revision === undefined ? '' : ` at ${quoteName(revision)}`}`

/** The command of Hugging Face's own tool that puts a repository into the cache. */
const downloadCommand = ({ repository, revision }: Named): string =>
  revision === undefined
    ? commandOn('hf download', repository)
    : commandOn(`hf download ${repository} --revision`, revision)

const notNow = (why: NotNow, of: Named): string =>
  ({
    planning: `run ${downloadCommand(of)}`,
    offline: `unset HF_HUB_OFFLINE and run ${downloadCommand(of)}, or copy the cache from another machine`,
    frozen: `\`--frozen\` never downloads: build once without it, or run ${downloadCommand(of)}`,
  })[why]

/** A model of a hub that is not on this machine, and is not to be downloaded now. */
export const hubNotCached = (at: Place, of: Named, cache: string, why: NotNow, besides: boolean): Diagnostic =>
  entry(
    'hub-not-cached',
    `${besides ? `there is no file or folder ${quoteName(of.repository)} beside the recipe, and the repository of that name` : named(of)} is not in the Hugging Face cache at ${cache}`,
    { at, help: notNow(why, of) },
  )

/** A model of a hub of which only a part is on this machine, and the rest is not to be downloaded now. */
export const hubIncomplete = (at: Place, of: Named, missing: readonly string[], why: NotNow): Diagnostic =>
  entry(
    'hub-incomplete',
    missing.length === 0
      ? `the Hugging Face cache has some files of ${named(of)}, but no model`
      : `the Hugging Face cache has some files of ${named(of)}, but not ${listNames(missing, 3)}`,
    { at, help: notNow(why, of) },
  )

/** A repository that holds several models, none of which is the usual one. */
export const hubSeveral = (at: Place, of: Named, names: readonly string[]): Diagnostic =>
  entry('hub-several', `${named(of)} holds several models: ${listNames(names, 6)}`, {
    at,
    help: `say which: \`{ hub: ${of.repository}, files: ${names[0] ?? ''} }\``,
  })

/** The lock holds on to a commit, and the branch has moved on since. A warning. */
export const hubMoved = (at: Place, of: Named, locked: string, now: string): Diagnostic =>
  entry(
    'hub-moved',
    `${named({ ...of, revision: of.revision ?? 'main' })} is now ${now.slice(0, 12)}; the lock says ${locked.slice(0, 12)}, which is used`,
    { at, severity: 'warning', help: 'delete the lock to take the newer commit' },
  )

/** An input with neither a path nor a repository. */
export const inputNowhere = (at: Place, name: string, kind: string): Diagnostic =>
  entry('missing-key', `${kind} \`${name}\` has no \`path\``, {
    at,
    help: 'add the key `path`: a file or folder; or `hub`: a repository such as `org/name`',
  })

/** An input with a path and a repository. */
export const inputInTwoPlaces = (at: Place, name: string, kind: string): Diagnostic =>
  entry('input-in-two-places', `${kind} \`${name}\` has a \`path\` and a \`hub\``, {
    at,
    help: 'keep `path` for a file on this machine, or `hub` for one of a hub; `files` says which of its files',
  })

/** A repository that no hub could have. */
export const notARepository = (at: Place, text: string): Diagnostic => {
  const [, inside] = /([\w.-]+\/[\w.-]+?)(?:\.git|\/(?:tree|blob|resolve)\/.*)?\/?$/.exec(text) ?? []
  return entry('not-a-repository', `${quoteName(text)} is not the name of a repository on a hub`, {
    at,
    help: `write its name as \`org/name\`${/:\/\//.test(text) && inside !== undefined ? `: \`hub: ${inside}\`` : ''}`,
  })
}

/** A revision, or a path in a repository, that leads out of it. */
export const strayHubPath = (at: Place, key: string, text: string): Diagnostic =>
  entry('stray-hub-path', `\`${key}: ${text}\` leads out of the repository`, {
    at,
    help:
      key === 'files'
        ? 'write the path of a file or folder in it, such as `unet/`'
        : 'write a branch, a tag or a commit, such as `main`',
  })
