import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { hubIncomplete, hubMoved, hubNotCached, hubSeveral, type NotNow } from '../base/catalogue/hub.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { resolvePath } from '../base/resolve-path.js'
import { failed, ok, type Result } from '../base/result.js'
import { accessFrom, type HubAccess } from '../hub/access.js'
import { cachedCommit, findCached } from '../hub/cached.js'
import { shortReference, type HubOrigin, type HubReference } from '../hub/reference.js'
import type { Input } from '../recipe/recipe.js'
import type { Lock } from '../store/lock.js'

/** Where an input is. */
export interface Located {
  /** Absolute: what is opened. */
  readonly path: string
  /** Undefined for what is not of a hub. */
  readonly origin?: HubOrigin
}

/** How inputs are looked for. */
export interface LocateOptions {
  /** The folder that paths are relative to. */
  readonly folder: string
  /** The hub and its cache; the cache in its usual place unless given. */
  readonly hub?: HubAccess | undefined
  /** Holds on to commits. */
  readonly lock?: Lock | undefined
  /** Why nothing is downloaded. */
  readonly notNow: NotNow
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

/** Finds an input: a path as it is written, and what is of a hub in the Hugging Face cache. */
export const locateInput = async (input: Input, options: LocateOptions): Promise<Result<Located>> => {
  const reference = referenceOf(input, options.folder)
  if (reference === undefined) return ok({ path: resolvePath(options.folder, input.path) })
  const { repository } = reference
  const { cache, offline } = options.hub ?? accessFrom({}, homedir())
  const locked = options.lock?.inputs[input.path]?.hub
  const pinned = locked?.repository === repository ? locked.commit : undefined
  const current = await cachedCommit(cache, reference)
  const commit = pinned ?? current
  const cached = commit === undefined ? undefined : await findCached(cache, reference, commit, input.kind)
  const notNow = offline && options.notNow === 'planning' ? 'offline' : options.notNow
  const of = { repository, revision: pinned ?? reference.revision }
  if (commit === undefined || cached === undefined)
    return failed(hubNotCached(input.at, of, cache, notNow, input.hub === undefined))
  if (cached.type === 'several') return failed(hubSeveral(input.at, of, cached.names))
  if (cached.type === 'partial') return failed(hubIncomplete(input.at, of, cached.missing, notNow))
  const moved: readonly Diagnostic[] =
    pinned === undefined || current === undefined || current === pinned || options.notNow === 'frozen'
      ? []
      : [hubMoved(input.at, reference, pinned, current)]
  return ok({ path: cached.path, origin: { repository, commit, file: cached.file } }, moved)
}
