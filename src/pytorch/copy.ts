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

/** Bytes that are copied at once: few enough to be in the second cache when they are written. */
const PIECE = 1 << 20
/** Bytes after which the disk is asked to begin writing, so that little is left to wait for at the end. */
const FLUSH = 1 << 28

const fdatasync = promisify(fs.fdatasync)

/**
 * Copies ranges of a file to another, in order, while the disk writes what was copied before. `check` judges the CRC-32
 * of each range that is not empty, which is undefined where Node.js cannot compute it. Nothing is under way any more
 * when it returns.
 */
export const copyRanges = async <T extends CopiedRange>(
  source: OpenFile,
  target: OpenFile,
  ranges: Iterable<T>,
  check: (range: T, sum: number | undefined) => Diagnostic | undefined,
): Promise<Diagnostic | undefined> => {
  const piece = Buffer.allocUnsafe(PIECE)
  const flushes: Promise<Diagnostic | undefined>[] = []
  let unflushed = 0
  const copy = (range: T): Diagnostic | undefined => {
    const { begin, end, to } = range
    let sum: number | undefined = 0
    for (let from = begin; from < end; from += PIECE) {
      const part = piece.subarray(0, Math.min(PIECE, end - from))
      const problem =
        readFully(source.fd, source.path, part, from) ?? writeFully(target.fd, target.path, part, to + from - begin)
      if (problem !== undefined) return problem
      sum = checksum(part, sum)
      unflushed += part.length
      if (unflushed < FLUSH) continue
      unflushed = 0
      // A flush that fails is told once: the next one may succeed without the pages that were lost.
      const failing = (error: unknown): Diagnostic => ioProblem(error, target.path, 'sync')
      flushes.push(fdatasync(target.fd).then(() => undefined, failing))
    }
    return begin === end ? undefined : check(range, sum)
  }
  let problem: Diagnostic | undefined
  for (const range of ranges) {
    problem = copy(range)
    if (problem !== undefined) break
  }
  const flushed = await Promise.all(flushes)
  return problem ?? flushed.find((other) => other !== undefined)
}
