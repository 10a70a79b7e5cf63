import type { TensorInfo } from '../../tensor/info.js'

/** What a tensor of an adapter is to its module. */
export type Role = 'up' | 'down' | 'mid' | 'alpha' | 'up-bias' | 'diff' | 'diff-bias' | 'w1_a' | 'w1_b' | 'w2_a' | 'w2_b'

/** The tensors of an adapter that belong to one module of the model. */
export interface AdapterModule {
  readonly name: string
  readonly tensors: ReadonlyMap<Role, TensorInfo>
  /** True where the factors are named as PEFT names them, which keeps their scale elsewhere. */
  readonly peft: boolean
}

/** An adapter's tensors by module, and those that are no part of any. */
export interface GroupedAdapter {
  readonly modules: readonly AdapterModule[]
  readonly strangers: readonly string[]
  /** Tensors whose role another tensor already has in the same module: two adapters in one file. */
  readonly twice: readonly string[]
  /** A kind of adapter that smelt does not apply, and a tensor that tells it. */
  readonly refused: { readonly kind: string; readonly tensor: string } | undefined
}

// The role of a tensor by how its name ends; what stands before is the name of the module.
const ROLES: readonly (readonly [ending: RegExp, role: Role, peft?: true])[] = [
  [/(?:\.lora_up|_lora\.up|\.lora\.up|\.lora_linear_layer\.up)\.weight$/, 'up'],
  [/(?:\.lora_down|_lora\.down|\.lora\.down|\.lora_linear_layer\.down)\.weight$/, 'down'],
  [/\.lora_mid\.weight$/, 'mid'],
  [/\.lora_B(?:(?:\.[^.]+)?\.weight)?$/, 'up', true],
  [/\.lora_A(?:(?:\.[^.]+)?\.weight)?$/, 'down', true],
  [/\.lora_B(?:\.[^.]+)?\.bias$/, 'up-bias', true],
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
  [/\.(?:set_weight|reshape_weight)$/, 'LoRA that replaces or widens weights'],
  [/^bundle_emb\./, 'LoRA with bundled embeddings'],
]

/** Sorts an adapter's tensors by module and role, from their names alone. */
export const groupAdapter = (tensors: ReadonlyMap<string, TensorInfo>): GroupedAdapter => {
  const modules = new Map<string, { tensors: Map<Role, TensorInfo>; peft: boolean }>()
  const strangers: string[] = []
  const twice: string[] = []
  for (const [name, info] of tensors) {
    const kind = REFUSED.find(([ending]) => ending.test(name))?.[1]
    if (kind !== undefined) return { modules: [], strangers: [], twice: [], refused: { kind, tensor: name } }
    const match = ROLES.find(([ending]) => ending.test(name))
    if (match === undefined) {
      strangers.push(name)
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
  return { modules: [...modules].map(([name, m]) => ({ name, ...m })), strangers, twice, refused: undefined }
}
