import { closeSync, openSync } from 'node:fs'
import { createHasher, SEGMENT, type Hasher } from '../base/digest.js'
import { nonFinite, stopped } from '../base/catalogue/run.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { failed, ok, type Result } from '../base/result.js'
import { STORED, type Port, type Program } from '../graph/program.js'
import type { Kernels } from '../kernels/kernels.js'
import { LOW_BINS, NEAR } from '../kernels/selection.js'
import { ioProblem } from '../safetensors/io-problem.js'
import { writeFully } from '../safetensors/positional.js'
import { READ_ONLY } from '../safetensors/regular-file.js'
import { bytesOfBits } from '../store/masks.js'
import { bytesFor, isFloat, type FloatDtype } from '../tensor/dtype.js'
import type { Engine } from './devices/engine.js'
import { createBlockScales } from './block-scales.js'
import { createMaskBits } from './mask-bits.js'
import { countsUp, holdsPositions, type Oddity } from './oddities.js'
import { createLowRankProducts } from './low-rank.js'
import { readRanges } from './read-ranges.js'
import { decodeAt, encodeAt, canonicalizeNaNs } from './host-codecs.js'
import { feed, PORT_TYPES, type Numbers } from './sessions.js'
import type { Tensor } from 'onnxruntime-node'
import { createAccumulator, partialResult, isCounted, needsSecondLook, accumulate } from './reductions.js'
import { createStopwatch, type Stopwatch } from './stopwatch.js'
import type { GeneratedInputOrder, ReadOrder, ScalarInputOrder, UnitOrder, UnitResult, WriteOrder } from './unit.js'

/** How a worker cuts its work. Neither number changes a byte of the result. */
export interface Cutting {
  /** Elements of one run of a program: small, so that intermediates stay in the processor's cache. */
  readonly chunk: number
  /** Elements of one read or write: a multiple of 65,536. */
  readonly block: number
}

/** What a worker needs to do units. */
export interface ExecutorContext {
  readonly kernels: Kernels
  readonly engine: Engine
  /** Where outputs are written until they are whole, by final path. */
  readonly temporary: ReadonlyMap<string, string>
  readonly cutting: Cutting
  /** True once the build is to stop; asked between chunks. */
  stopping(): boolean
}

/** Bytes of the widest element. Memory is taken for the widest block at once: what is never touched costs nothing. */
const WIDEST = 8

/** Does units, one after the other. Files stay open between units; memory is taken once per use and kept. */
export interface Executor {
  run(unit: UnitOrder): Promise<Result<UnitResult>>
  close(): Promise<void>
}

/** Bytes of a page of memory, which is pinned whole. */
const PAGE = 4096

/** Sets up a worker's executor. */
export const createExecutor = (context: ExecutorContext): Executor => {
  const { kernels, engine, cutting } = context
  const files = new Map<string, number>()
  const slots = new Map<string, number>()

  const open = (path: string, flags: 'r' | 'r+'): number => {
    const key = `${flags}${path}`
    const fd =
      files.get(key) ?? (flags === 'r' ? openSync(path, READ_ONLY) : openSync(context.temporary.get(path)!, flags))
    files.set(key, fd)
    return fd
  }
  /** Memory for one purpose, always of the same size; views taken before are stale when it is new. */
  const reserve = (purpose: string, bytes: number): number => {
    const offset = slots.get(purpose) ?? kernels.alloc(bytes)
    slots.set(purpose, offset)
    return offset
  }
  /**
   * Memory for a block that goes to the device or comes from there; pinned, it has pages of its own and no more of them
   * than its numbers need.
   */
  const reserveShared = (purpose: string, port: Port, elements: number): number => {
    if (!engine.pins) return reserve(purpose, WIDEST * elements)
    const bytes = Math.ceil((PORT_TYPES[port.type].array.BYTES_PER_ELEMENT * elements) / PAGE) * PAGE
    const key = `${purpose}:${bytes}`
    const known = slots.get(key)
    if (known !== undefined) return known
    const offset = Math.ceil(kernels.alloc(bytes + PAGE) / PAGE) * PAGE
    slots.set(key, offset)
    engine.pin(kernels.view(Uint8Array, offset, bytes))
    return offset
  }
  const maskBits = createMaskBits(kernels, cutting.block, open)
  const products = createLowRankProducts(kernels, (path) => open(path, 'r'))
  const blockScales = createBlockScales((path) => open(path, 'r'))
  const bytesAt = (offset: number, length: number): Uint8Array => kernels.view(Uint8Array, offset, length)
  const numbersAt = (port: Port, offset: number, from: number, length: number): Numbers => {
    const { array } = PORT_TYPES[port.type]
    return kernels.view(array as never, offset + from * array.BYTES_PER_ELEMENT, length) as Numbers
  }

  const fillDraw = (index: number, draw: GeneratedInputOrder, offset: number, start: number, n: number): void => {
    switch (draw.type) {
      case 'position':
        return fillPositions(kernels.view(Float32Array, offset, n), start, draw)
      case 'product':
        return products.fill(index, offset, start, n)
      case 'block-scale':
        return blockScales.fill(index, kernels.view(Float32Array, offset, n), start)
      case 'constant':
        return void bytesAt(offset, n).fill(draw.value ? 1 : 0)
      case 'bernoulli':
        return kernels.bernoulli(offset, start, n, draw, draw.p)
      case 'normal':
        return kernels.gaussian(offset, start, n, draw)
      case 'uniform':
        return kernels.uniform(offset, start, n, draw)
    }
  }

  /**
   * The first NaN or infinity of a block that is computed, or 'copied' where all that there are stand in what the
   * numbers are copied from: a copy
   * byte for byte has no other `source`.
   */
  const findNonFinite = (
    dtype: FloatDtype,
    offset: number,
    n: number,
    source: Source | undefined,
    isCopy: boolean,
  ): number | 'copied' | undefined => {
    let at = kernels.firstNonFinite(offset, n, dtype)
    if (at < 0) return undefined
    if (isCopy) return 'copied'
    if (source === undefined) return at
    while (kernels.firstNonFinite(source.offset + bytesFor(at, source.dtype), 1, source.dtype) === 0) {
      const next = kernels.firstNonFinite(offset + bytesFor(at + 1, dtype), n - at - 1, dtype)
      if (next < 0) return 'copied'
      at += 1 + next
    }
    return at
  }

  /** Checks, digests and writes one block of an output; tells a NaN or infinity that was copied. */
  const writeBlock = (
    write: WriteOrder,
    offset: number,
    from: number,
    n: number,
    hash: { update(b: Uint8Array): void },
    computed: boolean,
    source?: Source,
  ): Diagnostic | 'non-finite' | undefined => {
    const bytes = bytesFor(n, write.dtype)
    let copied = false
    if (isFloat(write.dtype) && !write.allowNonFinite) {
      const bad = findNonFinite(write.dtype, offset, n, source, !computed)
      if (typeof bad === 'number') return nonFinite(write.path, write.tensor, from + bad, write.step)
      copied = bad === 'copied'
    } else if (computed && isFloat(write.dtype)) {
      const bad = kernels.firstNonFinite(offset, n, write.dtype)
      if (bad >= 0) canonicalizeNaNs(kernels, write.dtype, offset, n, bad)
    }
    const data = bytesAt(offset, bytes)
    hash.update(data)
    return (
      writeFully(open(write.path, 'r+'), write.path, data, write.begin + bytesFor(from, write.dtype)) ??
      (copied ? 'non-finite' : undefined)
    )
  }

  /** Copies a read to a write, or only takes its digest. */
  const copyUnit = (unit: UnitOrder, watch: Stopwatch): Result<Done> => {
    const [read, write] = [unit.reads[0]!, unit.writes[0]]
    const hash = createHasher()
    const buffer = reserve('copy', WIDEST * cutting.block)
    const odd = new Set<Oddity>()
    for (let from = unit.start; from < unit.end; from += cutting.block) {
      if (context.stopping()) return failed(stopped())
      const n = Math.min(cutting.block, unit.end - from)
      const data = bytesAt(buffer, bytesFor(n, read.dtype))
      const problem = readRanges(open(read.path, read.unfinished === true ? 'r+' : 'r'), read, from, data)
      if (problem !== undefined) return failed(problem)
      if (write === undefined) hash.update(data)
      watch.lap('read')
      if (
        write !== undefined &&
        from === 0 &&
        n === unit.end &&
        holdsPositions(write.tensor) &&
        !countsUp(read.dtype, data)
      )
        odd.add('positions')
      const unwritten = write === undefined ? undefined : writeBlock(write, buffer, from, n, hash, false)
      if (unwritten === 'non-finite') odd.add(unwritten)
      else if (unwritten !== undefined) return failed(unwritten)
      watch.lap('write')
    }
    const digest = hash.digest()
    const bytes = bytesFor(unit.end - unit.start, read.dtype)
    return ok({
      id: unit.id,
      found: [],
      readDigests: [read.digest ? digest : undefined],
      writeDigests: write === undefined ? [] : [digest],
      bytesRead: bytes,
      bytesWritten: write === undefined ? 0 : bytes,
      ...(odd.size === 0 ? {} : { odd: [...odd].map((oddity) => [0, oddity] as const) }),
    })
  }

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

  const computeUnit = async (unit: UnitOrder, watch: Stopwatch): Promise<Result<Done>> => {
    const program = engine.programs[unit.program!]!
    const { block } = cutting
    const readPorts = program.inputs.slice(0, unit.reads.length)
    const drawPorts = program.inputs.slice(unit.reads.length, unit.reads.length + unit.draws.length)
    const uniformPorts = program.inputs.slice(
      unit.reads.length + unit.draws.length,
      unit.reads.length + unit.draws.length + unit.uniforms.length,
    )

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
      const read =
        draw.type === 'product'
          ? products.load(i, draw)
          : draw.type === 'block-scale'
            ? (blockScales.load(i, draw, unit.start, unit.end) ?? 0)
            : 0
      if (typeof read !== 'number') return failed(read)
      bytesRead += read
    }
    engine.grown(kernels.view(Uint8Array, 0, 1).buffer)

    const readHashes = unit.reads.map((r) => (r.digest ? createHasher() : undefined))
    const writeHashes = unit.writes.map(() => createHasher())
    const unwritten = new Set<WriteOrder>()
    const odd: (readonly [write: number, oddity: Oddity])[] = []
    const cuts = [...new Set(unit.uniforms.flatMap((u) => (u.cut === undefined ? [] : [u.cut.at])))].sort(
      (a, b) => a - b,
    )
    let bytesWritten = 0
    const sourceOf = ({ source }: WriteOrder): Source | undefined => {
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
        if (context.stopping()) return failed(stopped())
        // A chunk ends also wherever a threshold changes.
        const end = Math.min(from + n, start + engine.chunk, cuts.find((cut) => cut > start) ?? Infinity)
        const length = end - start
        const feeds: Record<string, Tensor> = {}
        readPorts.forEach((p, i) => {
          feeds[p.name] = feed(p, numbersAt(p, inputs[i]!, start - from, length))
        })
        drawPorts.forEach((p, i) => {
          fillDraw(i, unit.draws[i]!, draws[i]!, start, length)
          feeds[p.name] = feed(p, numbersAt(p, draws[i]!, 0, length))
        })
        uniformPorts.forEach((p, i) => {
          feeds[p.name] = feed(p, Float32Array.of(valueAt(unit.uniforms[i]!, start)))
        })
        if (unit.needsLength) feeds['n'] = feed({ name: 'n', type: 'i64', rank: 1 }, BigInt64Array.of(BigInt(length)))
        const results = Object.fromEntries(
          program.outputs.map((p, i) => [p.name, feed(p, numbersAt(p, staged[i]!, start - from, length))]),
        )
        watch.lap('draw')
        const ran = await engine.run(unit.program!, feeds, results)
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
        const problem = writeBlock(w, code ?? offset, from, n, writeHashes[i]!, true, sourceOf(w))
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

  return {
    run: async (unit) => {
      const watch = createStopwatch()
      try {
        const done = unit.program === undefined ? copyUnit(unit, watch) : await computeUnit(unit, watch)
        return done.type === 'ok' ? ok({ ...done.value, spent: watch.spent }) : done
      } catch (error) {
        // Only opening throws; the system names the file.
        return failed(ioProblem(error, (error as NodeJS.ErrnoException).path ?? '', 'read'))
      }
    },
    close: async () => {
      for (const fd of files.values()) closeSync(fd)
      files.clear()
      await engine.close()
    },
  }
}

/** A block of an input in the kernels' memory. */
interface Source {
  readonly offset: number
  readonly dtype: FloatDtype
}

type Done = Omit<UnitResult, 'spent'>

/** True where the program hands out float32 and something else is written. */
const isEncoded = (w: WriteOrder, { outputs }: Program): boolean =>
  w.packed !== true && outputs[w.port]!.type !== 'bool' && outputs[w.port]!.type !== STORED[w.dtype]

const valueAt = (u: ScalarInputOrder, element: number): number =>
  u.cut !== undefined && element >= u.cut.at ? u.cut.after : u.value

const fillPositions = (
  out: Float32Array,
  start: number,
  { stride, length }: { readonly stride: number; readonly length: number },
): void => {
  for (let i = 0; i < out.length; i++) out[i] = Math.floor((start + i) / stride) % length
}
