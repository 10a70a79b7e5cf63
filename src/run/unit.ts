import type { Cells } from '../graph/expression.js'
import type { Product } from '../graph/products.js'
import type { Oddity } from './oddities.js'
import type { Timings } from './stopwatch.js'
import type { BlockGrid } from '../tensor/block-grid.js'
import type { Dtype } from '../tensor/dtype.js'
import type { TensorInfo } from '../tensor/info.js'
import type { Ranges } from './read-ranges.js'

/** Bytes of a tensor in a file: `begin` is where its element 0 lies. */
export interface FileSlice {
  readonly path: string
  readonly begin: number
  readonly dtype: Dtype
}

/**
 * An input of a unit; `digest` asks for the digest of the segment, which some unit takes once for every tensor that is
 * read whole.
 */
export interface ReadOrder extends Ranges {
  readonly tensor: string
  /** The input that `path` has a copy of, where it is none itself. */
  readonly input?: string
  readonly digest: boolean
  /** True for an output's own bytes, which lie in the unfinished file, and for those of the scratch file. */
  readonly unfinished?: boolean
  /** True for the bits of a kept mask, which become a BOOL each. */
  readonly packed?: true
}

/** An output of a unit. `step` names the step that computes it, for problems. */
export interface WriteOrder extends FileSlice {
  readonly tensor: string
  readonly step: string
  /** What helps against NaN and infinities there. */
  readonly advice?: string | undefined
  readonly allowNonFinite: boolean
}

/** An output of a program. */
export interface ComputedWrite extends WriteOrder {
  /** The program output that holds the elements. */
  readonly port: number
  /** The read of the unit whose numbers these are, in another dtype at most; undefined for what is computed. */
  readonly source?: number
  /**
   * True for a BOOL that is written as a bit, for later builds alone: the unit does not fail where that is not
   * possible.
   */
  readonly packed?: true
}

/** Random or constant numbers the worker fills in; the key makes them a function of the element's index alone. */
export type GeneratedInputOrder =
  | { readonly type: 'bernoulli'; readonly k0: number; readonly k1: number; readonly p: number }
  | { readonly type: 'normal' | 'uniform'; readonly k0: number; readonly k1: number }
  | { readonly type: 'constant'; readonly value: boolean }
  | { readonly type: 'position'; readonly stride: number; readonly length: number }
  | { readonly type: 'product'; readonly product: Product }
  /** Numbers of blocks from a file, or those of the unit's blocks that passes before have found. */
  | {
      readonly type: 'spread'
      readonly grid: BlockGrid
      readonly from: TensorInfo | { readonly numbers: Float32Array }
    }

/** A measure the worker takes over the unit's elements. `bin` and `low` say which magnitudes count. */
export type TakeOrder =
  | { readonly stage: 'sum' | 'min' | 'max'; readonly ports: readonly number[] }
  /** `near` says where the answer will be; without it magnitudes are counted by their high bits alone. */
  | { readonly stage: 'high'; readonly ports: readonly number[]; readonly near: Near | undefined }
  | { readonly stage: 'dot'; readonly ports: readonly number[] }
  | { readonly stage: 'tally'; readonly ports: readonly number[]; readonly cells: Cells<number> }
  | {
      readonly stage: 'block-totals'
      readonly ports: readonly number[]
      readonly measure: 'sum' | 'dot' | 'max' | 'peak'
      readonly grid: BlockGrid
    }
  | { readonly stage: 'low'; readonly ports: readonly number[]; readonly bin: number }
  | { readonly stage: 'locate'; readonly ports: readonly number[]; readonly bits: number; readonly nth: number }

/** True for a measure that counts magnitudes. */
export const isCount = ({ stage }: Pick<TakeOrder, 'stage'>): boolean => stage === 'high' || stage === 'low'

/** How many different magnitudes a segment is thought to count, and the most segments of a unit that counts any. */
export const [COUNTED, COUNTED_SEGMENTS] = [1 << 14, 8]

/** A number fed to the program: one value, or one up to element `cut` and another from there on. */
export interface ScalarInputOrder {
  readonly value: number
  readonly cut?: { readonly at: number; readonly after: number }
}

/**
 * The segments of a tensor that a unit does, one after the other. Elements are counted from the tensor's start, and
 * `start` is where a segment begins.
 */
export interface Segment {
  readonly id: number
  readonly start: number
  readonly end: number
}

/** Runs a program over segments of a pass. */
export interface ComputeOrder extends Segment {
  readonly type: 'compute'
  /** Index of the program. */
  readonly program: number
  readonly reads: readonly ReadOrder[]
  readonly draws: readonly GeneratedInputOrder[]
  readonly uniforms: readonly ScalarInputOrder[]
  readonly needsLength: boolean
  readonly takes: readonly TakeOrder[]
  readonly writes: readonly ComputedWrite[]
}

/** Copies segments byte for byte. */
export interface CopyOrder extends Segment {
  readonly type: 'copy'
  readonly reads: readonly [ReadOrder]
  readonly writes: readonly [WriteOrder]
}

/** Reads segments for their digests alone. */
export interface DigestOrder extends Segment {
  readonly type: 'digest'
  readonly reads: readonly [ReadOrder]
  readonly writes: readonly []
}

/** Has a solver make some rows of a tensor; `start` and `end` are elements of the result. */
export interface SolveOrder extends Segment {
  readonly type: 'solve'
  readonly solver: string
  readonly settings: readonly number[]
  /** The shape of the rows that are made. */
  readonly shape: readonly number[]
  /** Each computes one operand, or the same rows of it, at port 0. */
  readonly operands: readonly { readonly order: ComputeOrder; readonly shape: readonly number[] }[]
  readonly reads: readonly []
  readonly writes: readonly []
  /** Where the result begins in the scratch file. */
  readonly result: FileSlice
  /** The tensor and the step, for problems. */
  readonly tensor: string
  readonly step: string
}

/** What a worker does at a time: an order that is complete in itself. */
export type UnitOrder = ComputeOrder | CopyOrder | DigestOrder | SolveOrder

/**
 * Where the magnitude that is looked for will be: in or near a bin, or where this share of the magnitudes of a tensor
 * of `size` elements lies, which the unit finds out from some of them.
 */
export type Near = { readonly bin: number } | { readonly share: number; readonly size: number }

/** Pairs of a bin and how many magnitudes are in it, in ascending order, without empty bins. */
export type Pairs = Uint32Array<ArrayBuffer>

/** Magnitudes counted. */
export type Magnitudes =
  /** All by their high bits, and those of one bin by their low bits too where it is known to be the one. */
  | {
      readonly type: 'all'
      readonly high: Pairs
      readonly low: { readonly bin: number; readonly pairs: Pairs } | undefined
    }
  /** In a few bins from `base` on by their place from there; how many are below, and whether all of them are numbers. */
  | {
      readonly type: 'range'
      readonly base: number
      readonly below: number
      readonly pairs: Pairs
      readonly finite: boolean
    }

/** What was found of each block that a unit meets; blocks are numbered from `first` of the whole tensor on. */
export interface BlockNumbers {
  readonly first: number
  readonly numbers: Float64Array<ArrayBuffer>
}

/**
 * What one measure found: a float64 total, magnitudes, their low bits as sparse pairs, the cells of a tally, the numbers of blocks, or
 * the element located.
 */
export type Found = number | Magnitudes | BlockNumbers | Uint32Array<ArrayBuffer> | Float64Array<ArrayBuffer>

/**
 * What came of a unit. Digests are in the order of `reads` (where asked for) and `writes` (where they could be done),
 * each with those of all segments in their order, 32 bytes a segment. `found` has what the takes of the first segment
 * found, then those of the next.
 */
export interface UnitResult {
  readonly id: number
  readonly found: readonly Found[]
  readonly readDigests: readonly (Uint8Array | undefined)[]
  readonly writeDigests: readonly (Uint8Array | undefined)[]
  readonly bytesRead: number
  readonly bytesWritten: number
  /** What is odd about numbers that were copied, by index of the write. */
  readonly odd?: readonly (readonly [write: number, oddity: Oddity])[]
  /** Wall time it took its worker. */
  readonly spent: Timings
}

/** A result before its time is known. */
export type UntimedResult = Omit<UnitResult, 'spent'>
