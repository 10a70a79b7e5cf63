import { findRoot } from '../../tensor/roots.js'
import type { Architecture } from '../detect.js'
import { adapterNames } from './names.js'
import type { NameChange, Rows } from './spelling.js'

/** How a written adapter names the modules of the model it is for: as kohya's scripts, as diffusers, or as PEFT. */
export type NameFormat = 'kohya' | 'diffusers' | 'peft'

/** How the names of two factors end in each format. */
export const FACTOR_ENDINGS: Readonly<Record<NameFormat, readonly [up: string, down: string]>> = {
  kohya: ['.lora_up.weight', '.lora_down.weight'],
  diffusers: ['.lora_B.weight', '.lora_A.weight'],
  peft: ['.lora_B.weight', '.lora_A.weight'],
}

/** The name of the number that scales a module's factors. */
export const alphaName = (module: string): string => `${module}.alpha`

/** A module as an adapter names it: the rows of a model's tensor that it stands for, all unless given. */
export interface SpeltModule {
  readonly module: string
  readonly rows: Rows | undefined
  /** How the adapter has them otherwise than the model. */
  readonly change: NameChange | undefined
}

interface Candidate extends SpeltModule {
  readonly tensor: string
}

type Tensors = ReadonlyMap<string, { readonly shape: readonly number[] }>

/** The names of each format, among all that smelt understands. */
const IN_FORMAT: Readonly<Record<NameFormat, (name: string) => boolean>> = {
  kohya: (name) => /^lora_(?:unet|te\d?)_[^.]+$/.test(name),
  diffusers: (name) => /^(?:unet|transformer|text_encoder(?:_[23])?)\.(?!base_model\.model\.)/.test(name),
  peft: (name) => name.startsWith('base_model.model.'),
}

/** Names that only older programs write, and those that go through a processor of attention. */
const DATED = /self_attn[._]to_(?:q|k|v|out)$|\.processor\./

/** kohya's scripts train these by the names of diffusers; other networks have their own names there. */
const DIFFUSERS_IN_KOHYA: readonly string[] = ['sd1', 'sd2']
/** A T5 is the third text encoder of these pipelines; of other pipelines it is the second. */
const THIRD_ENCODER: readonly string[] = ['sd3']

/** True if a name ends in the path that the model's own tensor has, with dots or underscores. */
const isOriginal = ({ module, tensor }: Candidate, root: string): boolean => {
  const path = tensor.slice(root === '' ? 0 : root.length + 1).replace(/\.(?:weight|bias|scale)$/, '')
  const end = [path, path.replaceAll('.', '_')].find((text) => module.endsWith(text))
  // `lora_unet_` ends in a root itself.
  return end !== undefined && /(?:^|[._])$/.test(module.slice(0, module.length - end.length))
}

/** Whether parts of a tensor make up all of it. */
const areWhole = (parts: readonly Candidate[], height: number): boolean =>
  parts.some(({ rows }) => rows === undefined) || parts.reduce((n, { rows }) => n + rows!.count, 0) === height

/** The first candidate for the whole tensor, else the first for each part. */
const firstOfEach = (candidates: readonly Candidate[]): readonly Candidate[] => {
  const whole = candidates.find(({ rows }) => rows === undefined)
  if (whole !== undefined) return [whole]
  return [...new Map(candidates.toReversed().map((c) => [c.rows!.first, c] as const)).values()].sort(
    (x, y) => x.rows!.first - y.rows!.first,
  )
}

/**
 * What an adapter in a format calls each weight of a model, and each bias of a module without one: one name, or one for each part of a fused tensor; none for
 * tensors that the format has no name for.
 */
export const spellModules = (
  tensors: Tensors,
  architecture: Architecture | undefined,
  format: NameFormat,
): ((tensor: string) => readonly SpeltModule[]) => {
  const id = architecture?.id ?? ''
  const byTensor = new Map<string, Candidate[]>()
  for (const [module, targets] of adapterNames(tensors, architecture)) {
    const [target, ...others] = targets
    const tensor = target?.weight ?? target?.bias
    // A name of several tensors is none for one of them.
    if (tensor === undefined || target!.part !== undefined || !IN_FORMAT[format](module)) continue
    if (others.length > 0 || DATED.test(module)) continue
    const candidate = { module, rows: target!.rows, change: target!.change, tensor }
    const known = byTensor.get(tensor)
    if (known === undefined) byTensor.set(tensor, [candidate])
    else known.push(candidate)
  }
  const root =
    architecture === undefined ? findRoot(tensors.keys()) : (architecture.diffusionPrefix ?? architecture.root)
  /** True for a name that says where the file keeps the network, which is one name of any that smelt does not know. */
  const saysRoot = (c: Candidate): boolean =>
    architecture === undefined && root !== '' && c.tensor.startsWith(`${root}.`) && isOriginal(c, '')
  const wantsOriginal = format === 'kohya' && !DIFFUSERS_IN_KOHYA.includes(id)
  const rank = (c: Candidate): number => {
    const isThird = /^(?:lora_te3_|text_encoder_3\.)/.test(c.module)
    const wantsThird = THIRD_ENCODER.includes(id) || format === 'kohya'
    return (isOriginal(c, root) === wantsOriginal ? 0 : 2) + (isThird === wantsThird ? 0 : 1) + (saysRoot(c) ? 4 : 0)
  }
  return (tensor) => {
    const candidates = byTensor.get(tensor) ?? []
    const height = tensors.get(tensor)?.shape[0] ?? 0
    const ordered = candidates
      .map((c, i) => ({ c, i, rank: rank(c) }))
      .sort((x, y) => x.rank - y.rank || x.i - y.i)
      .map(({ c }) => c)
    for (const original of [wantsOriginal, !wantsOriginal]) {
      const chosen = firstOfEach(ordered.filter((c) => isOriginal(c, root) === original))
      if (chosen.length > 0 && areWhole(chosen, height))
        return chosen.map(({ module, rows, change }) => ({ module, rows, change }))
    }
    return []
  }
}
