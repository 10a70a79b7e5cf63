import { stopped } from '../base/catalogue/run.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { createHasher } from '../base/digest.js'
import { failed, ok, type Result } from '../base/result.js'
import { bytesFor } from '../tensor/dtype.js'
import { countsUp, holdsPositions, type Oddity } from './oddities.js'
import { readRanges } from './read-ranges.js'
import type { Stopwatch } from './stopwatch.js'
import type { CopyOrder, DigestOrder, UntimedResult } from './unit.js'
import { WIDEST, type Workspace } from './workspace.js'
import { writeBlock } from './write-block.js'

/** Copies a read to a write, byte for byte. */
export const copyUnit = (workspace: Workspace, unit: CopyOrder, watch: Stopwatch): Result<UntimedResult> => {
  const [[read], [write]] = [unit.reads, unit.writes]
  const hash = createHasher()
  const odd = new Set<Oddity>()
  const problem = readBlocks(workspace, unit, watch, (data, offset, from, n) => {
    if (from === 0 && n === unit.end && holdsPositions(write.tensor) && !countsUp(read.dtype, data))
      odd.add('positions')
    const unwritten = writeBlock(workspace, write, offset, from, n, hash, false)
    watch.lap('write')
    if (unwritten !== 'non-finite') return unwritten
    odd.add(unwritten)
    return undefined
  })
  if (problem !== undefined) return failed(problem)
  const digest = hash.digest()
  const bytes = bytesFor(unit.end - unit.start, read.dtype)
  return ok({
    id: unit.id,
    found: [],
    readDigests: [read.digest ? digest : undefined],
    writeDigests: [digest],
    bytesRead: bytes,
    bytesWritten: bytes,
    ...(odd.size === 0 ? {} : { odd: [...odd].map((oddity) => [0, oddity] as const) }),
  })
}

/** Reads for the digest alone. */
export const digestUnit = (workspace: Workspace, unit: DigestOrder, watch: Stopwatch): Result<UntimedResult> => {
  const [read] = unit.reads
  const hash = createHasher()
  const problem = readBlocks(workspace, unit, watch, (data) => {
    hash.update(data)
    watch.lap('read')
    return undefined
  })
  if (problem !== undefined) return failed(problem)
  return ok({
    id: unit.id,
    found: [],
    readDigests: [read.digest ? hash.digest() : undefined],
    writeDigests: [],
    bytesRead: bytesFor(unit.end - unit.start, read.dtype),
    bytesWritten: 0,
  })
}

/** Reads a unit block by block, each into the same memory, until one is not taken. */
const readBlocks = (
  { cutting, open, reserve, bytesAt, stopping }: Workspace,
  { start, end, reads: [read] }: CopyOrder | DigestOrder,
  watch: Stopwatch,
  take: (data: Uint8Array, offset: number, from: number, n: number) => Diagnostic | undefined,
): Diagnostic | undefined => {
  const buffer = reserve('copy', WIDEST * cutting.block)
  for (let from = start; from < end; from += cutting.block) {
    if (stopping()) return stopped()
    const n = Math.min(cutting.block, end - from)
    const data = bytesAt(buffer, bytesFor(n, read.dtype))
    const problem = readRanges(open(read.path, read.unfinished === true ? 'r+' : 'r'), read, from, data)
    if (problem !== undefined) return problem
    watch.lap('read')
    const refused = take(data, buffer, from, n)
    if (refused !== undefined) return refused
  }
  return undefined
}
