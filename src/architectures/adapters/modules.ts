import type { TensorInfo } from '../../tensor/info.js'
import { wholeModule } from './whole.js'

/** The role of an adapter tensor in its module. */
export type Role =
  | 'up'
  | 'down'
  | 'mid'
  | 'alpha'
  | 'up-bias'
  | 'diff'
  | 'diff-bias'
  | 'w1_a'
  | 'w1_b'
  | 'w2_a'
  | 'w2_b'

/** The tensors of an adapter that belong to one module of the model. */
export interface AdapterModule {
  readonly name: string
  readonly tensors: ReadonlyMap<Role, TensorInfo>
  /** True if the factors have PEFT's names: PEFT stores their scale in a config. */
  readonly peft: boolean
}

/** An adapter's tensors by module, and those that are no part of any. */
export interface GroupedAdapter {
  readonly modules: readonly AdapterModule[]
  /** Tensors whose names end in no role: whole tensors of the model, or something unknown. */
  readonly others: readonly TensorInfo[]
  /** Tensors whose role another tensor already has in the same module: two adapters in one file. */
  readonly twice: readonly string[]
  /** A kind of adapter that smelt does not apply, and a tensor that shows it. */
  readonly refused: { readonly kind: string; readonly tensor: string } | undefined
}

// The role of a tensor by how its name ends; what stands before is the name of the module.
const ROLES: readonly (readonly [ending: RegExp, role: Role, peft?: true])[] = [
  // XLabs numbers the two streams of a block behind `lora`, which is part of the module's name.
  [/(?<=\.processor\.(?:qkv|proj)_lora[12]?)\.up\.weight$/, 'up'],
  [/(?<=\.processor\.(?:qkv|proj)_lora[12]?)\.down\.weight$/, 'down'],
  [/(?:\.lora_up|_lora\.up|\.lora\.up|\.lora_linear_layer\.up)\.weight$/, 'up'],
  [/(?:\.lora_down|_lora\.down|\.lora\.down|\.lora_linear_layer\.down)\.weight$/, 'down'],
  [/\.lora_mid\.weight$/, 'mid'],
  // PEFT puts the adapter's name, usually `default`, before the ending; some programs do so twice.
  [/\.lora_B(?:(?:\.([^.]+)(?:\.\1)?)?\.weight)?$/, 'up', true],
  [/\.lora_A(?:(?:\.([^.]+)(?:\.\1)?)?\.weight)?$/, 'down', true],
  [/\.lora_B(?:\.([^.]+)(?:\.\1)?)?\.bias$/, 'up-bias', true],
  [/\.alpha$/, 'alpha'],
  [/\.(?:diff|w_norm)$/, 'diff'],
  [/\.(?:diff_b|b_norm)$/, 'diff-bias'],
  [/\.hada_w1_a$/, 'w1_a'],
  [/\.hada_w1_b$/, 'w1_b'],
  [/\.hada_w2_a$/, 'w2_a'],
  [/\.hada_w2_b$/, 'w2_b'],
]

const REFUSED: readonly (readonly [ending: RegExp, kind: string])[] = [
  [/\.(?:dora_scale|lora_magnitude_vector(?:\.[^.]+)*)$/, 'DoRA'],
  [/\.lokr_(?:w1|w2|t2)(?:_[ab])?$/, 'LoKr'],
  [/\.hada_t[12]$/, 'LoHa with a Tucker core'],
  [/\.(?:oft_blocks|oft_diag|oft_R(?:\.[^.]+)*)$/, 'OFT or BOFT'],
  [/\.(?:boft_[Rs])(?:\.[^.]+)*$/, 'BOFT'],
  [/\.(?:a1|a2|b1|b2|bm)\.weight$/, 'GLoRA'],
  [/\.(?:on_input|ia3_l(?:\.[^.]+)*)$/, 'IA3'],
  [/(?:^|\.)vera_(?:A|B|lambda_[bd])(?:\.[^.]+)*$/, 'VeRA'],
  [/\.fourierft_spectrum(?:\.[^.]+)*$/, 'FourierFT'],
  [/\.lora_embedding_[AB](?:\.[^.]+)*$/, 'LoRA of embeddings'],
  [/\.reshape_weight$/, 'LoRA that widens weights'],
  [/\.scalar$/, 'LyCORIS with trained factors (`scalar`)'],
  [/\.lora_(?:up|down)\.\d+\.weight$/, 'LoRA in numbered parts (`split_qkv`)'],
  [/(?:^|\.)trainable_tokens_(?:delta|original)(?:\.[^.]+)*$/, 'trained tokens'],
  [/^bundle_emb\..+$/, 'LoRA with bundled embeddings'],
]

const endingOf = (name: string): RegExp | undefined =>
  [...REFUSED, ...ROLES].find(([pattern]) => pattern.test(name))?.[0]

/** True for a tensor whose name tells no role: a whole tensor of the model, or something unknown. */
export const hasNoRole = (name: string): boolean => endingOf(name) === undefined

/** The module that a tensor of an adapter belongs to, by its name; a name that tells nothing is a module of its own. */
export const moduleOf = (name: string): string => {
  const ending = endingOf(name)
  return ending === undefined ? wholeModule(name) : name.replace(ending, '') || name
}

/** Sorts an adapter's tensors by module and role, from their names alone. */
export const groupAdapter = (tensors: ReadonlyMap<string, TensorInfo>): GroupedAdapter => {
  const modules = new Map<string, { tensors: Map<Role, TensorInfo>; peft: boolean }>()
  const others: TensorInfo[] = []
  const twice: string[] = []
  for (const [name, info] of tensors) {
    const kind = REFUSED.find(([ending]) => ending.test(name))?.[1]
    if (kind !== undefined) return { modules: [], others: [], twice: [], refused: { kind, tensor: name } }
    const match = ROLES.find(([ending]) => ending.test(name))
    if (match === undefined) {
      others.push(info)
      continue
    }
    const [ending, role, peft = false] = match
    const module = name.replace(ending, '')
    const known = modules.get(module) ?? { tensors: new Map<Role, TensorInfo>(), peft: false }
    if (known.tensors.has(role)) twice.push(name)
    known.tensors.set(role, info)
    known.peft ||= peft
    modules.set(module, known)
  }
  return { modules: [...modules].map(([name, m]) => ({ name, ...m })), others, twice, refused: undefined }
}
