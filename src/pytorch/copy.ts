import fs from 'node:fs'
import { promisify } from 'node:util'
import type { Diagnostic } from '../base/diagnostic.js'
import { ioProblem } from '../safetensors/io-problem.js'
import { readFully, writeFully } from '../safetensors/positional.js'
import { checksum } from './archive.js'

/** Bytes `begin..end` of one file that go to a position of another. */
export interface CopiedRange {
  readonly begin: number
  readonly end: number
  readonly to: number
}

/** A file that is open, and its path for the words. */
export interface OpenFile {
  readonly fd: number
  readonly path: string
}

/** Bytes that are copied at once: few enough to be in the L2 cache when they are written. */
const PIECE = 1 << 20
/** Ranges that are copied at once, so that one is read and written while the checksum of another is computed. */
const LANES = 3
/** Bytes after which the disk is asked to begin writing, so that little is left to wait for at the end. */
const FLUSH = 1 << 28

const [fdatasync, read, write] = [promisify(fs.fdatasync), promisify(fs.read), promisify(fs.write)]

/** One call; what it leaves is up to the call that waits, which also tells what is wrong. */
const movedBy = (call: Promise<{ readonly bytesRead?: number; readonly bytesWritten?: number }>): Promise<number> =>
  call.then(
    ({ bytesRead, bytesWritten }) => bytesRead ?? bytesWritten ?? 0,
    () => 0,
  )

/** Copies bytes from one position to another by way of `piece`. */
const movePiece = async (
  source: OpenFile,
  target: OpenFile,
  piece: Buffer,
  [from, to]: readonly [number, number],
): Promise<Diagnostic | undefined> => {
  const got = await movedBy(read(source.fd, piece, 0, piece.length, from))
  const unread = got === piece.length ? undefined : readFully(source.fd, source.path, piece.subarray(got), from + got)
  if (unread !== undefined) return unread
  const put = await movedBy(write(target.fd, piece, 0, piece.length, to))
  return put === piece.length ? undefined : writeFully(target.fd, target.path, piece.subarray(put), to + put)
}

/**
 * Copies ranges of a file to another, several at once, while the disk writes what was copied before. `check` judges the
 * CRC-32 of each range that is not empty, which is undefined where Node.js cannot compute it. Nothing is under way any
 * more when it returns.
 */
export const copyRanges = async <T extends CopiedRange>(
  source: OpenFile,
  target: OpenFile,
  ranges: Iterable<T>,
  check: (range: T, sum: number | undefined) => Diagnostic | undefined,
): Promise<Diagnostic | undefined> => {
  let problem: Diagnostic | undefined
  let [unflushed, flushing]: [number, Promise<void> | undefined] = [0, undefined]
  const flush = (): void => {
    unflushed = 0
    // A flush that fails is told once: the next one may succeed without the pages that were lost.
    flushing = fdatasync(target.fd)
      .catch((error: unknown) => void (problem ??= ioProblem(error, target.path, 'sync')))
      .finally(() => (flushing = undefined))
  }
  const copy = async ({ begin, end, to }: T, piece: Buffer): Promise<number | undefined> => {
    let sum = checksum(piece.subarray(0, 0))
    for (let from = begin; from < end && problem === undefined; from += PIECE) {
      const part = piece.subarray(0, Math.min(PIECE, end - from))
      const found = await movePiece(source, target, part, [from, to + from - begin])
      // Another range may have failed meanwhile.
      problem ??= found
      sum = checksum(part, sum)
      unflushed += part.length
      if (unflushed >= FLUSH && flushing === undefined) flush()
    }
    return sum
  }
  const left = ranges[Symbol.iterator]()
  const work = async (): Promise<void> => {
    const piece = Buffer.allocUnsafeSlow(PIECE)
    for (let next = left.next(); next.done !== true && problem === undefined; next = left.next()) {
      const range = next.value
      const sum = await copy(range, piece)
      if (range.begin < range.end) problem ??= check(range, sum)
    }
  }
  await Promise.all(Array.from({ length: LANES }, work))
  await flushing
  return problem
}
