import type { Diagnostic } from '../base/diagnostic.js'
import type { Hasher } from '../base/digest.js'
import { STORED, VALUE_BYTES } from '../graph/program.js'
import { SUM_BLOCK } from '../kernels/kernels.js'
import { bytesOfBits } from '../store/masks.js'
import { bytesFor, isFloat } from '../tensor/dtype.js'
import type { Engine } from './devices/engine.js'
import type { GeneratedInputs } from './generated-inputs.js'
import { decodeAt } from './host-codecs.js'
import type { MaskBits } from './mask-bits.js'
import { readRanges } from './read-ranges.js'
import { isSummed, MOST_KEPT, needsSecondLook } from './reductions.js'
import type { Stopwatch } from './stopwatch.js'
import type { ComputedWrite, ComputeOrder, GeneratedInputOrder, ScalarInputOrder } from './unit.js'
import { WIDEST, type Workspace } from './workspace.js'
import type { Source } from './write-block.js'

/** The numbers of one unit in the kernels' memory, and its program on them. */
export interface Chunks {
  /** Where the outputs begin. */
  readonly outputs: readonly number[]
  /** True if measures are computed over a block at once, and not over each chunk as soon as it is computed. */
  readonly byBlock: boolean
  readonly bytesRead: number
  /** Reads the data that generated inputs need. May grow the kernels' memory. */
  load(): Diagnostic | undefined
  /** Reads elements `from` to `from + n`, decoded where the engine cannot, and multiplies the matrices of products. */
  read(from: number, n: number, hashes: readonly (Hasher | undefined)[]): Diagnostic | undefined
  /** Like `read`, of at most {@link MOST_LOOKED_AT} elements that are read again later: it does not count. */
  look(from: number, n: number): Diagnostic | undefined
  /** Computes elements from `start` on, whose inputs were read from element `from` on, to the places given. */
  run(from: number, start: number, length: number, places: readonly number[]): ReturnType<Engine['run']>
  /** Where outputs of elements from `start` on lie, in a block that began with element `from`. */
  placesAt(from: number, start: number): number[]
  /** The end of what is computed at once from `start` on: a chunk, or all of a block, as far as thresholds stay the same. */
  endOf(start: number, most: number): number
  /** The input that a write copies numbers from, if it does. */
  sourceOf(write: ComputedWrite): Source | undefined
}

/**
 * The number of elements in an output's buffer: those of the unit if a measure reads them twice, of a block if they are
 * written or if chunks do not align with the pieces that sums are made of, else of a chunk.
 */
type BufferSize = 'unit' | 'block' | 'chunk'

/** Most elements that are looked at in one place. */
export const MOST_LOOKED_AT = SUM_BLOCK

const sizeOfBuffer = (unit: ComputeOrder, port: number, byBlock: boolean): BufferSize => {
  if (unit.writes.some((w) => w.port === port)) return 'block'
  if (unit.takes.some((t) => t.ports[0] === port && needsSecondLook(t, unit.end - unit.start))) return 'unit'
  return byBlock ? 'block' : 'chunk'
}

/** Takes the memory that a unit's inputs and outputs need. */
export const createChunks = (
  workspace: Workspace,
  unit: ComputeOrder,
  generated: GeneratedInputs,
  maskBits: MaskBits,
  watch: Stopwatch,
): Chunks => {
  const { engine, cutting, open, reserve, reserveShared, bytesAt, kernels } = workspace
  const { block } = cutting
  const program = engine.programs[unit.program]!
  const readPorts = program.inputs.slice(0, unit.reads.length)
  const drawPorts = program.inputs.slice(unit.reads.length, unit.reads.length + unit.draws.length)
  const cuts = [...new Set(unit.uniforms.flatMap((u) => (u.cut === undefined ? [] : [u.cut.at])))].sort((a, b) => a - b)
  const byBlock = unit.takes.some(isSummed) && (engine.chunk % SUM_BLOCK !== 0 || cuts.length > 0)
  const sizes = program.outputs.map((_, port) => sizeOfBuffer(unit, port, byBlock))
  const chunk = Math.max(cutting.chunk, MOST_LOOKED_AT)
  const elements: Readonly<Record<BufferSize, number>> = { unit: MOST_KEPT, block, chunk }

  const inputs = readPorts.map((p, i) => reserveShared(`in${i}`, p, block))
  // A product takes whole rows at once: of a block there are more of them, and its matrices come from memory less often.
  const draws = drawPorts.map((p, i) =>
    isProduct(unit.draws[i]!) ? reserveShared(`product${i}`, p, block) : reserveShared(`draw${i}`, p, chunk),
  )
  const outputs = program.outputs.map((p, i) => reserveShared(`${sizes[i]!}${i}`, p, elements[sizes[i]!]))
  const raw = unit.reads.some((r, i) => readPorts[i]!.type !== STORED[r.dtype]) ? reserve('raw', WIDEST * block) : 0
  let bytesRead = 0

  /** Gives the bytes read. */
  const readOne = (i: number, from: number, n: number, hash: Hasher | undefined): number | Diagnostic => {
    const [order, offset] = [unit.reads[i]!, inputs[i]!]
    if (order.packed === true) return maskBits.read(order, offset, from, n, hash) ?? bytesOfBits(n)
    const decoded = readPorts[i]!.type !== STORED[order.dtype]
    const data = bytesAt(decoded ? raw : offset, bytesFor(n, order.dtype))
    const problem = readRanges(open(order.path, order.unfinished === true ? 'r+' : 'r'), order, from, data)
    if (problem !== undefined) return problem
    hash?.update(data)
    if (decoded) decodeAt(kernels, order.dtype, raw, n, offset)
    return data.length
  }
  const read: Chunks['read'] = (from, n, hashes) => {
    for (const i of unit.reads.keys()) {
      const bytes = readOne(i, from, n, hashes[i])
      if (typeof bytes !== 'number') return bytes
      bytesRead += bytes
    }
    if (products.length > 0) watch.lap('read')
    for (const i of products) fill(i, from, n)
    if (products.length > 0) watch.lap('draw')
    return undefined
  }
  const fill = (i: number, start: number, n: number): void => generated.fill(i, unit.draws[i]!, draws[i]!, start, n)
  const numbersOf = (isWanted: (draw: GeneratedInputOrder) => boolean): readonly number[] =>
    unit.draws.flatMap((draw, i) => (isWanted(draw) ? [i] : []))
  const [products, drawn] = [numbersOf(isProduct), numbersOf((draw) => !isProduct(draw))]
  /** True where nothing is filled in or counted chunk by chunk, and all outputs have room for a block. */
  const isWhole =
    engine.takesBlocks &&
    drawn.length === 0 &&
    unit.takes.length === 0 &&
    sizes.every((size) => elements[size] >= block)
  /** Where a generated input of elements from `start` on lies, in a block that began with element `from`. */
  const drawAt = (i: number, from: number, start: number): number =>
    draws[i]! + (isProduct(unit.draws[i]!) ? VALUE_BYTES[drawPorts[i]!.type] * (start - from) : 0)
  return {
    outputs,
    byBlock,
    get bytesRead() {
      return bytesRead
    },
    load: () => {
      for (const [i, draw] of unit.draws.entries()) {
        const read = generated.load(i, draw, unit.start, unit.end)
        if (typeof read !== 'number') return read
        bytesRead += read
      }
      return undefined
    },
    read,
    look: (from, n) => {
      const before = bytesRead
      const problem = read(from, n, [])
      bytesRead = before
      return problem
    },
    run: (from, start, length, places) => {
      for (const i of drawn) fill(i, start, length)
      if (drawn.length > 0) watch.lap('draw')
      return engine.run(unit.program, {
        inputs: [
          ...inputs.map((offset, i) => offset + VALUE_BYTES[readPorts[i]!.type] * (start - from)),
          ...draws.map((_, i) => drawAt(i, from, start)),
        ],
        scalars: unit.uniforms.map((u) => valueAt(u, start)),
        outputs: places,
        length,
      })
    },
    placesAt: (from, start) =>
      outputs.map((offset, i) => {
        const first = sizes[i] === 'unit' ? unit.start : sizes[i] === 'block' ? from : start
        return offset + VALUE_BYTES[program.outputs[i]!.type] * (start - first)
      }),
    endOf: (start, most) =>
      Math.min(most, start + (isWhole ? block : engine.chunk), cuts.find((cut) => cut > start) ?? Infinity),
    sourceOf: ({ source }) => {
      if (source === undefined) return undefined
      const { dtype } = unit.reads[source]!
      const held = readPorts[source]!.type === STORED[dtype] ? dtype : 'F32'
      return isFloat(held) ? { offset: inputs[source]!, dtype: held } : undefined
    },
  }
}

const isProduct = ({ type }: GeneratedInputOrder): boolean => type === 'product'

const valueAt = (u: ScalarInputOrder, element: number): number =>
  u.cut !== undefined && element >= u.cut.at ? u.cut.after : u.value
