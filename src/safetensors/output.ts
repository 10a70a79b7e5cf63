import fs from 'node:fs'
import { link, unlink } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import type { IoOperation } from '../base/catalogue/io.js'
import { failed, ok } from '../base/result.js'
import type { Result } from '../base/result.js'
import { errorCode, ioProblem } from './io-problem.js'
import { makeFolder } from './make-folder.js'
import { obstacleAt } from './obstacle.js'
import { identityOf, type FileIdentity } from './open.js'
import { writeFully } from './positional.js'
import { withWebHashes } from './web-hashes.js'
import { createRunId, type RunId } from './run-id.js'
import { sweepTemporaries, temporaryName } from './temporary.js'

/** A file that is written under a temporary name and appears under `finalPath` only with `commit`. */
export interface OutputFile {
  /** Absolute. */
  readonly finalPath: string
  /** Absolute; other threads open it by this name, or write through `fd`. */
  readonly temporaryPath: string
  readonly fd: number
  /** Replaces the header by another of the same length, with the hashes of the numbers behind it where it has them. */
  rewriteHeader(header: Uint8Array): Result<void>
  /** Its identity as of now. */
  identity(): FileIdentity
  /**
   * Syncs the file and renames it to its final name. If that fails, the old file stays, unless only the sync of the
   * folder failed.
   */
  commit(): Promise<Result<void>>
  /** Removes the temporary file. Harmless after `commit` or a second time. */
  discard(): Promise<void>
}

/** The system calls of a commit; tests pass ones that fail. */
export interface CommitIo {
  fsync(fd: number): Promise<void>
  close(fd: number): Promise<void>
  rename(from: string, to: string): Promise<void>
}

const NODE: CommitIo = { fsync: promisify(fs.fsync), close: promisify(fs.close), rename: promisify(fs.rename) }

/**
 * A hard link fails if the file exists, while a rename replaces it; file systems without links have only the rename.
 */
const LINKING: CommitIo = {
  ...NODE,
  rename: async (from, to) => {
    try {
      await link(from, to)
    } catch (error) {
      if (errorCode(error) === 'EEXIST') throw error
      return NODE.rename(from, to)
    }
    await unlink(from)
  },
}

const { O_CREAT, O_EXCL, O_NOFOLLOW = 0, O_RDONLY, O_RDWR } = fs.constants

/** How an output file is started. */
export interface StartOptions {
  /** Absolute path of an unfinished file of a killed run to resume; its bytes stay. */
  readonly adopt?: string | undefined
  /** If true, an existing file is never replaced, even one that appears at the last moment. */
  readonly fresh?: boolean
  readonly io?: CommitIo
}

/**
 * Starts a file of `bytes` bytes that begins with `header`, and creates its folder if needed. The temporary file is new
 * (or resumed), never a link, has its final size at once, and is removed if anything fails.
 */
export const createOutput = async (
  finalPath: string,
  header: Uint8Array,
  bytes: number,
  runId: RunId,
  { adopt, fresh = false, io = fresh ? LINKING : NODE }: StartOptions = {},
): Promise<Result<OutputFile>> => {
  const target = resolve(finalPath)
  const folder = dirname(target)
  const temporary = join(folder, temporaryName(basename(target), runId))
  let fd: number
  try {
    makeFolder(folder)
    const obstacle = obstacleAt(target, finalPath, { type: 'file', path: finalPath })
    if (obstacle !== undefined) return failed(obstacle)
    if (adopt !== undefined) fs.renameSync(adopt, temporary)
    fd = fs.openSync(temporary, (adopt === undefined ? O_CREAT | O_EXCL : 0) | O_NOFOLLOW | O_RDWR, 0o666)
  } catch (error) {
    return failed(ioProblem(error, finalPath, 'create'))
  }
  const output = openOutput(target, temporary, fd, { io })
  const problem = startFile(fd, temporary, header, bytes)
  if (problem === undefined) return ok(output)
  await output.discard()
  return failed(problem)
}

const startFile = (fd: number, path: string, header: Uint8Array, bytes: number) => {
  try {
    fs.ftruncateSync(fd, bytes)
  } catch (error) {
    return ioProblem(error, path, 'write')
  }
  return writeFully(fd, path, header, 0)
}

/**
 * A file that is open for writing under a temporary name. If `keep`, that name stays whatever fails, for somebody to try
 * again.
 */
export const openOutput = (
  finalPath: string,
  temporaryPath: string,
  fd: number,
  { io = NODE, keep = false }: { readonly io?: CommitIo; readonly keep?: boolean } = {},
): OutputFile => {
  let state: 'open' | 'closed' | 'done' = 'open'
  const close = (): Promise<void> => {
    if (state !== 'open') return Promise.resolve()
    state = 'closed'
    return io.close(fd)
  }
  const discard = async (): Promise<void> => {
    await close().catch(() => undefined)
    // What cannot be removed now is swept by a later run; the problem that led here matters more.
    if (state === 'closed' && !keep) await unlink(temporaryPath).catch(() => undefined)
    state = 'done'
  }
  const commit = async (): Promise<Result<void>> => {
    if (state !== 'open') throw new Error(`committed twice or after discard: ${finalPath}`)
    let doing: IoOperation = 'sync'
    try {
      // Never tried again: after a failed fsync the system forgets the lost pages and the next one succeeds without
      // them.
      await io.fsync(fd)
      doing = 'write'
      await close()
      doing = 'rename'
      await io.rename(temporaryPath, finalPath)
      state = 'done'
      doing = 'sync'
      await syncFolder(dirname(finalPath), io)
      return ok(undefined)
    } catch (error) {
      await discard()
      return failed(ioProblem(error, finalPath, doing))
    }
  }
  const rewriteHeader = (header: Uint8Array): Result<void> => {
    try {
      const problem = writeFully(fd, temporaryPath, withWebHashes(header, fd), 0)
      return problem === undefined ? ok(undefined) : failed(problem)
    } catch (error) {
      return failed(ioProblem(error, temporaryPath, 'read'))
    }
  }
  const identity = (): FileIdentity => identityOf(fs.fstatSync(fd, { bigint: true }))
  return { finalPath, temporaryPath, fd, rewriteHeader, identity, commit, discard }
}

/**
 * Writes a small file: complete, synced and under its final name, or not at all. Removes what killed processes left of
 * earlier attempts.
 */
export const writeOutput = async (
  path: string,
  bytes: Uint8Array,
  options: Pick<StartOptions, 'fresh'> = {},
): Promise<Result<void>> => {
  await sweepTemporaries(dirname(resolve(path)), basename(path))
  const file = await createOutput(path, bytes, bytes.length, createRunId(), options)
  return file.type === 'failed' ? file : file.value.commit()
}

/**
 * Removes an index durably before the first of its shards changes: until the last has changed, it would describe a
 * mixture of two models.
 */
export const withdraw = async (path: string, io: CommitIo = NODE): Promise<Result<void>> => {
  try {
    await unlink(path)
    await syncFolder(dirname(path), io)
    return ok(undefined)
  } catch (error) {
    return errorCode(error) === 'ENOENT' ? ok(undefined) : failed(ioProblem(error, path, 'write'))
  }
}

/**
 * Syncs the folder, so that the rename survives a power cut. File systems that cannot sync folders are accepted as they
 * are.
 */
const syncFolder = async (folder: string, io: CommitIo): Promise<void> => {
  if (process.platform === 'win32') return
  const fd = fs.openSync(folder, O_RDONLY)
  try {
    await io.fsync(fd)
  } catch (error) {
    if (!['EINVAL', 'ENOTSUP', 'ENOSYS'].includes(errorCode(error))) throw error
  } finally {
    fs.closeSync(fd)
  }
}
