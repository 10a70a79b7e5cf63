import type { Digest } from '../base/digest.js'
import { LOCK_VERSION, type LockVersion } from '../store/lock.js'
import type { StoredMask } from '../store/masks.js'
import type { StoredOutcome } from '../store/outcomes.js'
import type { TensorInfo } from '../tensor/info.js'
import type { Fingerprint, Identify } from './fingerprint.js'

/** A tensor of an earlier output that still exists. */
export interface EarlierTensor {
  /** Absolute path of its file, and the byte at which it begins. */
  readonly file: string
  readonly begin: number
  readonly digest: Digest
}

/** An unfinished file of a killed run, with the same layout as the one to be written. */
export interface Unfinished {
  readonly path: string
  /** Its finished tensors, by the fingerprint under `PriorState.identify`. */
  readonly tensors: ReadonlyMap<string, { readonly begin: number; readonly digest: Digest }>
}

/** What earlier builds left, as far as a plan can use it. */
export interface PriorState {
  /** The digest of an input's tensor. */
  digestOf(tensor: TensorInfo): Digest | undefined
  /** Tensors of earlier outputs by fingerprint. */
  readonly earlier: ReadonlyMap<Fingerprint, readonly EarlierTensor[]>
  /** Whether an existing file has this header and length: then its output may be up to date. */
  stands(path: string, header: Uint8Array, bytes: number): boolean
  /** The final paths where a file exists, whoever wrote it. */
  readonly existing: ReadonlySet<string>
  /** The fingerprint of an existing report. */
  reportAt(path: string): string | undefined
  /** Unfinished files by the final path they were to have. */
  readonly unfinished: ReadonlyMap<string, Unfinished>
  /** Identifies stored tensors without reading them, by the file they lie in. */
  readonly identify: Identify
  outcome(fingerprint: Fingerprint): StoredOutcome | undefined
  /** What stored tensors are identified by in the fingerprints that `outcome` takes; their digests unless given. */
  readonly outcomesBy?: Identify
  /** The bits of a mask that an earlier build kept. */
  mask(fingerprint: Fingerprint): StoredMask | undefined
  /** The most bytes of masks to cache, for one step and for all. */
  readonly room: { readonly step: number; readonly all: number }
  /** The version of the lock that is written, or of the frozen one. */
  readonly lock: LockVersion
}

/** Nothing is reused: everything is computed. */
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
