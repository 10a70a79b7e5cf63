import type { TensorInfo } from '../../tensor/info.js'
import { isUnderscored, wholeModule } from './whole.js'

/** The role of an adapter tensor in its module. */
export type Role =
  // LoRA, of linear layers, convolutions and embeddings.
  | 'up'
  | 'down'
  | 'mid'
  | 'up-bias'
  // What it is scaled by.
  | 'alpha'
  // Whole differences.
  | 'diff'
  | 'diff-bias'
  // LoHa.
  | 'w1_a'
  | 'w1_b'
  | 'w2_a'
  | 'w2_b'
  | 't1'
  | 't2'
  // LoKr: the left matrix and the right one, each whole or by factors.
  | 'left'
  | 'left_a'
  | 'left_b'
  | 'right'
  | 'right_a'
  | 'right_b'
  | 'right_t'
  // DoRA: by output or input as its shape says, and PEFT's, always by output.
  | 'magnitude'
  | 'output-magnitude'
  // (IA)³: factors less 1 and the side they are on, and PEFT's factors, whose shape tells the side.
  | 'factor'
  | 'on-input'
  | 'whole-factor'
  // OFT and BOFT.
  | 'blocks'
  | 'rescale'
  // OFT of PEFT, of layers and of embeddings; BOFT of PEFT, and its factors of rows.
  | 'skew'
  | 'embedding-skew'
  | 'butterfly'
  | 'row-factors'
  // GLoRA.
  | 'a1'
  | 'a2'
  | 'b1'
  | 'b2'
  // The shape that a weight is padded to.
  | 'reshape'

/** The tensors of an adapter that belong to one module of the model. */
export interface AdapterModule {
  readonly name: string
  readonly tensors: ReadonlyMap<Role, TensorInfo>
  /** True if the tensors have PEFT's names: PEFT stores their scale in a config. */
  readonly peft: boolean
  /** True for the factors of an embedding: their product is transposed. */
  readonly embedding: boolean
}

/** An adapter's tensors by module, and those that are no part of any. */
export interface GroupedAdapter {
  readonly modules: readonly AdapterModule[]
  /** Tensors whose names end in no role: whole tensors of the model, or something unknown. */
  readonly others: readonly TensorInfo[]
  /** Tensors whose role another tensor already has in the same module: two adapters in one file. */
  readonly twice: readonly string[]
  /** Tensors of no module that an adapter may bring along: embeddings of its trigger words. */
  readonly bundled: readonly string[]
  /** A kind of adapter that smelt does not apply, and a tensor that shows it. */
  readonly refused: { readonly kind: string; readonly tensor: string } | undefined
}

interface RoleName {
  readonly ending: RegExp
  readonly role: Role
  /** PEFT's way to write it; PEFT says the scale in a config. */
  readonly peft?: true
  readonly embedding?: true
  /** What stands for the ending in the name of the module; nothing unless given. */
  readonly module?: string
}

const peft = (ending: RegExp, role: Role): RoleName => ({ ending, role, peft: true })
const roleNames = (roles: Readonly<Record<string, Role>>): readonly RoleName[] =>
  Object.entries(roles).map(([ending, role]) => ({ ending: new RegExp(`\\.${ending}$`), role }))

// The role of a tensor by how its name ends; what stands before is the name of the module.
const ROLES: readonly RoleName[] = [
  // XLabs numbers the two streams of a block behind `lora`, which is part of the module's name.
  { ending: /(?<=\.processor\.(?:qkv|proj)_lora[12]?)\.up\.weight$/, role: 'up' },
  { ending: /(?<=\.processor\.(?:qkv|proj)_lora[12]?)\.down\.weight$/, role: 'down' },
  { ending: /(?:\.lora_up|_lora\.up|\.lora\.up|\.lora_linear_layer\.up)\.weight$/, role: 'up' },
  { ending: /(?:\.lora_down|_lora\.down|\.lora\.down|\.lora_linear_layer\.down)\.weight$/, role: 'down' },
  { ending: /\.lora_mid\.weight$/, role: 'mid' },
  // PEFT puts the adapter's name, usually `default`, before the ending; some programs do so twice.
  peft(/\.lora_B(?:(?:\.([^.]+)(?:\.\1)?)?\.weight)?$/, 'up'),
  peft(/\.lora_A(?:(?:\.([^.]+)(?:\.\1)?)?\.weight)?$/, 'down'),
  peft(/\.lora_B(?:\.([^.]+)(?:\.\1)?)?\.bias$/, 'up-bias'),
  { ...peft(/\.lora_embedding_B(?:\.[^.]+)?$/, 'up'), embedding: true },
  { ...peft(/\.lora_embedding_A(?:\.[^.]+)?$/, 'down'), embedding: true },
  peft(/\.lora_magnitude_vector(?:\.[^.]+)*$/, 'output-magnitude'),
  // LightX2V's differences of Wan's modulations, which are tensors of their own.
  { ending: /\.diff_m$/, role: 'diff', module: '.modulation' },
  peft(/\.ia3_l(?:\.[^.]+)*$/, 'whole-factor'),
  peft(/\.oft_R(?:\.[^.]+)*$/, 'skew'),
  peft(/\.oft_embedding_R(?:\.[^.]+)*$/, 'embedding-skew'),
  peft(/\.boft_R(?:\.[^.]+)*$/, 'butterfly'),
  peft(/\.boft_s(?:\.[^.]+)*$/, 'row-factors'),
  ...roleNames({
    alpha: 'alpha',
    '(?:diff|w_norm)': 'diff',
    '(?:diff_b|b_norm)': 'diff-bias',
    hada_w1_a: 'w1_a',
    hada_w1_b: 'w1_b',
    hada_w2_a: 'w2_a',
    hada_w2_b: 'w2_b',
    hada_t1: 't1',
    hada_t2: 't2',
    lokr_w1: 'left',
    lokr_w1_a: 'left_a',
    lokr_w1_b: 'left_b',
    lokr_w2: 'right',
    lokr_w2_a: 'right_a',
    lokr_w2_b: 'right_b',
    lokr_t2: 'right_t',
    dora_scale: 'magnitude',
    on_input: 'on-input',
    oft_blocks: 'blocks',
    rescale: 'rescale',
    reshape_weight: 'reshape',
    'a1\\.weight': 'a1',
    'a2\\.weight': 'a2',
    'b1\\.weight': 'b1',
    'b2\\.weight': 'b2',
  }),
]

const REFUSED: readonly (readonly [ending: RegExp, kind: string])[] = [
  [/\.oft_diag$/, 'early OFT'],
  [/\.oft_blocks\.\d+$/, 'OFT in numbered parts (`oft_blocks.0`)'],
  [/\.oft_r(?:\.[^.]+)*$/, 'OFT of PEFT before 0.16'],
  [/\.bm\.weight$/, 'GLoRA with a Tucker core'],
  [/(?:^|\.)vera_(?:A|B|lambda_[bd])(?:\.[^.]+)*$/, 'VeRA'],
  [/\.fourierft_spectrum(?:\.[^.]+)*$/, 'FourierFT'],
  [/\.scalar$/, 'LyCORIS with trained factors (`scalar`)'],
  [/\.lora_(?:up|down)\.\d+\.weight$/, 'LoRA in numbered parts (`split_qkv`)'],
  [/(?:^|\.)trainable_tokens_(?:delta|original)(?:\.[^.]+)*$/, 'trained tokens'],
]

/** Embeddings of trigger words, which belong to no tensor of a model. */
const BUNDLED = /^bundle_emb\./

/** What LyCORIS calls the factors of (IA)³, like a whole tensor; another tensor beside it tells. */
const FACTOR = /\.weight$/
const SIDE = '.on_input'

const endingOf = (name: string): Pick<RoleName, 'ending' | 'module'> | undefined => {
  const refused = REFUSED.find(([pattern]) => pattern.test(name))?.[0]
  return refused === undefined ? ROLES.find(({ ending }) => ending.test(name)) : { ending: refused }
}

/** True for a tensor whose name tells no role: a whole tensor of the model, or something unknown. */
export const hasNoRole = (name: string): boolean => endingOf(name) === undefined && !BUNDLED.test(name)

/** The module that a tensor of an adapter belongs to, by its name; a name that tells nothing is a module of its own. */
export const moduleOf = (name: string): string => {
  const ending = endingOf(name)
  if (ending !== undefined) return name.replace(ending.ending, ending.module ?? '') || name
  return isUnderscored(name) ? name.replace(FACTOR, '') : wholeModule(name)
}

/** Sorts an adapter's tensors by module and role, from their names alone. */
export const groupAdapter = (tensors: ReadonlyMap<string, TensorInfo>): GroupedAdapter => {
  const modules = new Map<string, { tensors: Map<Role, TensorInfo>; peft: boolean; embedding: boolean }>()
  const others: TensorInfo[] = []
  const twice: string[] = []
  const bundled: string[] = []
  for (const [name, info] of tensors) {
    const kind = REFUSED.find(([ending]) => ending.test(name))?.[1]
    if (kind !== undefined) return { modules: [], others: [], twice: [], bundled: [], refused: { kind, tensor: name } }
    if (BUNDLED.test(name)) {
      bundled.push(name)
      continue
    }
    const match = ROLES.find(({ ending }) => ending.test(name)) ?? factorOf(name, tensors)
    if (match === undefined) {
      others.push(info)
      continue
    }
    const { ending, role } = match
    const module = name.replace(ending, match.module ?? '')
    const known = modules.get(module) ?? { tensors: new Map<Role, TensorInfo>(), peft: false, embedding: false }
    if (known.tensors.has(role)) twice.push(name)
    known.tensors.set(role, info)
    // Factors that LyCORIS and PEFT call the same are PEFT's below its prefix.
    known.peft ||= match.peft === true || (/\.(?:hada|lokr)_/.test(name) && PEFT.test(name))
    known.embedding ||= match.embedding === true
    modules.set(module, known)
  }
  return { modules: [...modules].map(([name, m]) => ({ name, ...m })), others, twice, bundled, refused: undefined }
}

const PEFT = /(?:^|\.)base_model\.model\./

const factorOf = (name: string, tensors: ReadonlyMap<string, unknown>): RoleName | undefined =>
  FACTOR.test(name) && tensors.has(name.replace(FACTOR, SIDE)) ? { ending: FACTOR, role: 'factor' } : undefined
