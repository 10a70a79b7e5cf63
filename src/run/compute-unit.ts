import { createHasher } from '../base/digest.js'
import { stopped } from '../base/catalogue/run.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { failed, ok, type Result } from '../base/result.js'
import { STORED, type Program } from '../graph/program.js'
import { LOW_BINS } from '../kernels/selection.js'
import { bytesFor } from '../tensor/dtype.js'
import { createChunks, type Chunks } from './chunks.js'
import { createGeneratedInputs } from './generated-inputs.js'
import { encodeAt } from './host-codecs.js'
import { createMaskBits } from './mask-bits.js'
import { countsUp, holdsPositions, type Oddity } from './oddities.js'
import { accumulate, createAccumulator, needsSecondLook, PAIRS_BYTES, partialResult } from './reductions.js'
import { expectBySample } from './sample.js'
import type { Stopwatch } from './stopwatch.js'
import type { ComputedWrite, ComputeOrder, UntimedResult } from './unit.js'
import { WIDEST, type Workspace } from './workspace.js'
import { writeBlock } from './write-block.js'

/** Does a segment of a pass: reads, decodes, runs the program chunk by chunk, takes measures, encodes and writes. */
export type ComputeUnit = (unit: ComputeOrder, watch: Stopwatch) => Promise<Result<UntimedResult>>

/** Sets up what units of passes need. */
export const createComputeUnit = (workspace: Workspace): ComputeUnit => {
  const { kernels, engine, cutting, reserve } = workspace
  const maskBits = createMaskBits(kernels, cutting.block, workspace.open)
  const generated = createGeneratedInputs(workspace)

  /** Writes the outputs of a unit, block by block. */
  const createWriter = (unit: ComputeOrder, chunks: Chunks) => {
    const program = engine.programs[unit.program]!
    const encoded = unit.writes.map((w, i) =>
      isEncoded(w, program) ? reserve(`code${i}`, WIDEST * cutting.block) : undefined,
    )
    const hashes = unit.writes.map(() => createHasher())
    const unwritten = new Set<ComputedWrite>()
    const odd: (readonly [write: number, oddity: Oddity])[] = []
    let bytesWritten = 0

    /** True for copied token positions that do not count up. Detected only if the whole tensor is in one block. */
    const isDisordered = (w: ComputedWrite, from: number, n: number): boolean => {
      const source = chunks.sourceOf(w)
      return (
        source !== undefined &&
        from === 0 &&
        n === unit.end &&
        holdsPositions(w.tensor) &&
        !countsUp(source.dtype, workspace.bytesAt(source.offset, bytesFor(n, source.dtype)))
      )
    }
    const write = (i: number, offset: number, from: number, n: number): Diagnostic | undefined => {
      const [w, hash, code] = [unit.writes[i]!, hashes[i]!, encoded[i]]
      if (w.packed === true) {
        if (!maskBits.write(w, offset, from, n, hash)) unwritten.add(w)
        return undefined
      }
      if (code !== undefined) encodeAt(kernels, w.dtype, offset, n, code)
      const trouble = writeBlock(workspace, w, code ?? offset, from, n, hash, true, chunks.sourceOf(w))
      if (isDisordered(w, from, n)) odd.push([i, 'positions'])
      if (trouble === 'non-finite') odd.push([i, trouble])
      else if (trouble !== undefined) return trouble
      bytesWritten += bytesFor(n, w.dtype)
      return undefined
    }
    return {
      /** Writes `n` elements from element `from` on, of outputs that lie at `places`. */
      writeAll: (places: readonly number[], from: number, n: number): Diagnostic | undefined => {
        for (const [i, w] of unit.writes.entries()) {
          const problem = write(i, places[w.port]!, from, n)
          if (problem !== undefined) return problem
        }
        return undefined
      },
      result: () => ({
        writeDigests: hashes.map((h, i) => (unwritten.has(unit.writes[i]!) ? undefined : h.digest())),
        bytesWritten,
        ...(odd.length === 0 ? {} : { odd }),
      }),
    }
  }

  return async (unit, watch) => {
    const elements = unit.end - unit.start
    const chunks = createChunks(workspace, unit, generated, maskBits, watch)
    const accumulators = unit.takes.map((take, i) =>
      createAccumulator(kernels, take, unit, (purpose, bytes) => reserve(`${purpose}${i}`, bytes)),
    )
    const writer = createWriter(unit, chunks)
    const counts = unit.takes.some((t) => needsSecondLook(t, elements)) ? reserve('low', 4 * LOW_BINS) : 0
    const room = accumulators.some((a) => a.bins > 0) ? reserve('pairs', PAIRS_BYTES) : 0
    const unloaded = chunks.load()
    if (unloaded !== undefined) return failed(unloaded)
    engine.grown(kernels.view(Uint8Array, 0, 1).buffer)

    const unsampled = await expectBySample(workspace, unit, chunks, accumulators)
    if (unsampled !== undefined) return failed(unsampled)

    const takeAll = (places: readonly number[], n: number, from: number): void => {
      unit.takes.forEach((take, i) => void accumulate(kernels, take, places, n, accumulators[i]!, from))
      if (unit.takes.length > 0) watch.lap('take')
    }
    const readHashes = unit.reads.map((r) => (r.digest ? createHasher() : undefined))
    /** True where all that is left is to look for an element that was found. */
    const isOver = (): boolean =>
      unit.takes.length > 0 &&
      accumulators.every(({ located }) => located >= 0) &&
      readHashes.every((hash) => hash === undefined) &&
      unit.writes.length === 0
    /** Computes a block that has been read. */
    const computeBlock = async (from: number, n: number): Promise<Diagnostic | undefined> => {
      for (let start = from; start < from + n && !isOver();) {
        if (workspace.stopping()) return stopped()
        const end = chunks.endOf(start, from + n)
        const places = chunks.placesAt(from, start)
        const ran = await chunks.run(from, start, end - start, places)
        watch.lap('run')
        if (ran === 'again') continue
        if (ran !== 'done') return ran
        // While the numbers are in the processor's cache.
        if (!chunks.byBlock) takeAll(places, end - start, start)
        start = end
      }
      if (chunks.byBlock) takeAll(chunks.placesAt(from, from), n, from)
      return undefined
    }

    for (let from = unit.start; from < unit.end && !isOver(); from += cutting.block) {
      const n = Math.min(cutting.block, unit.end - from)
      const unread = chunks.read(from, n, readHashes)
      watch.lap('read')
      const problem = unread ?? (await computeBlock(from, n)) ?? writer.writeAll(chunks.placesAt(from, from), from, n)
      if (problem !== undefined) return failed(problem)
      watch.lap('write')
    }
    const found = unit.takes.map((take, i) => {
      const kept = needsSecondLook(take, elements) ? { offset: chunks.outputs[take.ports[0]!]!, counts } : undefined
      return partialResult(kernels, take, accumulators[i]!, elements, room, kept)
    })
    watch.lap('take')
    return ok({
      id: unit.id,
      found,
      readDigests: readHashes.map((h) => h?.digest()),
      bytesRead: chunks.bytesRead,
      ...writer.result(),
    })
  }
}

/** True where the program hands out float32 and something else is written. */
const isEncoded = (w: ComputedWrite, { outputs }: Program): boolean =>
  w.packed !== true && outputs[w.port]!.type !== 'bool' && outputs[w.port]!.type !== STORED[w.dtype]
