import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { hubIncomplete, hubMoved, hubNotCached, hubSeveral, inputAddress, type NotNow } from '../base/catalogue/hub.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { resolvePath } from '../base/resolve-path.js'
import { failed, ok, type Result } from '../base/result.js'
import { accessFrom, type HubAccess } from '../hub/access.js'
import { cachedCommit, findCached, type Cached, type CachedFile } from '../hub/cached.js'
import {
  isAddress,
  isCommit,
  MAIN,
  referenceAt,
  shortReference,
  type HubOrigin,
  type HubReference,
} from '../hub/reference.js'
import type { RemoteModel } from '../hub/remote.js'
import type { Input } from '../recipe/recipe.js'
import type { Lock } from '../store/lock.js'
import type { Download, OpenRemotely } from './downloads.js'

/** Where an input is. */
export interface Located {
  /** Absolute: what is opened. */
  readonly path: string
  /** Undefined for what is not of a hub. */
  readonly origin?: HubOrigin
  /** What its headers tell, where it is not on this machine: nothing is at its path. */
  readonly remote?: RemoteModel
}

/** How inputs are looked for. */
export interface LocateOptions {
  /** The folder that paths are relative to. */
  readonly folder: string
  /** The hub and its cache; the cache in its usual place unless given. */
  readonly hub?: HubAccess | undefined
  /** Holds on to commits. */
  readonly lock?: Lock | undefined
  /** Why nothing is downloaded, where nothing is. */
  readonly notNow: NotNow
  /** Downloads what is missing. */
  readonly download?: Download | undefined
  /** Opens what is missing by its headers, where nothing is downloaded. */
  readonly remotely?: OpenRemotely | undefined
  /** Takes what branches and tags are now, not the commits of the lock. */
  readonly update?: boolean | undefined
}

/** What an input names on a hub; undefined for a path. What is there as a file or a folder is no name of a hub. */
export const referenceOf = ({ hub, path }: Pick<Input, 'hub' | 'path'>, folder: string): HubReference | undefined => {
  if (hub !== undefined) return hub
  const short = shortReference(path)
  if (short === undefined) return undefined
  // In a folder that is there, something is more likely misspelt than meant to be of a hub.
  const isPath = [path, path.slice(0, path.indexOf('/'))].some((part) => existsSync(resolvePath(folder, part)))
  return isPath ? undefined : short
}

/** Finds an input: a path as it is written, and what is of a hub in its cache, where it is put if it may be. */
export const locateInput = async (input: Input, options: LocateOptions): Promise<Result<Located>> => {
  const reference = referenceOf(input, options.folder)
  if (reference === undefined)
    return isAddress(input.path)
      ? failed(inputAddress(input.at, input.path, referenceAt(input.path)))
      : ok({ path: resolvePath(options.folder, input.path) })
  const { repository } = reference
  const { cache, offline } = options.hub ?? accessFrom({}, homedir())
  const locked = options.lock?.inputs[input.path]?.hub
  const pinned = locked?.repository === repository && options.update !== true ? locked.commit : undefined
  const current = await cachedCommit(cache, reference)
  const look = async (commit: string | undefined): Promise<Cached | undefined> =>
    commit === undefined ? undefined : findCached(cache, reference, commit, input.kind)
  const found = (commit: string, { path, file }: CachedFile, told: readonly Diagnostic[] = []): Result<Located> =>
    ok({ path, origin: { repository, commit, file } }, told)
  const cached = await look(pinned ?? current)
  const moved =
    pinned !== undefined && current !== undefined && current !== pinned && options.notNow !== 'frozen'
      ? [hubMoved(input.at, reference, pinned, current)]
      : []
  const mayMove = options.update === true && !isCommit(reference.revision ?? MAIN)
  const download = offline ? undefined : options.download
  if (cached?.type === 'found' && !(mayMove && download !== undefined)) return found(pinned ?? current!, cached, moved)
  const of = { repository, revision: pinned ?? reference.revision }
  if (download !== undefined) {
    const commit = await download(input, reference, pinned)
    if (commit.type === 'failed') return commit
    const now = await look(commit.value)
    return now?.type === 'found'
      ? found(commit.value, now, moved)
      : failed(hubIncomplete(input.at, of, now?.type === 'partial' ? now.missing : [], 'planning'))
  }
  if (options.remotely !== undefined && !offline) {
    const opened = await options.remotely(input, reference, pinned)
    if (opened.type === 'failed') return opened
    const { file, origin } = opened.value
    return ok({ path: file.path, origin, remote: opened.value }, [...moved, ...opened.diagnostics])
  }
  const notNow = offline && options.notNow === 'planning' ? 'offline' : options.notNow
  if (cached?.type === 'several') return failed(hubSeveral(input.at, of, cached.names))
  return failed(
    cached?.type === 'partial'
      ? hubIncomplete(input.at, of, cached.missing, notNow)
      : hubNotCached(input.at, of, cache, notNow, input.hub === undefined),
  )
}
