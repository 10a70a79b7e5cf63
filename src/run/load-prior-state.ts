import type { Digest } from '../base/digest.js'
import { ok, type Result } from '../base/result.js'
import type { PriorState } from '../plan/prior-state.js'
import type { Draft } from '../plan/draft.js'
import type { Store } from '../store/store.js'
import type { TensorInfo } from '../tensor/info.js'
import { digestTensors } from './digest-tensors.js'
import { findEarlier, gatherPriorState, inputFiles } from './gather-prior-state.js'
import { identifyByFile } from './identify-by-file.js'
import type { RunOptions } from './options.js'
import { recheck } from './recheck.js'

/**
 * When to read inputs whose contents are unknown: if that may save work, always, or never. `anew` reads everything,
 * known or not.
 */
export type Reading = 'if-useful' | 'always' | 'never' | 'anew'

/** Every tensor of the inputs, once. */
const inputsOf = (draft: Draft): readonly TensorInfo[] => {
  const listed = draft.evaluations
    .flatMap((e) => [...e.setting.inputs.values()])
    .flatMap(({ file }) => [...file.tensors.values()])
  return [...new Map(listed.map((t) => [`${t.file}\0${t.name}`, t] as const)).values()]
}

/** Gathers what earlier builds left for a draft, and hashes inputs if requested. */
export const loadPriorState = async (
  draft: Draft,
  store: Store | undefined,
  reading: Reading,
  options: RunOptions,
): Promise<Result<PriorState>> => {
  const identify = identifyByFile(inputFiles(draft))
  const byIdentity = (
    tensors: readonly TensorInfo[],
    digestOf: (t: TensorInfo) => Digest | undefined,
  ): ReadonlyMap<string, Digest> =>
    new Map(tensors.filter((t) => t.begin < t.end).map((t) => [identify(t)!, digestOf(t)!] as [string, Digest]))
  if (reading === 'anew') {
    const inputs = inputsOf(draft)
    const read = await recheck(inputs, store === undefined ? new Map() : findEarlier(draft, store), options)
    if (read.type === 'failed') return read
    return ok(
      (
        await gatherPriorState(draft, store, {
          digests: byIdentity(inputs, read.value.digestOf),
          sound: read.value.sound,
        })
      ).known,
    )
  }
  const { known, mayReuse } = await gatherPriorState(draft, store)
  if (reading === 'never' || (reading === 'if-useful' && !mayReuse)) return ok(known)
  const unknown = inputsOf(draft).filter((t) => known.digestOf(t) === undefined)
  if (unknown.length === 0) return ok(known)
  const digests = await digestTensors(unknown, options)
  if (digests.type === 'failed') return digests
  return ok((await gatherPriorState(draft, store, { digests: byIdentity(unknown, digests.value) })).known)
}
