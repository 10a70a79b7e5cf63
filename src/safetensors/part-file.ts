/**
 * Files of which several tasks write a part each, in a file of its own: as long as the whole, with holes where others
 * write. So every tensor lies where it will, one process writes each file, and a file with one part only has to be
 * renamed.
 */
import fs from 'node:fs'
import { dirname } from 'node:path'
import { partAltered } from '../base/catalogue/cluster.js'
import { blake3, SEGMENT, tensorDigest, type Digest } from '../base/digest.js'
import { failed, ok, type Result } from '../base/result.js'
import { bytesFor, type Dtype } from '../tensor/dtype.js'
import { errorCode, ioProblem } from './io-problem.js'
import { makeFolder } from './make-folder.js'
import { identityOf } from './open.js'
import { openOutput, type OutputFile } from './output.js'
import { readFully, writeFully } from './positional.js'
import { READ_ONLY } from './regular-file.js'
import { withWebHashes } from './web-hashes.js'

const { O_CREAT, O_EXCL, O_NOFOLLOW = 0, O_RDWR } = fs.constants

/** Starts a part of a file of `bytes` bytes, which stays when it is discarded: that only closes it. */
export const createPart = (finalPath: string, part: string, bytes: number): Result<OutputFile> => {
  try {
    makeFolder(dirname(part))
    const fd = fs.openSync(part, O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR, 0o666)
    const output = openOutput(finalPath, part, fd, { keep: true })
    fs.ftruncateSync(fd, bytes)
    return ok(output)
  } catch (error) {
    return failed(ioProblem(error, part, 'create'))
  }
}

/** Opens a part that is done, to complete it and give it its name; it stays if that fails. Undefined if it is gone. */
export const openPart = (finalPath: string, part: string): Result<OutputFile | undefined> => {
  try {
    return ok(openOutput(finalPath, part, fs.openSync(part, O_NOFOLLOW | O_RDWR), { keep: true }))
  } catch (error) {
    return errorCode(error) === 'ENOENT' ? ok(undefined) : failed(ioProblem(error, part, 'read'))
  }
}

/**
 * Opens a file that has its name already, since a commit that was killed came so far. Its header tells whether it is the
 * one that is meant: it has a digest of the whole build.
 */
export const openStanding = (finalPath: string, bytes: number): Result<OutputFile | undefined> => {
  let fd: number
  try {
    fd = fs.openSync(finalPath, READ_ONLY)
  } catch (error) {
    return errorCode(error) === 'ENOENT' ? ok(undefined) : failed(ioProblem(error, finalPath, 'read'))
  }
  let isOpen = true
  const close = (): Promise<void> => {
    if (isOpen) fs.closeSync(fd)
    isOpen = false
    return Promise.resolve()
  }
  if (fs.fstatSync(fd).size !== bytes) {
    void close()
    return ok(undefined)
  }
  return ok({
    finalPath,
    temporaryPath: finalPath,
    fd,
    rewriteHeader: (header) => {
      const found = new Uint8Array(header.length)
      const problem = readFully(fd, finalPath, found, 0)
      if (problem !== undefined) return failed(problem)
      const isMeant = Buffer.compare(found, withWebHashes(header, fd)) === 0
      return isMeant ? ok(undefined) : failed(partAltered(finalPath))
    },
    identity: () => identityOf(fs.fstatSync(fd, { bigint: true })),
    commit: () => close().then(() => ok(undefined)),
    discard: close,
  })
}

/** A tensor in a file, and what its bytes are to be. */
export interface PlacedTensor {
  readonly tensor: string
  readonly begin: number
  readonly elements: number
  readonly dtype: Dtype
  readonly digest: Digest
}

/** Reads a tensor, compares it with its digest, and copies it to the same place of another file if one is given. */
export const takeTensor = (
  from: OutputFile,
  { tensor, begin, elements, dtype, digest }: PlacedTensor,
  to?: OutputFile,
): Result<void> => {
  const segments: Uint8Array[] = []
  for (let first = 0; first < elements; first += SEGMENT) {
    const bytes = new Uint8Array(bytesFor(Math.min(SEGMENT, elements - first), dtype))
    const at = begin + bytesFor(first, dtype)
    const unread = readFully(from.fd, from.temporaryPath, bytes, at)
    if (unread !== undefined) return failed(unread)
    segments.push(blake3(bytes))
    const unwritten = to === undefined ? undefined : writeFully(to.fd, to.temporaryPath, bytes, at)
    if (unwritten !== undefined) return failed(unwritten)
  }
  return tensorDigest(segments) === digest ? ok(undefined) : failed(partAltered(from.temporaryPath, tensor))
}
