import { rankOf } from '../architectures/adapters/factors.js'
import type { AdapterModule, Role } from '../architectures/adapters/modules.js'
import type { ScaleOf } from '../architectures/adapters/scale.js'
import { alphaName } from '../architectures/adapters/spell.js'
import { alphaFor, type ScaledModule } from '../architectures/adapters/write-peft-config.js'
import { ok, type Result } from '../base/result.js'
import type { Graph } from '../graph/graph.js'
import { sizeOf, type TensorInfo } from '../tensor/info.js'
import { wholeOf } from '../tensor/view.js'
import type { MadeTensor } from './made-adapter.js'

/** How kohya's scripts and LyCORIS end the names of factors. */
const ENDINGS: Partial<Record<Role, string>> = {
  up: 'lora_up.weight',
  down: 'lora_down.weight',
  mid: 'lora_mid.weight',
  w1_a: 'hada_w1_a',
  w1_b: 'hada_w1_b',
  w2_a: 'hada_w2_a',
  w2_b: 'hada_w2_b',
  t1: 'hada_t1',
  t2: 'hada_t2',
  left: 'lokr_w1',
  left_a: 'lokr_w1_a',
  left_b: 'lokr_w1_b',
  right: 'lokr_w2',
  right_a: 'lokr_w2_a',
  right_b: 'lokr_w2_b',
  right_t: 'lokr_t2',
  magnitude: 'dora_scale',
  'output-magnitude': 'dora_scale',
}

const PAIR: readonly Role[] = ['up', 'down']

/** Roles of factors that can only be renamed: a row of them is no row of what they make. */
export const RENAMED_ROLES: readonly Role[] = (Object.keys(ENDINGS) as Role[]).filter((role) => !PAIR.includes(role))

/** True for a module of other factors than a pair. */
export const isOnlyRenamed = ({ tensors }: AdapterModule): boolean => RENAMED_ROLES.some((role) => tensors.has(role))

/** PEFT's lengths are a vector; others have as many axes as the weight. */
const asScale = (info: TensorInfo, axes: number): TensorInfo => ({
  ...info,
  shape: [sizeOf(info.shape), ...Array.from({ length: Math.max(1, axes - 1) }, () => 1)],
})

/** What a module of LoHa, LoKr, DoRA or LoCon becomes. */
export interface RenamedFactors {
  readonly tensors: readonly MadeTensor[]
  /** None where it has no rank, and so no alpha. */
  readonly modules: readonly ScaledModule[]
}

/**
 * The factors of a module under the names of kohya's scripts and LyCORIS, with its alpha; `axes` are those of the weight.
 * Undefined where these names have no place for its scale: LyCORIS gives two whole matrices of a LoKr none. No step
 * computes such factors, so they are read from the file of the adapter.
 */
export const renameFactors = (
  g: Graph,
  name: string,
  module: AdapterModule,
  scaleOf: ScaleOf,
  axes: number,
): Result<RenamedFactors | undefined> => {
  const rank = rankOf(module)
  const scale = scaleOf(module, rank)
  if (scale.type === 'failed') return scale
  if (rank === undefined && scale.value !== 1) return ok(undefined)
  const tensors = [...module.tensors].flatMap(([role, info]): MadeTensor[] => {
    const ending = ENDINGS[role]
    if (ending === undefined) return []
    const stored = role === 'output-magnitude' ? asScale(info, axes) : info
    const slot = { name: `${name}.${ending}`, shape: stored.shape, dtype: stored.dtype }
    return [{ slot, stored, tensor: () => g.read(wholeOf(stored)) }]
  })
  if (rank === undefined) return ok({ tensors, modules: [] })
  const scaled = { name, rank, scale: scale.value }
  const alpha = { name: alphaName(name), shape: [], dtype: 'F32' as const }
  return ok({
    tensors: [...tensors, { slot: alpha, tensor: () => g.fill(Math.fround(alphaFor(scaled))) }],
    modules: [scaled],
  })
}
