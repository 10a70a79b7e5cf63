import { dirname } from 'node:path'
import * as say from '../base/catalogue/hub.js'
import { stopped } from '../base/catalogue/run.js'
import type { Diagnostic, Place } from '../base/diagnostic.js'
import { failed, ok, type Result } from '../base/result.js'
import { nearest } from '../base/suggest.js'
import { BIN_INDEX } from '../pytorch/open.js'
import { INDEX_SUFFIX, type ShardedIndex } from '../safetensors/sharded-index.js'
import type { HubAccess } from './access.js'
import { chooseFile, type HubKind } from './choose.js'
import { openHub, type HubClient, type HubFailure, type RemoteFile } from './client.js'
import { isCommit, MAIN, type HubReference } from './reference.js'

/** What is wanted of a repository. */
export interface HubOrder {
  readonly access: HubAccess
  readonly reference: HubReference
  readonly kind: HubKind
  /** The commit to take, whatever the branch is now. */
  readonly commit: string | undefined
  /** True for a file that stands beside a model and belongs to it. */
  readonly isSide: (name: string) => boolean
  /** Where problems are told. */
  readonly at: Place
  /** True where the name may have been meant as a path. */
  readonly short: boolean
  readonly signal?: AbortSignal | undefined
}

/** The files of a repository that an order means. */
export interface Found {
  readonly client: HubClient
  readonly commit: string
  readonly listing: readonly RemoteFile[]
  /** What is opened: a file, or an index. */
  readonly main: RemoteFile
  /** What stands beside it. */
  readonly sides: readonly RemoteFile[]
}

/** True for the path of an index of shards. */
export const isIndex = (path: string): boolean => path.endsWith(INDEX_SUFFIX) || path.endsWith(BIN_INDEX)

/** Why the hub gave no answer, in words. */
export const ofFailure = (failure: HubFailure, { access, reference, at, short }: HubOrder): Diagnostic => {
  const { repository, revision } = reference
  if (failure.type === 'stopped') return stopped()
  if (failure.type === 'unreachable') return say.hubUnreachable(at, repository, failure.reason, access.cache, short)
  if (failure.type === 'odd') return say.hubOdd(at, repository, failure.reason)
  const { status, code, wait, known } = failure
  if (code === 'GatedRepo') return say.hubGated(at, repository, known)
  if (code === 'RevisionNotFound') return say.hubNoRevision(at, { repository, revision })
  if (code === 'EntryNotFound') return say.hubChanged(repository, 'a file')
  if (status === 429) return say.hubBusy(at, wait)
  // Without a token the hub does not say whether a repository is private or not there.
  if (status === 404 || code === 'RepoNotFound' || (status === 401 && !known))
    return say.hubNoRepository(at, repository, known, short)
  if (status === 401) return say.hubTokenInvalid(at)
  return status === 403 ? say.hubNoRepository(at, repository, known, false) : say.hubRefused(at, repository, status)
}

/** The files of a listing that a reference means: what to open, and what stands beside it. */
const choose = (
  listing: readonly RemoteFile[],
  { reference, kind, isSide, at }: HubOrder,
): Result<{ readonly main: RemoteFile; readonly sides: readonly RemoteFile[] }> => {
  const named = (reference.files ?? '').replace(/\/$/, '')
  const single = listing.find(({ path }) => path === named)
  const folder = single === undefined ? named : named.slice(0, Math.max(0, named.lastIndexOf('/')))
  const inFolder = new Map(
    listing.flatMap((file) => {
      const name =
        folder === '' ? file.path : file.path.startsWith(`${folder}/`) ? file.path.slice(folder.length + 1) : ''
      return name === '' || name.includes('/') ? [] : [[name, file] as const]
    }),
  )
  const deeper = listing.some(({ path }) => path.startsWith(`${folder}/`))
  if (single === undefined && folder !== '' && !deeper) {
    const all = new Set(listing.flatMap(({ path }) => [path, dirname(path)]).filter((path) => path !== '.'))
    return failed(say.hubWithoutFile(at, reference, named, nearest(named, all).slice(0, 3)))
  }
  const choice = single === undefined ? chooseFile([...inFolder.keys()], kind) : undefined
  if (choice?.type === 'several')
    return failed(
      say.hubSeveral(
        at,
        reference,
        choice.names.map((name) => inFolder.get(name)!.path),
      ),
    )
  if (choice?.type === 'none')
    return failed(
      say.hubWithoutModel(
        at,
        reference,
        listing.map(({ path }) => path),
      ),
    )
  const main = single ?? inFolder.get(choice!.name)!
  return ok({ main, sides: [...inFolder].filter(([name, file]) => file !== main && isSide(name)).map(([, f]) => f) })
}

/** Finds the files of a repository that an order means, at the commit that its revision is now. */
export const findFiles = async (order: HubOrder): Promise<Result<Found>> => {
  const { access, reference, at, signal } = order
  const { repository, revision = MAIN } = reference
  const client = await openHub(access, signal)
  const named = order.commit ?? (isCommit(revision) ? revision : undefined)
  const asked = named === undefined ? await client.commitOf(repository, revision) : undefined
  if (asked !== undefined && asked.type !== 'ok') return failed(ofFailure(asked, order))
  const commit = named ?? asked!.value
  if (!isCommit(commit)) return failed(say.hubOdd(at, repository, String(commit)))
  const listing = await client.list(repository, commit)
  if (listing.type !== 'ok') return failed(ofFailure(listing, order))
  const chosen = choose(listing.value, order)
  return chosen.type === 'failed' ? chosen : ok({ client, commit, listing: listing.value, ...chosen.value })
}

/** The files of the shards that an index names, in their order. */
export const shardsOf = (
  { listing, main: { path } }: Found,
  { shards }: ShardedIndex,
  { reference, at }: HubOrder,
): Result<readonly RemoteFile[]> => {
  const byPath = new Map(listing.map((file) => [file.path, file]))
  const folder = path.slice(0, path.lastIndexOf('/') + 1)
  const found = shards.map((shard) => byPath.get(folder + shard))
  const missing = shards.filter((_, i) => found[i] === undefined)
  return missing.length > 0
    ? failed(say.hubWithoutShards(at, reference, missing))
    : ok(found.flatMap((file) => file ?? []))
}
