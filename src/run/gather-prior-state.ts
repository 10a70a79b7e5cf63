import { existsSync, statSync } from 'node:fs'
import { blake3, EMPTY_DIGEST, toDigest, type Digest } from '../base/digest.js'
import type { Fingerprint, Identify } from '../plan/fingerprint.js'
import { NO_PRIOR_STATE, type EarlierTensor, type PriorState } from '../plan/prior-state.js'
import type { Draft } from '../plan/draft.js'
import { pathsOf } from '../plan/outputs.js'
import type { InputFile } from '../plan/plan.js'
import { identityOf } from '../safetensors/open.js'
import type { KnownFile } from '../store/files.js'
import { LOCK_VERSION } from '../store/lock.js'
import type { Store } from '../store/store.js'
import type { TensorInfo } from '../tensor/info.js'
import { identifyByFile } from './identify-by-file.js'
import { findRemains, type RunRemains } from './journal.js'
import { roomIn } from './kept-masks.js'

/** The files a draft reads, each once. */
export const inputFiles = (draft: Pick<Draft, 'models'>): InputFile[] => [
  ...new Map(draft.models.flatMap((m) => m.files).map((f) => [f.path, f] as const)).values(),
]

/** What the cache and the journals of killed runs know about a draft's files. */
export interface PriorFindings {
  readonly known: PriorState
  /** True if some earlier output could be reused once the contents of all inputs are known. */
  readonly mayReuse: boolean
}

/**
 * What reading files has shown: digests of tensors by the identity of their bytes. If `sound` is given, only the
 * outputs it names may be reused.
 */
export interface Fresh {
  readonly digests: ReadonlyMap<string, Digest>
  readonly sound?: ReadonlySet<string>
}

const NO_REMAINS: RunRemains = { unfinished: new Map(), digests: new Map() }

/** A build that nothing is known for. */
export const knowNothing = (draft: Pick<Draft, 'models'>, store: Store | undefined): PriorState => ({
  ...NO_PRIOR_STATE,
  identify: identifyByFile(inputFiles(draft)),
  room: roomIn(store),
})

/**
 * Collects what earlier builds left for a draft. If `fresh` says which outputs are sound, file times are not trusted.
 */
export const gatherPriorState = async (
  draft: Draft,
  store: Store | undefined,
  fresh: Fresh = { digests: new Map() },
): Promise<PriorFindings> => {
  const files = draft.outputs.flatMap(({ output }) => output.files)
  const { sound } = fresh
  const remains = sound === undefined ? await findRemains(files) : NO_REMAINS
  const identify = identifyByFile(inputFiles(draft))
  const found = store === undefined ? new Map<string, KnownFile>() : findEarlier(draft, store)
  const earlier = new Map([...found].filter(([path]) => sound?.has(path) !== false))
  const made = new Map<Fingerprint, EarlierTensor[]>()
  for (const [path, file] of earlier) {
    for (const { fingerprint, begin, digest } of file.tensors.values()) {
      if (fingerprint === undefined) continue
      const known = made.get(fingerprint as Fingerprint) ?? []
      known.push({ file: path, begin, digest })
      made.set(fingerprint as Fingerprint, known)
    }
  }
  const known: PriorState = {
    digestOf: digestsOf(draft, sound === undefined ? store : undefined, remains, identify, fresh.digests),
    earlier: made,
    stands: (path, header, bytes) => {
      const file = earlier.get(path)
      return file !== undefined && file.header === toDigest(blake3(header)) && file.identity.size === bytes
    },
    existing: new Set(outputPaths(draft).filter((path) => existsSync(path))),
    reportAt: (path) => earlier.get(path)?.fingerprint,
    unfinished: remains.unfinished,
    identify,
    outcome: store === undefined || store.outcomes.isEmpty() ? NO_PRIOR_STATE.outcome : store.outcomes.find,
    mask: store?.masks.open() ?? NO_PRIOR_STATE.mask,
    room: roomIn(store),
    lock: LOCK_VERSION,
  }
  return { known, mayReuse: earlier.size > 0 }
}

const outputPaths = (draft: Draft): string[] => [
  ...draft.outputs.flatMap(({ output }) => pathsOf(output)),
  ...draft.reports.map((r) => r.path),
]

/** The existing files at the paths of a draft's outputs that smelt wrote. */
export const findEarlier = (draft: Draft, store: Store): Map<string, KnownFile> => {
  return new Map(
    outputPaths(draft).flatMap((path) => {
      const now = statSync(path, { throwIfNoEntry: false, bigint: true })
      const file = now === undefined ? undefined : store.files.find(path, identityOf(now))
      return file === undefined ? [] : [[path, file] as const]
    }),
  )
}

const digestsOf = (
  draft: Draft,
  store: Store | undefined,
  remains: RunRemains,
  identify: Identify,
  fresh: ReadonlyMap<string, Digest>,
) => {
  const files = new Map(inputFiles(draft).map((f) => [f.path, store?.files.find(f.path, f)] as const))
  return (tensor: TensorInfo): Digest | undefined => {
    if (tensor.begin === tensor.end) return EMPTY_DIGEST
    const stored = files.get(tensor.file)?.tensors.get(tensor.name)
    if (stored?.begin === tensor.begin) return stored.digest
    if (fresh.size + remains.digests.size === 0) return undefined
    const identity = identify(tensor)
    return identity === undefined ? undefined : (fresh.get(identity) ?? remains.digests.get(identity))
  }
}
