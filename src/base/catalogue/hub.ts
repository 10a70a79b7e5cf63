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
    planning: `run \`smelt build\`, which downloads it, or ${downloadCommand(of)}`,
    offline: `unset HF_HUB_OFFLINE and run \`smelt build\`, or copy the cache from another machine`,
    frozen: `\`--frozen\` never downloads: build once without it, or run ${downloadCommand(of)}`,
  })[why]

/** A model of a hub that is not on this machine, and is not to be downloaded now. */
export const hubNotCached = (at: Place, of: Named, cache: string, why: NotNow, besides: boolean): Diagnostic =>
  entry(
    'hub-not-cached',
    `${besides ? `there is no file or folder ${quoteName(of.repository)}, and the repository of that name` : named(of)} is not in the Hugging Face cache at ${cache}`,
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

/** A model of a hub whose headers can only be read on this machine. */
export const hubHeadersUnread = (at: Place, of: Named, file: string): Diagnostic =>
  entry(
    'hub-headers-unread',
    `${named(of)} is not in the Hugging Face cache, and ${quoteName(file)} must be downloaded before it can be read`,
    { at, help: `run ${downloadCommand(of)}, or \`smelt build\`, which downloads what it needs` },
  )

/** Statistics of a model of which only headers are at hand. */
export const hubNumbersAway = (at: Place, of: Named): Diagnostic =>
  entry('hub-numbers-away', `${named(of)} is not in the Hugging Face cache, so its numbers cannot be read`, {
    at,
    help: `run ${downloadCommand(of)}, or leave out \`--stats\``,
  })

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
    { at, severity: 'warning', help: 'build with `--update` to take the newer commit' },
  )

/** A URL where a path or a repository should be; `meant` is what it names on the hub. */
export const inputAddress = (
  at: Place,
  address: string,
  meant: (Named & { readonly files: string | undefined }) | undefined,
): Diagnostic =>
  entry(
    'address-not-path',
    `${quoteName(address)} is a URL; smelt reads files on this machine, and models of the Hugging Face hub by name`,
    {
      at,
      help:
        meant === undefined
          ? 'download the file, and give its path'
          : meant.revision === undefined && meant.files === undefined
            ? `write ${quoteName(meant.repository)}`
            : `in a recipe, write ${quoteName(hubBlock(meant))}; for a command, download the file and give its path`,
    },
  )

const hubBlock = ({ repository, revision, files }: Named & { readonly files: string | undefined }): string =>
  `{ hub: ${repository}${revision === undefined ? '' : `, revision: ${revision}`}${files === undefined ? '' : `, files: ${files}`} }`

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

/** A repository that no hub could have; `meant` is the one that a URL names. */
export const notARepository = (at: Place, text: string, meant: string | undefined): Diagnostic =>
  entry('not-a-repository', `${quoteName(text)} is not the name of a repository on a hub`, {
    at,
    help: `write its name as \`org/name\`${meant === undefined ? '' : `: \`hub: ${meant}\``}`,
  })

/** A revision, or a path in a repository, that leads out of it. */
export const strayHubPath = (at: Place, key: string, text: string): Diagnostic =>
  entry('stray-hub-path', `\`${key}: ${text}\` leads out of the repository`, {
    at,
    help:
      key === 'files'
        ? 'write the path of a file or folder in it, such as `unet/`'
        : 'write a branch, a tag or a commit, such as `main`',
  })

/** A file that does not have the digest that the hub announced, even when downloaded anew. */
export const hubChanged = (repository: string, file: string): Diagnostic =>
  entry('hub-changed', `${quoteName(file)} of \`${repository}\` is not what the hub says it is: its digest differs`, {
    blame: 'retry',
    help: 'run the same command again; if it stays so, the file was changed on its way, by a mirror or a proxy',
  })

/** A repository without a model that smelt reads. */
export const hubWithoutModel = (at: Place, of: Named, names: readonly string[]): Diagnostic =>
  entry('hub-without-model', `${named(of)} has no model that smelt reads: ${listNames(names, 6)}`, {
    at,
    help: 'if the model is in a folder of the repository, name it with `files`; smelt reads safetensors and PyTorch files',
  })

/** `files` names nothing that the repository has. */
export const hubWithoutFile = (at: Place, of: Named, file: string, near: readonly string[]): Diagnostic =>
  entry('hub-without-file', `${named(of)} has no file or folder ${quoteName(file)}`, {
    at,
    help: near.length > 0 ? `did you mean ${near.map(quoteName).join(' or ')}?` : 'check `files` and `revision`',
  })

/** An index names shards that the repository does not have. */
export const hubWithoutShards = (at: Place, of: Named, shards: readonly string[]): Diagnostic =>
  entry('hub-without-shards', `the index of ${named(of)} names files that it does not have: ${listNames(shards, 3)}`, {
    at,
    help: 'use another revision: this one was not uploaded completely',
  })

/** A repository that only some people may read. */
export const hubGated = (at: Place, repository: string, known: boolean): Diagnostic =>
  entry('hub-gated', `\`${repository}\` is gated: its owners decide who may download it`, {
    at,
    help: known
      ? 'ask for access on its page; the account of your token does not have it yet'
      : 'ask for access on its page, then set HF_TOKEN to a token of your account, or run `hf auth login`',
  })

/** A repository that is not there, or not for everybody: the hub does not tell which. */
export const hubNoRepository = (at: Place, repository: string, known: boolean, besides: boolean): Diagnostic =>
  entry(
    'hub-no-repository',
    `${besides ? `there is no file or folder ${quoteName(repository)}, and the` : 'the'} hub has no repository \`${repository}\`, or it is private`,
    {
      at,
      help: known
        ? 'check its name; if it is private, the account of your token cannot read it'
        : 'check its name; if it is private, set HF_TOKEN to a token that may read it, or run `hf auth login`',
    },
  )

/** A token that the hub does not know. */
export const hubTokenInvalid = (at: Place): Diagnostic =>
  entry('hub-token-invalid', 'the hub does not accept your token', {
    at,
    help: 'set HF_TOKEN to a valid token, or run `hf auth login`; without any, public models can be downloaded',
  })

/** A branch, tag or commit that is not there. */
export const hubNoRevision = (at: Place, { repository, revision }: Named): Diagnostic =>
  entry('hub-no-revision', `\`${repository}\` has no branch, tag or commit ${quoteName(revision ?? 'main')}`, {
    at,
    help: 'check `revision`: the page of the repository lists its branches and tags',
  })

/** The hub wants fewer questions. */
export const hubBusy = (at: Place, seconds: number | undefined): Diagnostic =>
  entry('hub-busy', 'the hub refuses more downloads for now (429)', {
    at,
    blame: 'retry',
    help: `run the same command again ${seconds === undefined ? 'later' : `in ${seconds} seconds`}: it continues where it stopped; with a token, the hub allows more`,
  })

/** Any other refusal of the hub. */
export const hubRefused = (at: Place, repository: string, status: number): Diagnostic =>
  entry('hub-refused', `the hub answers ${status} for \`${repository}\``, {
    at,
    blame: status >= 500 ? 'retry' : 'input',
    help:
      status >= 500
        ? 'run the same command again later: it continues where it stopped'
        : 'check the name, the token and HF_ENDPOINT',
  })

/** No connection to the hub, or one that ends again and again. `short`: the name may have been meant as a path. */
export const hubUnreachable = (
  at: Place,
  repository: string,
  reason: string,
  cache: string,
  short: boolean,
): Diagnostic => {
  const missing = short ? `there is no file or folder \`${repository}\` here, and as a name of the hub it ` : ''
  const cannot = short ? 'cannot be downloaded' : `cannot download \`${repository}\``
  return entry('hub-unreachable', `${missing}${cannot}: no connection to the hub (${reason})`, {
    at,
    blame: 'retry',
    help: `${short ? 'check the path; for the hub, ' : ''}check the network and HF_ENDPOINT, and run the same command again: it continues where it stopped; or copy the model into the Hugging Face cache at ${cache}`,
  })
}

/** An answer that no hub would give. */
export const hubOdd = (at: Place, repository: string, reason: string): Diagnostic =>
  entry('hub-odd', `what answers for \`${repository}\` does not speak the protocol of a hub: ${reason}`, {
    at,
    help: 'check HF_ENDPOINT',
  })

/** Words for a connection that ended without an error. */
export const ENDS_EARLY = 'it ends early'
