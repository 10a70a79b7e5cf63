import { readFileSync } from 'node:fs'
import type { FloatDtype } from '../tensor/dtype.js'
import type { RandomKey } from './key.js'
import { createMemory, type KernelMemory } from './memory.js'
import { NORMAL_TABLE_LENGTH, normalTable } from './normal-table.js'
import { allowRelaxedSimd } from './relaxed-simd.js'
import {
  instantiate,
  instantiateIn,
  isKnown,
  type AddTurns,
  type MultiplyRows,
  type RunProgram,
  type WasmExports,
} from './wasm-module.js'

export type { RunProgram }

/** Elements that one partial sum covers; ranges that are summed start at multiples of it. */
export const SUM_BLOCK = 4096

/** The most parts `partition` can tell apart. */
export const MAX_PARTS = 256

/**
 * Every kernel's result depends on its arguments alone, and is the same in every bit on every machine.
 * Pointers are offsets of {@link KernelMemory} and need no alignment, n counts elements (below 2^31), u8 masks hold 0
 * or 1.
 */
export type Kernels = KernelMemory & {
  /** u32 out[i] = the draw of element start + i, from which the next four are made. */
  readonly randomBits: (out: number, start: number, n: number, key: RandomKey) => void
  /**
   * u8 out[i] = 1 with probability p (rounded to a multiple of 2^-32) where the draw of element start + i says so, else
   * 0.
   */
  readonly bernoulli: (out: number, start: number, n: number, key: RandomKey, p: number) => void
  /** f32 out[i] in [0, 1), a multiple of 2^-24, from the draw of element start + i. */
  readonly uniform: (out: number, start: number, n: number, key: RandomKey) => void
  /** f32 out[i] from the standard normal distribution, within 6.2303 sigma, from the draw of element start + i. */
  readonly gaussian: (out: number, start: number, n: number, key: RandomKey) => void
  /**
   * u8 out[i] = the part that the draw of element start + i falls in; `shares` are the parts' weights, at most {@link
   * MAX_PARTS}, not all 0.
   */
  readonly partition: (out: number, start: number, n: number, key: RandomKey, shares: readonly number[]) => void
  /** Adds to the u32 hist[65536] one count per f32 of x, by the upper 16 bits of |x|. */
  readonly histogramHigh: (x: number, n: number, hist: number) => void
  /**
   * Adds to the u32 hist[32768] one count per f32 of x whose upper 16 bits of |x| are `high`, by the lower 15 bits of
   * |x|.
   */
  readonly histogramLow: (x: number, n: number, high: number, hist: number) => void
  /**
   * Adds to the u32 hist[{@link RANGE} · 32768] one count per f32 of x in the bins of `histogramHigh` from `base` on, by
   * its place among all |x| from there. Gives how many |x| are below; -1 where one is NaN or infinity.
   */
  readonly histogramRange: (x: number, n: number, base: number, hist: number) => number
  /**
   * Writes the bins of a u32 histogram that are not empty to `out`, as u32 pairs of bin and count in ascending order, and
   * empties it; gives the number of pairs. Takes a multiple of 4 bins.
   */
  readonly takePairs: (hist: number, bins: number, out: number) => number
  /**
   * The float64 sum of n f32: eight lanes inside a block of {@link SUM_BLOCK}, the blocks added in order to the sum of
   * those before them, 0 unless given.
   */
  readonly sum: (x: number, n: number, before?: number) => number
  /** Like `sum`, of |x|. */
  readonly sumAbs: (x: number, n: number) => number
  /** Like `sum`, of the products of n pairs of f32. */
  readonly dot: (x: number, y: number, n: number, before?: number) => number
  /** The exact sum of n u8. */
  readonly sumMask: (m: number, n: number) => number
  /**
   * Takes n f32 of x (of a dot product also of y) into the f64 numbers of their blocks at `to`: each of `count` blocks has
   * `run` elements in turn, and the first `left` elements are of block `block`. A sum or dot product is added to, one
   * element after the other; `peak` keeps the greatest size but NaN and infinity.
   */
  readonly sumTurns: AddTurns
  readonly dotTurns: AddTurns
  readonly peakTurns: AddTurns
  /**
   * f32 out[i·across + j] = Σᵣ up[i·rank + r]·down[r·stride + j] for i < rows and j < n: rows of a low-rank matrix; f32
   * throughout, the ranks added in order.
   */
  readonly lowRankRows: MultiplyRows
  /** The same, sooner, of factors of which `areExact` is true. */
  readonly exactRows: MultiplyRows
  /**
   * True where every product of one of n f32 of x and one of m of y is exact in f32: its bits then do not tell whether it
   * was rounded before it was added. Not of all that are: each number has at most 12 significant bits, as those of F16,
   * BF16 and F8 do.
   */
  readonly areExact: (x: number, n: number, y: number, m: number) => boolean
  /**
   * f64 c = a·b, c of m × n row by row, both multiples of 4; a lies in groups of four rows and b in groups of four
   * columns, each group along k. Products are added in order along k.
   */
  readonly multiply: (c: number, a: number, b: number, m: number, n: number, k: number) => void
  /**
   * Solves triangular equations for a strip of eight rows of f64, which lies column by column: column j becomes what is
   * left of it without the columns before it (after it, if `backward` is 1), each multiplied by its number in row j of
   * `factors`, divided by the number that row has at j; `width` columns, and as many rows of `factors`.
   */
  readonly solveStrip: WasmExports['solveStrip']
  /**
   * Turns neighbouring columns of a strip of eight rows of f64, which lies column by column: with i from `top` − 1 down,
   * `count` times, column i + 1 becomes s·xᵢ + c·xᵢ₊₁ and column i becomes c·xᵢ − s·xᵢ₊₁; `turns` are pairs of c and s.
   */
  readonly rotate: (strip: number, top: number, count: number, turns: number) => void
  /**
   * f32 out[i] = the rank of |x[i]| in its row of `width`, from 0 for the least; equal ones by index. Needs
   * `ranksRoom(width)` bytes of memory at `room`.
   */
  readonly rankRows: (x: number, rows: number, width: number, out: number, room: number) => void
  readonly ranksRoom: (width: number) => number
  /** The greatest of n f32 and a number before them, NaN passed over; the least in the same way. Of a zero the sign is +. */
  readonly greatest: (x: number, n: number, before: number) => number
  readonly least: (x: number, n: number, before: number) => number
  /**
   * Adds to the u32 counts[2^19] one count per f32 of x, by its upper 19 bits in the order of the numbers, −0 below 0;
   * gives the bits that any has.
   */
  readonly countOrdered: (x: number, n: number, counts: number) => number
  /**
   * Puts for each of n f32 of x what has its rank among other numbers in its place of y. `places` has for each value of
   * the upper 19 bits, both zeros as one, the next rank and where the run is that has it, as u32; a run is the first rank
   * after it, the bits to put, and the bits of y that they replace. Runs lie one after the other. Where the run is `zeros`,
   * whose first rank is `first`, the sign to put is a bit of `signs`, the lowest of a byte first.
   */
  readonly putRanked: WasmExports['putRanked']
  /**
   * One step of Stockham's Fourier transform of `blocks` blocks of `size` complex f64, imaginary parts `imag` bytes behind
   * real ones: of r elements that are a share 1/r of the block apart the sums weighted by the powers of the r-th root of
   * unity, times a power of a root of what is left of the length, next to each other. `stride` elements after each other,
   * an even number, are treated alike. `roots` are those of the whole length `n`, real parts and then imaginary ones, of
   * which `every` picks those of what is left; `own` are those of an odd radix above 5, which is at most 61.
   */
  readonly fourierStep: WasmExports['fourierStep']
  /** Multiplies the `count` complex f64 of each of n elements by its number of `by`, real parts and then imaginary ones. */
  readonly multiplyLines: WasmExports['multiplyLines']
  /**
   * Takes the transforms of real lines, two as the real and imaginary parts of a complex one, apart: element k of each has
   * the real part of its frequency k, element n − k the imaginary one. Blocks of n elements of `count` complex lines.
   */
  readonly splitLines: WasmExports['splitLines']
  /** Undoes `splitLines`. */
  readonly joinLines: WasmExports['joinLines']
  /** What a transform and `splitLines` make of blocks of three elements of `count` real lines. */
  readonly realBy3: WasmExports['realBy3']
  /** Undoes `realBy3`, but for a factor of 3. */
  readonly realFrom3: WasmExports['realFrom3']
  /**
   * Multiplies the frequencies of real lines, two as the real and imaginary parts of a complex one, by `scale` times
   * `base + slope·(f − cut)`, kept from 0 to 1, where f is the root of the mean of the squares of `axes` axes: one of
   * `squares` for each of the n elements, and the sum of the others of `others` for each of `count` real parts and then of
   * as many imaginary ones.
   */
  readonly filterLines: WasmExports['filterLines']
  /** Lays four rows of n f32, `apart` numbers apart, next to each other as f64: two, and `imag` bytes behind them two more. */
  readonly interleave: WasmExports['interleave']
  /** Undoes `interleave`, rounding to f32. */
  readonly separate: WasmExports['separate']
  /**
   * f32 out[i] = |x[i] − y[i]| · KL(softmax(x) ‖ softmax(y)), the softmax and the divergence over rows of `width`. Needs 24
   * bytes of memory at `room` for each element and for one more.
   */
  readonly importanceOfRows: (x: number, y: number, rows: number, width: number, out: number, room: number) => void
  /** The index of the first NaN or infinity of n elements, or -1. */
  readonly firstNonFinite: (x: number, n: number, dtype: FloatDtype) => number
  /** Packs n u8 into ceil(n / 8) bytes, lowest bit first; any byte but 0 is a 1, unused bits are 0. */
  readonly packBits: (m: number, n: number, out: number) => void
  /** Unpacks n bits into n u8 of 0 or 1. */
  readonly unpackBits: (packed: number, n: number, m: number) => void
  /** BF16 codes to f32, exactly; a NaN keeps its bits. */
  readonly decodeBF16: (x: number, n: number, out: number) => void
  /** f32 to BF16 codes, like `encode`: what is too large becomes infinity. */
  readonly encodeBF16: (x: number, n: number, out: number) => void
  /** F16 codes to f32, exactly; NaN stays NaN. */
  readonly decodeF16: (x: number, n: number, out: number) => void
  /** F8_E4M3 codes to f32, like `decode`. */
  readonly decodeF8E4M3: (x: number, n: number, out: number) => void
  /** F8_E5M2 codes to f32, like `decode`. */
  readonly decodeF8E5M2: (x: number, n: number, out: number) => void
  /** f32 to F8_E4M3 codes, like `encode`: what is too large becomes NaN. */
  readonly encodeF8E4M3: (x: number, n: number, out: number) => void
  /** f32 to F8_E5M2 codes, like `encode`: what is too large becomes infinity. */
  readonly encodeF8E5M2: (x: number, n: number, out: number) => void
  /** Compiles the module of a program, which works in this memory. */
  readonly link: (bytes: Uint8Array) => RunProgram
}

/**
 * The kernels, where the engine knows how with instructions that multiply and add at once. Those are used only where that
 * gives the same bits.
 */
const readModule = (): Uint8Array => {
  allowRelaxedSimd()
  const fused = readFileSync(new URL('../kernels/fused.wasm', import.meta.url))
  return isKnown(fused) ? fused : readFileSync(new URL('../kernels/kernels.wasm', import.meta.url))
}

/** A fresh instance with its own memory: one per thread. Throws where the build has made no kernels. */
export const loadKernels = (): Kernels => {
  const wasm = instantiate(readModule())
  const memory = createMemory(wasm.memory, wasm.heapBase.value)
  return {
    ...memory,
    ...bindRandom(wasm, memory),
    histogramHigh: wasm.histogramHigh,
    histogramLow: wasm.histogramLow,
    histogramRange: wasm.histogramRange,
    takePairs: wasm.takePairs,
    sum: (x, n, before = 0) => wasm.sum(x, n, before),
    sumAbs: wasm.sumAbs,
    dot: (x, y, n, before = 0) => wasm.dot(x, y, n, before),
    sumMask: wasm.sumMask,
    sumTurns: wasm.sumTurns,
    dotTurns: wasm.dotTurns,
    peakTurns: wasm.peakTurns,
    lowRankRows: wasm.lowRankRows,
    exactRows: wasm.exactRows,
    areExact: (x, n, y, m) => wasm.areExact(x, n, y, m) !== 0,
    multiply: wasm.multiply,
    solveStrip: wasm.solveStrip,
    rotate: wasm.rotate,
    rankRows: wasm.rankRows,
    // A zero whose sign is that of the first one met would depend on how elements are cut.
    greatest: (x, n, before) => wasm.greatest(x, n, before) + 0,
    least: (x, n, before) => wasm.least(x, n, before) + 0,
    importanceOfRows: wasm.importanceOfRows,
    ranksRoom: (width) => wasm.ranksRoom.value + 16 * width,
    countOrdered: wasm.countOrdered,
    putRanked: wasm.putRanked,
    fourierStep: wasm.fourierStep,
    multiplyLines: wasm.multiplyLines,
    splitLines: wasm.splitLines,
    joinLines: wasm.joinLines,
    realBy3: wasm.realBy3,
    realFrom3: wasm.realFrom3,
    filterLines: wasm.filterLines,
    interleave: wasm.interleave,
    separate: wasm.separate,
    firstNonFinite: (x, n, dtype) => {
      const { scan, mask } = NON_FINITE[dtype]
      return wasm[scan](x, n, mask)
    },
    packBits: wasm.packBits,
    unpackBits: wasm.unpackBits,
    decodeBF16: wasm.decodeBF16,
    encodeBF16: wasm.encodeBF16,
    decodeF16: wasm.decodeF16,
    decodeF8E4M3: wasm.decodeF8E4M3,
    decodeF8E5M2: wasm.decodeF8E5M2,
    encodeF8E4M3: wasm.encodeF8E4M3,
    encodeF8E5M2: wasm.encodeF8E5M2,
    link: (bytes) => instantiateIn(wasm.memory, bytes),
  }
}

// The bits that NaN and infinity have set and no finite number has all of; of F64 the upper half.
const NON_FINITE = {
  F8_E4M3: { scan: 'firstMasked8', mask: 0x7f },
  F8_E5M2: { scan: 'firstMasked8', mask: 0x7c },
  F16: { scan: 'firstMasked16', mask: 0x7c00 },
  BF16: { scan: 'firstMasked16', mask: 0x7f80 },
  F32: { scan: 'firstMasked32', mask: 0x7f800000 },
  F64: { scan: 'firstMasked64', mask: 0x7ff00000 },
} as const satisfies { readonly [D in FloatDtype]: { readonly scan: keyof WasmExports; readonly mask: number } }

const bindRandom = (
  wasm: WasmExports,
  memory: KernelMemory,
): Pick<Kernels, 'randomBits' | 'bernoulli' | 'uniform' | 'gaussian' | 'partition'> => {
  const table = memory.alloc(4 * NORMAL_TABLE_LENGTH)
  let filled = false
  const filledTable = (): number => {
    if (!filled) memory.view(Float32Array, table, NORMAL_TABLE_LENGTH).set(normalTable())
    filled = true
    return table
  }
  const lasts = memory.alloc(4 * MAX_PARTS)
  return {
    randomBits: (out, start, n, key) =>
      eachRun(start, n, 4, (at, lo, hi, count) => wasm.randomBits(out + at, lo, hi, count, key.k0, key.k1)),
    bernoulli: (out, start, n, key, p) => {
      const end = Math.round(p * TWO_32)
      if (end === 0) memory.view(Uint8Array, out, n).fill(0)
      else eachRun(start, n, 1, (at, lo, hi, count) => wasm.bernoulli(out + at, lo, hi, count, key.k0, key.k1, end - 1))
    },
    uniform: (out, start, n, key) =>
      eachRun(start, n, 4, (at, lo, hi, count) => wasm.uniform(out + at, lo, hi, count, key.k0, key.k1)),
    gaussian: (out, start, n, key) => {
      const normals = filledTable()
      eachRun(start, n, 4, (at, lo, hi, count) => wasm.gaussian(out + at, lo, hi, count, key.k0, key.k1, normals))
    },
    partition: (out, start, n, key, shares) => {
      // A draw is a u32, so a part that ends at 0 is passed by every draw and one that ends at 2^32 by none.
      const ends = toEnds(shares)
      const inner = ends.filter((end) => end > 0 && end < TWO_32)
      const passed = ends.filter((end) => end === 0).length
      memory.view(Uint32Array, lasts, inner.length).set(inner.map((end) => end - 1))
      eachRun(start, n, 1, (at, lo, hi, count) =>
        wasm.partition(out + at, lo, hi, count, key.k0, key.k1, lasts, inner.length, passed),
      )
    },
  }
}

const TWO_32 = 2 ** 32

/** Where each part but the last ends among the 2^32 draws; the shares are added in order and divided by their sum. */
export const toEnds = (shares: readonly number[]): readonly number[] => {
  const sums = shares.map(
    (
      (sum) => (share: number) =>
        (sum += share)
    )(0),
  )
  const all = sums.at(-1) ?? 0
  if (!(all > 0) || shares.length > MAX_PARTS) throw new RangeError(`shares of ${all} in ${shares.length} parts`)
  return sums.slice(0, -1).map((sum) => Math.round((sum / all) * TWO_32))
}

/** Cuts a range of elements where the upper half of the index changes, since the kernels count in 32 bits. */
const eachRun = (
  start: number,
  n: number,
  bytes: number,
  run: (at: number, lo: number, hi: number, count: number) => void,
): void => {
  for (let done = 0; done < n;) {
    const index = start + done
    const hi = Math.floor(index / TWO_32)
    const count = Math.min(n - done, (hi + 1) * TWO_32 - index)
    run(done * bytes, index % TWO_32, hi, count)
    done += count
  }
}
