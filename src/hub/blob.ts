import type { Hash } from 'node:crypto'
import { open, rename, rm, stat, type FileHandle } from 'node:fs/promises'
import { constants } from 'node:fs'
import { join } from 'node:path'
import { ENDS_EARLY, hubChanged } from '../base/catalogue/hub.js'
import { failed, ok, type Result } from '../base/result.js'
import { errorCode, ioProblem } from '../safetensors/io-problem.js'
import { backoff, type HubClient, type HubFailure, type RemoteFile } from './client.js'

/** A file that is to be put into a cache. */
export interface BlobOrder {
  readonly client: HubClient
  readonly repository: string
  readonly commit: string
  readonly file: RemoteFile
  /** The folder `blobs` of the repository in the cache. */
  readonly folder: string
  readonly wait: (ms: number) => Promise<void>
  /** Told of bytes that are on disk, also of those that an earlier download left. */
  readonly arrived: (bytes: number) => void
}

/** What became of it: a path, a problem that has been put into words, or why the hub gave no more. */
export type BlobResult = Result<string> | { readonly type: 'unanswered'; readonly failure: HubFailure }

/** Tries in a row that bring no byte. */
const TRIES = 5
/** Bytes of a piece when what was downloaded before is read again for its digest. */
const PIECE = 1 << 20

const newHash = async ({ digest, bytes }: RemoteFile): Promise<Hash> => {
  const { createHash } = await import('node:crypto')
  return digest.type === 'sha256' ? createHash('sha256') : createHash('sha1').update(`blob ${bytes}\0`)
}

/** Adds what an earlier download left of a file to its digest; gives how much that is. */
const takeUp = async (handle: FileHandle, { bytes }: RemoteFile, hash: Hash): Promise<number> => {
  const { size } = await handle.stat()
  if (size > bytes) await handle.truncate(0)
  const left = size > bytes ? 0 : size
  const piece = Buffer.allocUnsafeSlow(Math.min(PIECE, Math.max(left, 1)))
  for (let done = 0; done < left;) {
    const { bytesRead } = await handle.read(piece, 0, Math.min(piece.length, left - done), done)
    if (bytesRead === 0) return done
    hash.update(piece.subarray(0, bytesRead))
    done += bytesRead
  }
  return left
}

const writeAll = async (handle: FileHandle, piece: Uint8Array, position: number): Promise<void> => {
  for (let done = 0; done < piece.length;)
    done += (await handle.write(piece, done, piece.length - done, position + done)).bytesWritten
}

/** One way through a file: from what is there to its end. */
const complete = async (
  handle: FileHandle,
  path: string,
  order: BlobOrder,
): Promise<BlobResult | { readonly type: 'differs'; readonly resumed: boolean }> => {
  const { client, file, wait, arrived } = order
  const hash = await newHash(file)
  const from = await takeUp(handle, file, hash)
  arrived(from)
  let done = from
  let broken: unknown
  const take = async (piece: Uint8Array): Promise<boolean> => {
    // More than the hub announced is no longer written: its digest cannot be right.
    const fits = piece.subarray(0, file.bytes - done)
    try {
      await writeAll(handle, fits, done)
    } catch (error) {
      broken = error
      return false
    }
    hash.update(piece)
    done += fits.length
    arrived(fits.length)
    return fits.length === piece.length
  }
  let last: HubFailure = { type: 'unreachable', reason: ENDS_EARLY }
  for (let tried = 0; done < file.bytes;) {
    const before = done
    const answer = await client.read(order.repository, order.commit, file, done, take)
    if (broken !== undefined) return failed(ioProblem(broken, path, 'write'))
    if (answer.type === 'stopped' || answer.type === 'refused' || answer.type === 'odd')
      return { type: 'unanswered', failure: answer }
    // A connection may end early without an error.
    last = answer.type === 'ok' ? last : answer
    tried = done > before ? 0 : tried + 1
    if (tried >= TRIES) return { type: 'unanswered', failure: last }
    if (done < file.bytes) await wait(backoff(tried))
  }
  return hash.digest('hex') === file.digest.hex ? ok(path) : { type: 'differs', resumed: from > 0 }
}

/** True where a file of the right size has the name of its digest: only what was checked gets it. */
const isComplete = (path: string, { bytes }: RemoteFile): Promise<boolean> =>
  stat(path).then(
    ({ size }) => size === bytes,
    () => false,
  )

/**
 * Downloads a file under the name of its digest, and checks it. What an earlier download left of it is kept, whoever
 * made it: Hugging Face's own tools name it alike. Two downloads at once write the same bytes to the same places.
 */
export const fetchBlob = async (order: BlobOrder): Promise<BlobResult> => {
  const { file, folder } = order
  const target = join(folder, file.digest.hex)
  if (await isComplete(target, file)) {
    order.arrived(file.bytes)
    return ok(target)
  }
  const path = `${target}.incomplete`
  try {
    // Once more from the beginning, where a part of another version of the file may have been there.
    for (let again = true; ; again = false) {
      const handle = await open(path, constants.O_RDWR | constants.O_CREAT, 0o644)
      let result: Awaited<ReturnType<typeof complete>>
      try {
        result = await complete(handle, path, order)
        if (result.type === 'ok') await handle.sync()
      } finally {
        await handle.close()
      }
      if (result.type === 'failed' || result.type === 'unanswered') return result
      if (result.type === 'ok') break
      await rm(path, { force: true })
      order.arrived(-file.bytes)
      if (!again || !result.resumed) return failed(hubChanged(order.repository, file.path))
    }
    await rename(path, target)
  } catch (error) {
    // Another download of it may have been done first.
    if (errorCode(error) === 'ENOENT' && (await isComplete(target, file))) return ok(target)
    return failed(ioProblem(error, path, 'write'))
  }
  return ok(target)
}
