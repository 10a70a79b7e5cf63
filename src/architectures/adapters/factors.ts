import { factorMissing, rankZero } from '../../base/catalogue/adapters.js'
import { failed, ok, type Result } from '../../base/result.js'
import type { LowRankFactors, Product } from '../../graph/products.js'
import { sizeOf, type TensorInfo } from '../../tensor/info.js'
import { wholeOf } from '../../tensor/view.js'
import { hasKronecker, KRONECKER, kroneckerRank, makeKronecker } from './kronecker.js'
import { isShape, placeOf, shapeProblem, type Laid, type WrongShape } from './laid.js'
import type { AdapterModule, Role } from './modules.js'
import type { PatchContext } from './patch-context.js'

/** A sum of terms, each the product of matrices element by element. */
export type Terms = readonly (readonly Product[])[]

/** A pair of factors, and what comes between them. */
export interface Factors {
  readonly up: TensorInfo
  readonly down: TensorInfo
  readonly mid: TensorInfo | undefined
  /** True where the first axis of `up` is the rank. */
  readonly upTurned: boolean
}

/** Factored matrices by their roles; the hidden product of a LoHa is that of two of them. */
const PAIRS: readonly (readonly [up: Role, down: Role, mid: Role, called: readonly [up: string, down: string]])[] = [
  ['up', 'down', 'mid', ['`lora_up` or `lora_B`', '`lora_down` or `lora_A`']],
  ['w1_a', 'w1_b', 't1', ['`hada_w1_a`', '`hada_w1_b`']],
  ['w2_a', 'w2_b', 't2', ['`hada_w2_a`', '`hada_w2_b`']],
]

const LORA: readonly Role[] = ['up', 'down', 'mid']
const HADAMARD: readonly Role[] = ['w1_a', 'w1_b', 't1', 'w2_a', 'w2_b', 't2']

/** The factors of a module, whatever they are factors of. */
export const factorsOf = ({ tensors }: AdapterModule): readonly TensorInfo[] =>
  [...LORA, ...HADAMARD, ...KRONECKER].map((role) => tensors.get(role)).filter((info) => info !== undefined)

/** The rank of a module's factors; undefined where it has none. */
export const rankOf = (module: AdapterModule): number | undefined =>
  (module.tensors.get('down') ?? module.tensors.get('w1_b') ?? module.tensors.get('w2_b'))?.shape[0] ??
  kroneckerRank(module)

/**
 * The products of a module's factors for what it changes of a weight. If a factor has the wrong shape for the weight,
 * there are none.
 */
export const makeTerms = (module: AdapterModule, laid: Laid, making: PatchContext): Result<Terms> => {
  const lowRank = makeLowRank(module, laid, making)
  if (lowRank.type === 'failed' || !hasKronecker(module)) return lowRank
  const kronecker = makeKronecker(module, laid, making)
  return kronecker.type === 'failed' ? kronecker : ok([...lowRank.value, [kronecker.value]])
}

const makeLowRank = (module: AdapterModule, laid: Laid, making: PatchContext): Result<Terms> => {
  const { tensors, name } = module
  const { adapter, at } = making
  const has = (role: Role): boolean => tensors.has(role)
  const [isLora, isHadamard] = [LORA.some(has), HADAMARD.some(has)]
  const pairs = PAIRS.filter(([up]) => (up === 'up' ? isLora : isHadamard))
  const missing = pairs.flatMap(([up, down, , called]) => [
    ...(has(up) ? [] : [called[0]]),
    ...(has(down) ? [] : [called[1]]),
  ])
  if (has('t1') !== has('t2')) missing.push(has('t1') ? '`hada_t2`' : '`hada_t1`')
  if (missing.length > 0) return failed(factorMissing(at, adapter, name, missing))
  if (pairs.length === 0) return ok([])
  const found = pairs.map(([up, down, mid]): Factors => ({
    up: tensors.get(up)!,
    down: tensors.get(down)!,
    mid: tensors.get(mid),
    upTurned: up !== 'up' && tensors.has(mid),
  }))
  const rank = (isLora ? tensors.get('down') : tensors.get('w1_b'))?.shape[0] ?? 0
  if (rank === 0) return failed(rankZero(at, adapter, name))
  const problems = found.flatMap((factors) => wrongFactors(factors, rank, laid))
  if (problems.length > 0) return failed(shapeProblem(making, module, laid, problems[0]!, rank))
  const products = found.map((factors) => productOf(factors, rank, laid))
  return ok([...(isLora ? [[products[0]!]] : []), ...(isHadamard ? [products.slice(-2)] : [])])
}

/** The product of a pair of factors for what a module changes of a weight. */
export const productOf = ({ up, down, mid, upTurned }: Factors, rank: number, laid: Laid): LowRankFactors => {
  const place = placeOf(laid)
  if (laid.turned)
    return {
      up: wholeOf(down),
      down: wholeOf(up),
      mid: undefined,
      rank,
      columns: sizeOf(up.shape) / rank,
      turned: { up: true, down: true },
      ...place,
    }
  const kernel = mid === undefined ? 1 : sizeOf(mid.shape) / rank ** 2
  return {
    up: wholeOf(up),
    down: wholeOf(down),
    mid: mid && wholeOf(mid),
    rank,
    columns: (sizeOf(down.shape) / rank) * kernel,
    ...(upTurned ? { turned: { up: true } } : {}),
    ...place,
  }
}

/** Those of a pair's factors that are not of the shape that a weight asks for, with that shape. */
const wrongFactors = (
  { up, down, mid, upTurned }: Factors,
  rank: number,
  { shape, turned }: Laid,
): readonly WrongShape[] => {
  const [count = 1, ...inner] = shape
  // A middle factor has the kernel of a convolution to itself.
  const inputs = mid === undefined ? inner : inner.slice(0, 1)
  const shapes: readonly (readonly [
    info: TensorInfo | undefined,
    wanted: readonly number[],
    flat?: readonly number[],
  ])[] = [
    [up, upTurned ? [rank, count] : [count, rank]],
    // Many programs store what comes after the rank as one dimension.
    [down, [rank, ...inputs], [rank, sizeOf(inputs)]],
    // A weight that is transposed has no kernel.
    [mid, turned ? [rank, rank, 0] : [rank, rank, ...inner.slice(1)]],
  ]
  return shapes.flatMap(([info, wanted, flat = wanted]) =>
    info === undefined || isShape(info.shape, wanted) || isShape(info.shape, flat) ? [] : [{ info, wanted }],
  )
}
