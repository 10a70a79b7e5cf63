import { copyFile, mkdir, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import * as say from '../base/catalogue/hub.js'
import { stopped } from '../base/catalogue/run.js'
import type { Diagnostic, Place } from '../base/diagnostic.js'
import { failed, ok, type Result } from '../base/result.js'
import { nearest } from '../base/suggest.js'
import { BIN_INDEX } from '../pytorch/open.js'
import { errorCode, ioProblem } from '../safetensors/io-problem.js'
import { INDEX_SUFFIX, readIndex } from '../safetensors/sharded-index.js'
import { preflight } from '../safetensors/space.js'
import type { HubAccess } from './access.js'
import { fetchBlob } from './blob.js'
import { refFile, repositoryFolder, snapshotFolder } from './cached.js'
import { chooseFile, type HubKind } from './choose.js'
import { openHub, type HubClient, type HubFailure, type RemoteFile } from './client.js'
import { isCommit, MAIN, type HubReference } from './reference.js'

/** What is to be downloaded. */
export interface DownloadOrder {
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
  readonly listener: DownloadListener
}

/** Hears how a download goes on. */
export interface DownloadListener {
  /** Files that are to be had, and their bytes; again once an index has told which shards there are. */
  found(files: number, bytes: number): void
  /** Bytes that are on disk now; negative where some are given up. */
  arrived(bytes: number): void
}

/** Files that are downloaded at once. */
const AT_ONCE = 4

const ofFailure = (failure: HubFailure, { access, reference, at, short }: DownloadOrder): Diagnostic => {
  const { repository, revision } = reference
  if (failure.type === 'stopped') return stopped()
  if (failure.type === 'unreachable') return say.hubUnreachable(at, repository, failure.reason, access.cache)
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
  { reference, kind, isSide, at }: DownloadOrder,
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

let placed = 0
/** A name beside a file that nobody else uses, in this process or another. */
const besideOf = (path: string): string => `${path}.${process.pid}.${placed++}.new`

/** Puts a file of a snapshot where its name is looked for: a link to its blob, or a copy where links are not allowed. */
const place = async (blob: string, path: string): Promise<void> => {
  await mkdir(dirname(path), { recursive: true })
  const beside = besideOf(path)
  await rm(beside, { force: true })
  await symlink(relative(dirname(path), blob), beside).catch(async (error: unknown) => {
    if (!['EPERM', 'ENOSYS', 'EOPNOTSUPP', 'UNKNOWN'].includes(errorCode(error))) throw error
    await copyFile(blob, beside)
  })
  await rename(beside, path)
}

/** Downloads some files, a few at once, until one fails. */
const fetchFiles = async (
  client: HubClient,
  commit: string,
  files: readonly RemoteFile[],
  order: DownloadOrder,
): Promise<Result<void>> => {
  const { access, reference, listener } = order
  const { repository } = reference
  const folder = join(repositoryFolder(access.cache, repository), 'blobs')
  const snapshot = snapshotFolder(access.cache, repository, commit)
  const left = [...files]
  const problems: Diagnostic[] = []
  const work = async (): Promise<void> => {
    for (let file = left.shift(); file !== undefined && problems.length === 0; file = left.shift()) {
      const done = await fetchBlob({
        client,
        repository,
        commit,
        file,
        folder,
        wait: access.wait ?? ((ms) => new Promise((resolve) => setTimeout(resolve, ms))),
        arrived: listener.arrived,
      })
      if (done.type === 'unanswered') problems.push(ofFailure(done.failure, order))
      else if (done.type === 'failed') problems.push(done.diagnostics[0]!)
      else await place(done.value, join(snapshot, ...file.path.split('/')))
    }
  }
  await mkdir(folder, { recursive: true })
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  return problems.length > 0 ? failed(problems[0]!) : ok(undefined)
}

/** The bytes of what a folder of blobs lacks. */
const lacking = async (folder: string, files: readonly RemoteFile[]): Promise<number> => {
  const there = new Set(await readdir(folder).catch((): string[] => []))
  return files.reduce((n, { digest, bytes }) => n + (there.has(digest.hex) ? 0 : bytes), 0)
}

/** Writes down what a branch or tag is now. */
const writeRef = async (path: string, commit: string): Promise<void> => {
  await mkdir(dirname(path), { recursive: true })
  const beside = besideOf(path)
  await writeFile(beside, commit)
  await rename(beside, path)
}

/**
 * Downloads what a merge needs of a model or adapter into the Hugging Face cache, in the layout of Hugging Face's own
 * tools, and gives the commit: its tensors and what stands beside them, and nothing else of the repository. Every file is
 * checked against the digest that the hub has of it. What was interrupted continues.
 */
export const download = async (order: DownloadOrder): Promise<Result<string>> => {
  const { access, reference, at, listener, signal } = order
  const { cache } = access
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
  if (chosen.type === 'failed') return chosen
  const { main, sides } = chosen.value
  const blobs = join(repositoryFolder(cache, repository), 'blobs')
  try {
    const room = preflight(cache, await lacking(blobs, [main, ...sides]))
    if (room.type === 'failed') return room
    listener.found(
      1 + sides.length,
      [main, ...sides].reduce((n, f) => n + f.bytes, 0),
    )
    const first = await fetchFiles(client, commit, [main, ...sides], order)
    if (first.type === 'failed') return first
    if (main.path.endsWith(INDEX_SUFFIX) || main.path.endsWith(BIN_INDEX)) {
      const shards = await shardsOf(listing.value, main, commit, order)
      if (shards.type === 'failed') return shards
      const more = preflight(cache, await lacking(blobs, shards.value))
      if (more.type === 'failed') return more
      listener.found(
        shards.value.length,
        shards.value.reduce((n, f) => n + f.bytes, 0),
      )
      const rest = await fetchFiles(client, commit, shards.value, order)
      if (rest.type === 'failed') return rest
    }
    // Last, so that whoever goes by the branch finds a complete model.
    if (!isCommit(revision) && order.commit === undefined) await writeRef(refFile(cache, repository, revision), commit)
    return ok(commit)
  } catch (error) {
    return failed(ioProblem(error, cache, 'write'))
  }
}

/** The shards that a downloaded index names. */
const shardsOf = async (
  listing: readonly RemoteFile[],
  { path }: RemoteFile,
  commit: string,
  { access, reference, at }: DownloadOrder,
): Promise<Result<readonly RemoteFile[]>> => {
  const local = join(snapshotFolder(access.cache, reference.repository, commit), ...path.split('/'))
  const index = await readIndex(local, path.endsWith(BIN_INDEX) ? '.bin' : '.safetensors')
  if (index.type === 'failed') return index
  const byPath = new Map(listing.map((file) => [file.path, file]))
  const folder = path.slice(0, path.lastIndexOf('/') + 1)
  const found = index.value.shards.map((shard) => byPath.get(folder + shard))
  const missing = index.value.shards.filter((_, i) => found[i] === undefined)
  return missing.length > 0
    ? failed(say.hubWithoutShards(at, reference, missing))
    : ok(found.flatMap((file) => file ?? []))
}
