import { copyFile, mkdir, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import type { Diagnostic } from '../base/diagnostic.js'
import { failed, ok, type Result } from '../base/result.js'
import { BIN_INDEX } from '../pytorch/open.js'
import { errorCode, ioProblem } from '../safetensors/io-problem.js'
import { readIndex } from '../safetensors/sharded-index.js'
import { preflight } from '../safetensors/space.js'
import { fetchBlob } from './blob.js'
import { refFile, repositoryFolder, snapshotFolder } from './cached.js'
import type { HubClient, RemoteFile } from './client.js'
import { findFiles, isIndex, ofFailure, shardsOf, type HubOrder } from './find.js'
import { isCommit, MAIN } from './reference.js'

/** What is to be downloaded. */
export interface DownloadOrder extends HubOrder {
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
  const { access, reference, listener } = order
  const { cache } = access
  const { repository, revision = MAIN } = reference
  const found = await findFiles(order)
  if (found.type === 'failed') return found
  const { client, commit, main, sides } = found.value
  const blobs = join(repositoryFolder(cache, repository), 'blobs')
  const fetchAll = async (files: readonly RemoteFile[]): Promise<Result<void>> => {
    const room = preflight(cache, await lacking(blobs, files))
    if (room.type === 'failed') return room
    listener.found(
      files.length,
      files.reduce((n, f) => n + f.bytes, 0),
    )
    return fetchFiles(client, commit, files, order)
  }
  try {
    const first = await fetchAll([main, ...sides])
    if (first.type === 'failed') return first
    if (isIndex(main.path)) {
      const local = join(snapshotFolder(cache, repository, commit), ...main.path.split('/'))
      const index = await readIndex(local, main.path.endsWith(BIN_INDEX) ? '.bin' : '.safetensors')
      if (index.type === 'failed') return index
      const shards = shardsOf(found.value, index.value, order)
      if (shards.type === 'failed') return shards
      const rest = await fetchAll(shards.value)
      if (rest.type === 'failed') return rest
    }
    // Last, so that whoever goes by the branch finds a complete model.
    if (!isCommit(revision) && order.commit === undefined) await writeRef(refFile(cache, repository, revision), commit)
    return ok(commit)
  } catch (error) {
    return failed(ioProblem(error, cache, 'write'))
  }
}
