import type { Digest } from '../base/digest.js'
import { ok, type Result } from '../base/result.js'
import type { Known } from '../plan/known.js'
import type { Draft } from '../plan/draft.js'
import type { Store } from '../store/store.js'
import { digestTensors } from './digest-tensors.js'
import { gatherKnown, identifyByFile, inputFiles } from './known.js'
import type { RunOptions } from './options.js'

/** When the contents of inputs that are not known are read: whenever that may save work, always, or never. */
export type Reading = 'if-useful' | 'always' | 'never'

/** Gathers what earlier builds left that concerns a draft, and reads inputs for their digests where that is asked for. */
export const learn = async (draft: Draft, store: Store | undefined, reading: Reading, options: RunOptions): Promise<Result<Known>> => {
  const { known, hopeful } = await gatherKnown(draft, store)
  if (reading === 'never' || (reading === 'if-useful' && !hopeful)) return ok(known)
  const inputs = draft.evaluations.flatMap((e) => [...e.setting.models.values(), ...e.setting.adapters.values()]).flatMap((m) => [...m.tensors.values()])
  const unknown = [...new Map(inputs.filter((t) => known.digestOf(t) === undefined).map((t) => [`${t.file}\0${t.name}`, t] as const)).values()]
  if (unknown.length === 0) return ok(known)
  const digests = await digestTensors(unknown, options)
  if (digests.type === 'failed') return digests
  const identify = identifyByFile(inputFiles(draft))
  const fresh = new Map(unknown.map((t) => [identify(t)!, digests.value(t)!] as [string, Digest]))
  return ok((await gatherKnown(draft, store, fresh)).known)
}
