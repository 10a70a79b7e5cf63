import { closeSync, openSync } from 'node:fs'
import { createHasher, SEGMENT } from '../base/digest.js'
import { nonFinite, stopped } from '../base/catalogue/run.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { failed, ok, type Result } from '../base/result.js'
import type { Port, Program } from '../graph/program.js'
import type { Kernels } from '../kernels/kernels.js'
import { HIGH_BINS, LOW_BINS, NEAR, selectBin, toPairs } from '../kernels/selection.js'
import { ioProblem } from '../safetensors/io-problem.js'
import { readFully, writeFully } from '../safetensors/positional.js'
import { bytesOfBits } from '../store/masks.js'
import { bytesFor, isFloat } from '../tensor/dtype.js'
import { createMaskBits } from './mask-bits.js'
import { createProducts } from './products.js'
import { feed, PORT_TYPES, type Numbers, type RunProgram } from './sessions.js'
import type { Tensor } from 'onnxruntime-node'
import { addElements, emptyTally } from './tallies.js'
import type { DrawOrder, Found, Magnitudes, TakeOrder, UniformOrder, UnitOrder, UnitResult, WriteOrder } from './unit.js'

/** How a worker cuts its work. Neither number changes a byte of the result. */
export interface Cutting {
  /** Elements of one run of a program: small, so that intermediates stay in the processor's cache. */
  readonly chunk: number
  /** Elements of one read or write: a multiple of 65,536. */
  readonly block: number
}

/** What a worker needs to do units. */
export interface Workshop {
  readonly kernels: Kernels
  readonly programs: readonly Program[]
  /** Where outputs are written until they are whole, by final path. */
  readonly temporary: ReadonlyMap<string, string>
  session(program: number): Promise<RunProgram>
  readonly cutting: Cutting
  /** True once the build is to stop; asked between chunks. */
  stopping(): boolean
}

/** Bytes of the widest element. Memory is taken for the widest block at once: what is never touched costs nothing. */
const WIDEST = 8

/** Elements over which sums are taken at a time; fixed, since the order of additions decides bits. */
const SUM_SPAN = 65536

/** Does units, one after the other. Files stay open between units; memory is taken once per use and kept. */
export interface Bench {
  run(unit: UnitOrder): Promise<Result<UnitResult>>
  close(): void
}

/** Sets up a worker's bench. */
export const createBench = (shop: Workshop): Bench => {
  const { kernels, cutting } = shop
  const files = new Map<string, number>()
  const slots = new Map<string, number>()

  const open = (path: string, flags: 'r' | 'r+'): number => {
    const key = `${flags}${path}`
    const fd = files.get(key) ?? openSync(flags === 'r' ? path : shop.temporary.get(path)!, flags)
    files.set(key, fd)
    return fd
  }
  /** Memory for one purpose, always of the same size; views taken before are stale when it is new. */
  const reserve = (purpose: string, bytes: number): number => {
    const offset = slots.get(purpose) ?? kernels.alloc(bytes)
    slots.set(purpose, offset)
    return offset
  }
  const maskBits = createMaskBits(kernels, cutting.block, open)
  const products = createProducts(kernels, (path) => open(path, 'r'))
  const bytesAt = (offset: number, length: number): Uint8Array => kernels.view(Uint8Array, offset, length)
  const numbersAt = (port: Port, offset: number, from: number, length: number): Numbers => {
    const { array } = PORT_TYPES[port.type]
    return kernels.view(array as never, offset + from * array.BYTES_PER_ELEMENT, length) as Numbers
  }

  const fillDraw = (index: number, draw: DrawOrder, offset: number, start: number, n: number): void => {
    switch (draw.type) {
      case 'position': return fillPositions(kernels.view(Float32Array, offset, n), start, draw)
      case 'product': return products.fill(index, offset, start, n)
      case 'constant': return void bytesAt(offset, n).fill(draw.value ? 1 : 0)
      case 'bernoulli': return kernels.bernoulli(offset, start, n, draw, draw.p)
      case 'normal': return kernels.gaussian(offset, start, n, draw)
      case 'uniform': return kernels.uniform(offset, start, n, draw)
    }
  }

  /** Takes one block's share of a measure into `found`, which holds what earlier blocks gave. */
  const takeMeasure = (take: TakeOrder, staged: readonly number[], n: number, sofar: Taking, blockStart: number): void => {
    const x = staged[take.ports[0]!]!
    switch (take.stage) {
      case 'sum': case 'dot': {
        for (let at = 0; at < n; at += SUM_SPAN) {
          const length = Math.min(SUM_SPAN, n - at)
          sofar.sum += take.stage === 'sum' ? kernels.sum(x + 4 * at, length) : kernels.dot(x + 4 * at, staged[take.ports[1] ?? take.ports[0]!]! + 4 * at, length)
        }
        return
      }
      case 'min': case 'max': {
        sofar.sum = extremeOf(kernels.view(Float32Array, x, n), take.stage === 'min' ? -1 : 1, sofar.sum)
        return
      }
      case 'tally': return addElements(sofar.cells!, take.cells, kernels.view(Float32Array, x, n), blockStart)
      case 'high': return kernels.histogramHigh(x, n, sofar.histogram)
      case 'low': return kernels.histogramLow(x, n, take.bin, sofar.histogram)
      case 'locate': {
        if (sofar.located >= 0) return
        const words = kernels.view(Uint32Array, x, n)
        for (let i = 0; i < n; i++) {
          if ((words[i]! & 0x7fffffff) === take.bits && ++sofar.met === take.nth) {
            sofar.located = blockStart + i
            return
          }
        }
      }
    }
  }

  /** Checks, encodes, digests and writes one block of an output. */
  const writeBlock = (write: WriteOrder, offset: number, from: number, n: number, hash: { update(b: Uint8Array): void }): Diagnostic | undefined => {
    const bytes = bytesFor(n, write.dtype)
    if (isFloat(write.dtype) && !write.allowNonFinite) {
      const bad = kernels.firstNonFinite(offset, n, write.dtype)
      if (bad >= 0) return nonFinite(write.path, write.tensor, from + bad, write.step)
    }
    const data = bytesAt(offset, bytes)
    hash.update(data)
    return writeFully(open(write.path, 'r+'), write.path, data, write.begin + bytesFor(from, write.dtype))
  }

  /** Copies a read to a write, or only takes its digest. */
  const copyUnit = (unit: UnitOrder): Result<Omit<UnitResult, 'seconds'>> => {
    const [read, write] = [unit.reads[0]!, unit.writes[0]]
    const hash = createHasher()
    const buffer = reserve('in0', WIDEST * cutting.block)
    for (let from = unit.start; from < unit.end; from += cutting.block) {
      if (shop.stopping()) return failed(stopped())
      const n = Math.min(cutting.block, unit.end - from)
      const data = bytesAt(buffer, bytesFor(n, read.dtype))
      const problem = readFully(open(read.path, read.unfinished === true ? 'r+' : 'r'), read.path, data, read.begin + bytesFor(from, read.dtype))
      if (problem !== undefined) return failed(problem)
      if (write === undefined) hash.update(data)
      else {
        const unwritten = writeBlock(write, buffer, from, n, hash)
        if (unwritten !== undefined) return failed(unwritten)
      }
    }
    const digest = hash.digest()
    const bytes = bytesFor(unit.end - unit.start, read.dtype)
    return ok({
      id: unit.id, found: [], readDigests: [read.digest ? digest : undefined], writeDigests: write === undefined ? [] : [digest],
      bytesRead: bytes, bytesWritten: write === undefined ? 0 : bytes,
    })
  }

  const computeUnit = async (unit: UnitOrder): Promise<Result<Omit<UnitResult, 'seconds'>>> => {
    const program = shop.programs[unit.program!]!
    const session = await shop.session(unit.program!)
    const { chunk, block } = cutting
    const readPorts = program.inputs.slice(0, unit.reads.length)
    const drawPorts = program.inputs.slice(unit.reads.length, unit.reads.length + unit.draws.length)
    const uniformPorts = program.inputs.slice(unit.reads.length + unit.draws.length, unit.reads.length + unit.draws.length + unit.uniforms.length)

    const inputs = unit.reads.map((_, i) => reserve(`in${i}`, WIDEST * block))
    const draws = drawPorts.map((_, i) => reserve(`draw${i}`, 4 * chunk))
    // What low bits are counted of later is kept for the whole unit; other outputs only until their block is done.
    const kept = program.outputs.map((_, port) => unit.takes.some((t) => t.stage === 'high' && t.near !== undefined && t.ports[0] === port))
    const outputs = program.outputs.map((_, i) => (kept[i] ? reserve(`kept${i}`, 4 * SEGMENT) : reserve(`out${i}`, WIDEST * block)))
    const takings = unit.takes.map((take, i): Taking => {
      const bins = take.stage === 'high' ? HIGH_BINS : LOW_BINS
      const histogram = take.stage === 'high' || take.stage === 'low' ? reserve(`bins${i}`, 4 * HIGH_BINS) : 0
      const cells = take.stage === 'tally' ? emptyTally(take.cells) : undefined
      const sum = take.stage === 'min' ? Infinity : take.stage === 'max' ? -Infinity : 0
      return { sum, met: 0, located: -1, histogram, kept: outputs[take.ports[0]!]!, bins, cells }
    })
    const encoded = unit.writes.map((w, i) => (isEightBit(w) ? reserve(`code${i}`, block) : 0))
    if (kept.includes(true)) reserve('near', 4 * NEAR * LOW_BINS)
    for (const t of takings) if (t.histogram > 0) kernels.view(Uint32Array, t.histogram, t.bins).fill(0)

    for (const [i, draw] of unit.draws.entries()) {
      const problem = draw.type === 'product' ? products.load(i, draw) : undefined
      if (problem !== undefined) return failed(problem)
    }

    const readHashes = unit.reads.map((r) => (r.digest ? createHasher() : undefined))
    const writeHashes = unit.writes.map(() => createHasher())
    const unwritten = new Set<WriteOrder>()
    const cuts = [...new Set(unit.uniforms.flatMap((u) => (u.cut === undefined ? [] : [u.cut.at])))].sort((a, b) => a - b)
    let bytesRead = 0
    let bytesWritten = 0

    for (let from = unit.start; from < unit.end; from += block) {
      const n = Math.min(block, unit.end - from)
      const staged = outputs.map((offset, i) => (kept[i] ? offset + 4 * (from - unit.start) : offset))
      for (const [i, r] of unit.reads.entries()) {
        if (r.packed === true) {
          const broken = maskBits.read(r, inputs[i]!, from, n, readHashes[i])
          if (broken !== undefined) return failed(broken)
          bytesRead += bytesOfBits(n)
          continue
        }
        const data = bytesAt(inputs[i]!, bytesFor(n, r.dtype))
        const problem = readFully(open(r.path, 'r'), r.path, data, r.begin + bytesFor(from, r.dtype))
        if (problem !== undefined) return failed(problem)
        readHashes[i]?.update(data)
        bytesRead += data.length
      }
      for (const [start, end] of chunksOf(from, from + n, chunk, cuts)) {
        if (shop.stopping()) return failed(stopped())
        const length = end - start
        const feeds: Record<string, Tensor> = {}
        readPorts.forEach((p, i) => { feeds[p.name] = feed(p, numbersAt(p, inputs[i]!, start - from, length)) })
        drawPorts.forEach((p, i) => {
          fillDraw(i, unit.draws[i]!, draws[i]!, start, length)
          feeds[p.name] = feed(p, numbersAt(p, draws[i]!, 0, length))
        })
        uniformPorts.forEach((p, i) => { feeds[p.name] = feed(p, Float32Array.of(valueAt(unit.uniforms[i]!, start))) })
        if (unit.needsLength) feeds['n'] = feed({ name: 'n', type: 'i64', rank: 1 }, BigInt64Array.of(BigInt(length)))
        const results = await session(feeds)
        program.outputs.forEach((p, i) => (numbersAt(p, staged[i]!, start - from, length) as Uint8Array).set(results[p.name]!.data as Uint8Array))
      }
      unit.takes.forEach((take, i) => takeMeasure(take, staged, n, takings[i]!, from))
      for (const [i, w] of unit.writes.entries()) {
        let offset = staged[w.port]!
        if (w.packed === true) {
          if (!maskBits.write(w, offset, from, n, writeHashes[i]!)) unwritten.add(w)
          continue
        }
        if (w.dtype === 'F8_E4M3') kernels.encodeF8E4M3(offset, n, (offset = encoded[i]!))
        else if (w.dtype === 'F8_E5M2') kernels.encodeF8E5M2(offset, n, (offset = encoded[i]!))
        const problem = writeBlock(w, offset, from, n, writeHashes[i]!)
        if (problem !== undefined) return failed(problem)
        bytesWritten += bytesFor(n, w.dtype)
      }
    }
    return ok({
      id: unit.id,
      found: unit.takes.map((take, i) => foundBy(kernels, take, takings[i]!, unit.end - unit.start, slots.get('near') ?? 0)),
      readDigests: readHashes.map((h) => h?.digest()),
      writeDigests: writeHashes.map((h, i) => (unwritten.has(unit.writes[i]!) ? undefined : h.digest())),
      bytesRead,
      bytesWritten,
    })
  }

  return {
    run: async (unit) => {
      const began = performance.now()
      try {
        const done = unit.program === undefined ? copyUnit(unit) : await computeUnit(unit)
        return done.type === 'ok' ? ok({ ...done.value, seconds: (performance.now() - began) / 1000 }) : done
      } catch (error) {
        // Only opening throws; the system names the file.
        return failed(ioProblem(error, (error as NodeJS.ErrnoException).path ?? '', 'read'))
      }
    },
    close: () => {
      for (const fd of files.values()) closeSync(fd)
      files.clear()
    },
  }
}

interface Taking { sum: number; met: number; located: number; readonly histogram: number; readonly kept: number; readonly bins: number; readonly cells: Float64Array<ArrayBuffer> | undefined }

const isEightBit = (w: WriteOrder): boolean => w.dtype === 'F8_E4M3' || w.dtype === 'F8_E5M2'

const valueAt = (u: UniformOrder, element: number): number => (u.cut !== undefined && element >= u.cut.at ? u.cut.after : u.value)

/** The low bits of the magnitudes around the bin where the answer is expected. */
const lookNear = (kernels: Kernels, near: { readonly bin: number } | { readonly share: number }, taking: Taking, n: number, histogram: number): NonNullable<Magnitudes['near']> => {
  const high = kernels.view(Uint32Array, taking.histogram, taking.bins)
  const bin = 'bin' in near ? near.bin : selectBin(high, Math.min(n - 1, Math.floor(near.share * n))).bin
  const base = Math.max(0, bin - 1)
  const low = kernels.view(Uint32Array, histogram, NEAR * LOW_BINS).fill(0)
  kernels.histogramNear(taking.kept, n, base, histogram)
  return { base, low: toPairs(low) as Uint32Array<ArrayBuffer> }
}

const foundBy = (kernels: Kernels, take: TakeOrder, taking: Taking, n: number, nearHistogram: number): Found => {
  if (take.stage === 'tally') return taking.cells!
  if (take.stage === 'sum' || take.stage === 'dot' || take.stage === 'min' || take.stage === 'max') return taking.sum
  if (take.stage === 'locate') return taking.located
  const counts = toPairs(kernels.view(Uint32Array, taking.histogram, taking.bins)) as Uint32Array<ArrayBuffer>
  if (take.stage !== 'high') return counts
  return { high: counts, near: take.near === undefined || n === 0 ? undefined : lookNear(kernels, take.near, taking, n, nearHistogram) }
}

/** The greatest of some numbers and one found before, or the least for a sign of −1. NaN is passed over, since no comparison with it holds. */
const extremeOf = (x: Float32Array, sign: 1 | -1, before: number): number => {
  let most = before
  if (sign === 1) for (let i = 0; i < x.length; i++) most = x[i]! > most ? x[i]! : most
  else for (let i = 0; i < x.length; i++) most = x[i]! < most ? x[i]! : most
  return most
}

const fillPositions = (out: Float32Array, start: number, { stride, length }: { readonly stride: number; readonly length: number }): void => {
  for (let i = 0; i < out.length; i++) out[i] = Math.floor((start + i) / stride) % length
}

/** Cuts a range into chunks that also end wherever a threshold changes. */
const chunksOf = (from: number, to: number, chunk: number, cuts: readonly number[]): readonly (readonly [number, number])[] => {
  const ends = [...cuts.filter((c) => c > from && c < to), to]
  const chunks: (readonly [number, number])[] = []
  let at = from
  for (const end of ends) {
    for (; at < end; at = Math.min(at + chunk, end)) chunks.push([at, Math.min(at + chunk, end)])
  }
  return chunks
}
