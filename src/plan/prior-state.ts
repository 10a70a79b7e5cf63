import type { Digest } from '../base/digest.js'
import { LOCK_VERSION, type LockVersion } from '../store/lock.js'
import type { StoredMask } from '../store/masks.js'
import type { StoredOutcome } from '../store/outcomes.js'
import type { TensorInfo } from '../tensor/info.js'
import type { Fingerprint, Identify } from './fingerprint.js'

/** A tensor of an earlier output that still stands. */
export interface EarlierTensor {
  /** Absolute path of its file, and the byte at which it begins. */
  readonly file: string
  readonly begin: number
  readonly digest: Digest
}

/** An unfinished file that a dead run left, laid out just as the one to be written. */
export interface Unfinished {
  readonly path: string
  /** What is done of it, by the fingerprint under `PriorState.identify`. */
  readonly tensors: ReadonlyMap<string, { readonly begin: number; readonly digest: Digest }>
}

/** What earlier runs left behind, as far as a plan can use it. */
export interface PriorState {
  /** The digest of an input's tensor. */
  digestOf(tensor: TensorInfo): Digest | undefined
  /** Tensors of earlier outputs by what made them. */
  readonly earlier: ReadonlyMap<Fingerprint, readonly EarlierTensor[]>
  /**
   * Whether the header and the length of a file that stands under its final path are these; decides if an output may be
   * left alone.
   */
  stands(path: string, header: Uint8Array, bytes: number): boolean
  /** The final paths under which a file stands, whoever wrote it. */
  readonly existing: ReadonlySet<string>
  /** What made the report that stands under a path. */
  reportAt(path: string): string | undefined
  /** Unfinished files by the final path they were to have. */
  readonly unfinished: ReadonlyMap<string, Unfinished>
  /** Identifies stored tensors without reading them, by the file they lie in. */
  readonly identify: Identify
  outcome(fingerprint: Fingerprint): StoredOutcome | undefined
  /** The bits of a mask that an earlier build kept. */
  mask(fingerprint: Fingerprint): StoredMask | undefined
  /** Most bytes of masks that are worth keeping, of one step and of all. */
  readonly room: { readonly step: number; readonly all: number }
  /** The version of the lock to be written, or of the one to be kept to. */
  readonly lock: LockVersion
}

/** Nothing is known: everything is computed. */
export const NO_PRIOR_STATE: PriorState = {
  digestOf: () => undefined,
  earlier: new Map(),
  stands: () => false,
  existing: new Set(),
  reportAt: () => undefined,
  unfinished: new Map(),
  identify: () => undefined,
  outcome: () => undefined,
  mask: () => undefined,
  room: { step: 0, all: 0 },
  lock: LOCK_VERSION,
}
