import fs from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { inputChanged } from '../base/catalogue/run.js'
import { mended, notMendable, repairTargetExists, UNMENDABLE } from '../base/catalogue/repair.js'
import { failed, ok, type Result } from '../base/result.js'
import { DTYPES } from '../tensor/dtype.js'
import { headerLength, MAX_HEADER, PREFIX } from './header.js'
import { ioProblem } from './io-problem.js'
import { bytesOf, layoutFile } from './layout.js'
import { readLenientHeader, type LenientEntry } from './lenient-header.js'
import { identityOf, isSameFile, openingProblem, readHeader, type SafetensorsFile } from './open.js'
import { createOutput } from './output.js'
import { readFully, writeFully } from './positional.js'
import { HEAD, recogniseOther } from './recognise.js'
import { createRunId } from './run-id.js'

/** What was repaired, and where the whole copy lies; no `out` where nothing had to be. */
export interface Repaired {
  readonly path: string
  readonly out: string | undefined
  /** What was done about each defect, as sentences in the past tense. */
  readonly mended: readonly string[]
  readonly tensors: number
  /** Of the file that was written. */
  readonly bytes: number
}

/** Bytes that are copied at once. */
const PIECE = 1 << 23

/** The name of a repaired copy beside its original. */
export const repairedName = (path: string): string =>
  join(dirname(path), `${basename(path).replace(/\.(?:safetensors|sft)$/i, '')}.repaired.safetensors`)

/** Judges where tensors lie: what of it a copy puts right, or why it cannot be. */
const judgeLayout = (path: string, entries: readonly LenientEntry[], dataBytes: number): Result<readonly string[]> => {
  const [empty, copied, unaligned]: [string[], string[], string[]] = [[], [], []]
  let [holes, inHoles, previous]: [number, number, LenientEntry | undefined] = [0, 0, undefined]
  for (const entry of [...entries].sort((x, y) => x.begin - y.begin || x.end - y.end)) {
    const { name, dtype, shape, begin, end } = entry
    if (end - begin !== (shape.reduce((n, d) => n * d, 1) * DTYPES[dtype].bits) / 8)
      return failed(notMendable(path, UNMENDABLE.size(name), name))
    const last = previous?.end ?? 0
    if (begin === end) {
      if (begin !== last && !entries.some((e) => e.begin === begin && e !== entry)) empty.push(name)
      continue
    }
    if (end > dataBytes) return failed(notMendable(path, UNMENDABLE.cutShort(end - dataBytes), name))
    const shared = previous !== undefined && previous.begin === begin && previous.end === end
    if (begin < last && !shared) return failed(notMendable(path, UNMENDABLE.overlap(name, previous!.name), name))
    if (shared) copied.push(name)
    if (begin > last) [holes, inHoles] = [holes + 1, inHoles + begin - last]
    const size = DTYPES[dtype].bits / 8
    if (size > 1 && begin % size !== 0) unaligned.push(name)
    previous = entry
  }
  const trailing = dataBytes - (previous?.end ?? 0)
  return ok([
    ...(holes === 0 ? [] : [mended.holes(holes, inHoles)]),
    ...(trailing === 0 ? [] : [mended.trailing(trailing)]),
    ...(copied.length === 0 ? [] : [mended.copied(copied)]),
    ...(empty.length === 0 ? [] : [mended.empty(empty)]),
    ...(unaligned.length === 0 ? [] : [mended.aligned(unaligned)]),
  ])
}

/** What the header means, and everything that has to be done about the file. */
const diagnose = (path: string, fd: number, size: number) => {
  const read = (length: number, position: number): Buffer => {
    const buffer = Buffer.alloc(Math.min(length, Math.max(0, size - position)))
    const problem = readFully(fd, path, buffer, position)
    if (problem !== undefined) throw Object.assign(new Error(problem.message), { code: 'EIO' })
    return buffer
  }
  const other = recogniseOther(path, read(HEAD, 0))
  const length = headerLength(path, read(PREFIX, 0), size)
  if (length.type === 'failed') return failed(other ?? length.diagnostics[0]!)
  const header = readLenientHeader(path, read(Math.min(length.value, MAX_HEADER), PREFIX))
  if (header.type === 'failed') return failed(other ?? header.diagnostics[0]!)
  const dataBegin = PREFIX + length.value
  const layout = judgeLayout(path, header.value.entries, size - dataBegin)
  return layout.type === 'failed'
    ? layout
    : ok({ ...header.value, dataBegin, defects: [...header.value.defects, ...layout.value] })
}

const untouched = (path: string, strict: Result<SafetensorsFile>, bytes: number): Repaired => ({
  path,
  out: undefined,
  mended: [],
  tensors: strict.type === 'ok' ? strict.value.tensors.size : 0,
  bytes,
})

/**
 * Writes a copy of a safetensors file that keeps every rule of the format, for every defect that leaves no doubt about
 * any number; says what
 * it did about each. Reads the original and never writes to it; overwrites nothing. The tensors' bytes are copied as
 * they are.
 */
export const repairFile = async (path: string, out: string): Promise<Result<Repaired>> => {
  const strict = await readHeader(path)
  let fd: number
  try {
    if (strict.type === 'failed' && !(await stat(path)).isFile()) return strict
    fd = fs.openSync(path, 'r')
  } catch (error) {
    return failed(await openingProblem(error, path))
  }
  try {
    const identity = identityOf(fs.fstatSync(fd, { bigint: true }))
    const found = diagnose(path, fd, identity.size)
    // What is odd and yet valid needs no repair, even where it could not be written again.
    if (found.type === 'failed' && strict.type === 'failed') return found
    if (found.type === 'failed' || (strict.type === 'ok' && found.value.defects.length === 0))
      return ok(untouched(path, strict, identity.size), strict.diagnostics)
    const { entries, metadata, dataBegin, defects } = found.value
    // Beyond a limit of smelt rather than against the rules of the format: a copy would be refused in the same way.
    if (strict.type === 'failed' && defects.length === 0) return strict
    if (fs.existsSync(out)) return failed(repairTargetExists(out))
    const layout = layoutFile(entries, Object.fromEntries(metadata))
    const output = await createOutput(out, layout.header, layout.bytes, createRunId(), { fresh: true })
    if (output.type === 'failed') return output
    const { fd: target, temporaryPath, commit, discard } = output.value
    const piece = Buffer.allocUnsafe(PIECE)
    for (const entry of entries) {
      const to = layout.offsets.get(entry.name)!.begin
      for (let done = 0, bytes = bytesOf(entry); done < bytes; done += PIECE) {
        const part = piece.subarray(0, Math.min(PIECE, bytes - done))
        const problem =
          readFully(fd, path, part, dataBegin + entry.begin + done) ??
          writeFully(target, temporaryPath, part, to + done)
        if (problem === undefined) continue
        await discard()
        return failed(problem)
      }
    }
    if (!isSameFile(identity, identityOf(fs.fstatSync(fd, { bigint: true })))) {
      await discard()
      return failed(inputChanged(path))
    }
    const committed = await commit()
    if (committed.type === 'failed') return fs.existsSync(out) ? failed(repairTargetExists(out)) : committed
    const judged = await readHeader(out)
    if (judged.type === 'failed') throw new Error(`a repaired file that is none: ${judged.diagnostics[0]!.message}`)
    return ok(
      {
        path,
        out,
        mended: defects.length === 0 ? [mended.header] : defects,
        tensors: entries.length,
        bytes: layout.bytes,
      },
      judged.diagnostics,
    )
  } catch (error) {
    return failed(ioProblem(error, path, 'read'))
  } finally {
    fs.closeSync(fd)
  }
}
