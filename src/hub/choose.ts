import { BIN_INDEX, isCheckpointName } from '../pytorch/open.js'
import { INDEX_SUFFIX } from '../safetensors/sharded-index.js'
import { shardNumber } from '../safetensors/shard-names.js'

/** What is looked for in a repository. */
export type HubKind = 'model' | 'adapter'

/** What a folder of a repository holds: the file to open, several of which none is the usual one, or none. */
export type Choice =
  | { readonly type: 'found'; readonly name: string }
  | { readonly type: 'several'; readonly names: readonly string[] }
  | { readonly type: 'none' }

/** The usual names, the first that is there wins: repositories often hold the same model in several forms. */
const USUAL: Readonly<Record<HubKind, readonly string[]>> = {
  model: [
    'model.safetensors.index.json',
    'model.safetensors',
    'diffusion_pytorch_model.safetensors.index.json',
    'diffusion_pytorch_model.safetensors',
  ],
  adapter: ['adapter_model.safetensors', 'pytorch_lora_weights.safetensors'],
}

/** The same in PyTorch's format, which are taken where there is no safetensors file. */
const USUAL_PICKLED: Readonly<Record<HubKind, readonly string[]>> = {
  model: [
    'pytorch_model.bin.index.json',
    'pytorch_model.bin',
    'diffusion_pytorch_model.bin.index.json',
    'diffusion_pytorch_model.bin',
  ],
  adapter: ['adapter_model.bin', 'pytorch_lora_weights.bin'],
}

/** Files that programs save beside a model and that hold none. */
const NO_MODEL = /^(?:training_args|optimizer|scheduler|rng_state.*)\.(?:bin|pt|pth)$/

const isShard = (name: string): boolean => shardNumber(name) !== undefined

/** The file of a folder that holds the model or adapter, from the names in it: an index, or a single file. */
export const chooseFile = (names: readonly string[], kind: HubKind): Choice => {
  const there = new Set(names)
  const ending = (suffix: string): readonly string[] => names.filter((name) => name.endsWith(suffix)).sort()
  const single = (list: readonly string[]): readonly string[] => list.filter((name) => !isShard(name))
  const usual = (list: readonly string[]): readonly string[] => list.filter((name) => there.has(name)).slice(0, 1)
  const found = [
    usual(USUAL[kind]),
    ending(INDEX_SUFFIX),
    single(ending('.safetensors')),
    usual(USUAL_PICKLED[kind]),
    ending(BIN_INDEX),
    single(names.filter((name) => isCheckpointName(name) && !NO_MODEL.test(name))).toSorted(),
  ].find((list) => list.length > 0)
  if (found === undefined) return { type: 'none' }
  return found.length === 1 ? { type: 'found', name: found[0]! } : { type: 'several', names: found }
}
