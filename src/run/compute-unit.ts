import { createHasher, SEGMENT, type Hasher } from '../base/digest.js'
import { stopped } from '../base/catalogue/run.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { failed, ok, type Result } from '../base/result.js'
import { STORED, type Port, type Program } from '../graph/program.js'
import { LOW_BINS, NEAR } from '../kernels/selection.js'
import { bytesOfBits } from '../store/masks.js'
import { bytesFor, isFloat } from '../tensor/dtype.js'
import { createGeneratedInputs } from './generated-inputs.js'
import { createMaskBits } from './mask-bits.js'
import { countsUp, holdsPositions, type Oddity } from './oddities.js'
import { readRanges } from './read-ranges.js'
import { decodeAt, encodeAt } from './host-codecs.js'
import { PORT_TYPES } from './port-types.js'
import { createAccumulator, partialResult, isCounted, needsSecondLook, accumulate } from './reductions.js'
import type { Stopwatch } from './stopwatch.js'
import type { ComputedWrite, ComputeOrder, ReadOrder, ScalarInputOrder, UntimedResult } from './unit.js'
import { WIDEST, type Workspace } from './workspace.js'
import { writeBlock, type Source } from './write-block.js'

/** Does a segment of a pass: reads, decodes, runs the program chunk by chunk, takes measures, encodes and writes. */
export type ComputeUnit = (unit: ComputeOrder, watch: Stopwatch) => Promise<Result<UntimedResult>>

/** Sets up what units of passes need. */
export const createComputeUnit = (workspace: Workspace): ComputeUnit => {
  const { kernels, engine, cutting, open, reserve, reserveShared, bytesAt } = workspace
  const maskBits = createMaskBits(kernels, cutting.block, open)
  const generated = createGeneratedInputs(workspace)

  /**
   * Reads one block of an input to where the program takes it from, decoded where the device cannot; gives the bytes
   * read.
   */
  const readBlock = (
    r: ReadOrder,
    port: Port,
    slot: number,
    from: number,
    n: number,
    hash: Hasher | undefined,
  ): number | Diagnostic => {
    if (r.packed === true) return maskBits.read(r, slot, from, n, hash) ?? bytesOfBits(n)
    const decoded = port.type !== STORED[r.dtype]
    const raw = decoded ? reserve('raw', WIDEST * cutting.block) : slot
    const data = bytesAt(raw, bytesFor(n, r.dtype))
    const problem = readRanges(open(r.path, 'r'), r, from, data)
    if (problem !== undefined) return problem
    hash?.update(data)
    if (decoded) decodeAt(kernels, r.dtype, raw, n, slot)
    return data.length
  }

  return async (unit, watch) => {
    const program = engine.programs[unit.program]!
    const { block } = cutting
    const readPorts = program.inputs.slice(0, unit.reads.length)
    const drawPorts = program.inputs.slice(unit.reads.length, unit.reads.length + unit.draws.length)

    const inputs = readPorts.map((p, i) => reserveShared(`in${i}`, p, block))
    const draws = drawPorts.map((p, i) => reserveShared(`draw${i}`, p, cutting.chunk))
    // What is looked at twice is kept for the whole unit; other outputs only until their block is done.
    const kept = program.outputs.map((_, port) => unit.takes.some((t) => needsSecondLook(t) && t.ports[0] === port))
    const outputs = program.outputs.map((p, i) =>
      kept[i] ? reserveShared(`kept${i}`, p, SEGMENT) : reserveShared(`out${i}`, p, block),
    )
    const accumulators = unit.takes.map((take, i) =>
      createAccumulator(kernels, take, unit, outputs[take.ports[0]!]!, (purpose, bytes) =>
        reserve(`${purpose}${i}`, bytes),
      ),
    )
    const encoded = unit.writes.map((w, i) => (isEncoded(w, program) ? reserve(`code${i}`, WIDEST * block) : undefined))
    if (readPorts.some((p, i) => p.type !== STORED[unit.reads[i]!.dtype])) reserve('raw', WIDEST * block)
    const near = kept.includes(true) ? reserve('near', 4 * NEAR * LOW_BINS) : 0

    let bytesRead = 0
    for (const [i, draw] of unit.draws.entries()) {
      const read = generated.load(i, draw, unit.start, unit.end)
      if (typeof read !== 'number') return failed(read)
      bytesRead += read
    }
    engine.grown(kernels.view(Uint8Array, 0, 1).buffer)

    const readHashes = unit.reads.map((r) => (r.digest ? createHasher() : undefined))
    const writeHashes = unit.writes.map(() => createHasher())
    const unwritten = new Set<ComputedWrite>()
    const odd: (readonly [write: number, oddity: Oddity])[] = []
    const cuts = [...new Set(unit.uniforms.flatMap((u) => (u.cut === undefined ? [] : [u.cut.at])))].sort(
      (a, b) => a - b,
    )
    let bytesWritten = 0
    const sourceOf = ({ source }: ComputedWrite): Source | undefined => {
      const dtype =
        source === undefined
          ? 'BOOL'
          : readPorts[source]!.type === STORED[unit.reads[source]!.dtype]
            ? unit.reads[source]!.dtype
            : 'F32'
      return source === undefined || !isFloat(dtype) ? undefined : { offset: inputs[source]!, dtype }
    }

    for (let from = unit.start; from < unit.end; from += block) {
      const n = Math.min(block, unit.end - from)
      const staged = outputs.map((offset, i) => (kept[i] ? offset + 4 * (from - unit.start) : offset))
      for (const [i, r] of unit.reads.entries()) {
        const read = readBlock(r, readPorts[i]!, inputs[i]!, from, n, readHashes[i])
        if (typeof read !== 'number') return failed(read)
        bytesRead += read
      }
      watch.lap('read')
      for (let start = from; start < from + n;) {
        if (workspace.stopping()) return failed(stopped())
        // A chunk ends also wherever a threshold changes.
        const end = Math.min(from + n, start + engine.chunk, cuts.find((cut) => cut > start) ?? Infinity)
        const length = end - start
        drawPorts.forEach((_, i) => void generated.fill(i, unit.draws[i]!, draws[i]!, start, length))
        const frame = {
          inputs: [...inputs.map((offset, i) => offset + bytesPer(readPorts[i]!) * (start - from)), ...draws],
          scalars: unit.uniforms.map((u) => valueAt(u, start)),
          outputs: staged.map((offset, i) => offset + bytesPer(program.outputs[i]!) * (start - from)),
          length,
        }
        watch.lap('draw')
        const ran = await engine.run(unit.program, frame)
        watch.lap('run')
        if (ran === 'again') continue
        if (ran !== 'done') return failed(ran)
        // Counting is done while the numbers are in the processor's cache; what is summed has an order of its own.
        const done = staged.map((offset) => offset + 4 * (start - from))
        unit.takes.forEach(
          (take, i) => void (isCounted(take) && accumulate(kernels, take, done, length, accumulators[i]!, start)),
        )
        watch.lap('take')
        start = end
      }
      unit.takes.forEach(
        (take, i) => void (isCounted(take) || accumulate(kernels, take, staged, n, accumulators[i]!, from)),
      )
      watch.lap('take')
      for (const [i, w] of unit.writes.entries()) {
        const [offset, code] = [staged[w.port]!, encoded[i]]
        if (w.packed === true) {
          if (!maskBits.write(w, offset, from, n, writeHashes[i]!)) unwritten.add(w)
          continue
        }
        if (code !== undefined) encodeAt(kernels, w.dtype, offset, n, code)
        const problem = writeBlock(workspace, w, code ?? offset, from, n, writeHashes[i]!, true, sourceOf(w))
        const source = sourceOf(w)
        const wrong =
          source !== undefined &&
          from === 0 &&
          n === unit.end &&
          holdsPositions(w.tensor) &&
          !countsUp(source.dtype, bytesAt(source.offset, bytesFor(n, source.dtype)))
        if (wrong) odd.push([i, 'positions'])
        if (problem === 'non-finite') odd.push([i, problem])
        else if (problem !== undefined) return failed(problem)
        bytesWritten += bytesFor(n, w.dtype)
      }
      watch.lap('write')
    }
    const found = unit.takes.map((take, i) =>
      partialResult(kernels, take, accumulators[i]!, unit.end - unit.start, near),
    )
    watch.lap('take')
    return ok({
      id: unit.id,
      found,
      readDigests: readHashes.map((h) => h?.digest()),
      writeDigests: writeHashes.map((h, i) => (unwritten.has(unit.writes[i]!) ? undefined : h.digest())),
      bytesRead,
      bytesWritten,
      ...(odd.length === 0 ? {} : { odd }),
    })
  }
}

/** True where the program hands out float32 and something else is written. */
const isEncoded = (w: ComputedWrite, { outputs }: Program): boolean =>
  w.packed !== true && outputs[w.port]!.type !== 'bool' && outputs[w.port]!.type !== STORED[w.dtype]

const bytesPer = (port: Port): number => PORT_TYPES[port.type].array.BYTES_PER_ELEMENT

const valueAt = (u: ScalarInputOrder, element: number): number =>
  u.cut !== undefined && element >= u.cut.at ? u.cut.after : u.value
