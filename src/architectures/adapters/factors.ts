import { factorMissing, factorShape, rankZero, rearranged } from '../../base/catalogue/adapters.js'
import type { Diagnostic } from '../../base/diagnostic.js'
import { failed, ok, type Result } from '../../base/result.js'
import type { LowRankFactors } from '../../graph/expression.js'
import { sizeOf, type TensorInfo } from '../../tensor/info.js'
import { sliceOf, wholeOf } from '../../tensor/view.js'
import type { AdapterModule, Role } from './modules.js'
import type { AdapterTarget } from './names.js'
import type { PatchContext } from './patch-context.js'

type Shape = readonly number[]

interface Factors {
  readonly up: TensorInfo
  readonly down: TensorInfo
  readonly mid: TensorInfo | undefined
}

/** Factored matrices by their roles; the hidden product of a LoHa is that of two of them. */
const PAIRS: readonly (readonly [up: Role, down: Role, called: readonly [up: string, down: string]])[] = [
  ['up', 'down', ['`lora_up` or `lora_B`', '`lora_down` or `lora_A`']],
  ['w1_a', 'w1_b', ['`hada_w1_a`', '`hada_w1_b`']],
  ['w2_a', 'w2_b', ['`hada_w2_a`', '`hada_w2_b`']],
]

const LORA: readonly Role[] = ['up', 'down', 'mid']
const HADAMARD: readonly Role[] = ['w1_a', 'w1_b', 'w2_a', 'w2_b']

/** The factors of a module, whatever they are factors of. */
export const factorsOf = ({ tensors }: AdapterModule): readonly TensorInfo[] =>
  [...LORA, ...HADAMARD].map((role) => tensors.get(role)).filter((info) => info !== undefined)

/** The rank of a module's factors; undefined where it has none. */
export const rankOf = ({ tensors }: AdapterModule): number | undefined =>
  (tensors.get('down') ?? tensors.get('w1_b') ?? tensors.get('w2_b'))?.shape[0]

/**
 * The low-rank products of a module's factors for a weight of a shape: a sum of terms, each an elementwise product. If
 * a factor has the wrong shape for the weight, there are none.
 */
export const makeProducts = (
  module: AdapterModule,
  target: AdapterTarget,
  weight: Shape,
  { adapter, at, architectureMismatch }: PatchContext,
): Result<readonly (readonly LowRankFactors[])[]> => {
  const { tensors, name } = module
  const has = (role: Role): boolean => tensors.has(role)
  const [isLora, isHadamard] = [LORA.some(has), HADAMARD.some(has)]
  const pairs = PAIRS.filter(([up]) => (up === 'up' ? isLora : isHadamard))
  const missing = pairs.flatMap(([up, down, called]) => [
    ...(has(up) ? [] : [called[0]]),
    ...(has(down) ? [] : [called[1]]),
  ])
  if (missing.length > 0) return failed(factorMissing(at, adapter, name, missing))
  if (pairs.length === 0) return ok([])
  if (target.change === 'transposed') return failed(rearranged(at, adapter, name, target.weight ?? name))
  const rank = rankOf(module) ?? 0
  if (rank === 0) return failed(rankZero(at, adapter, name))
  const found = pairs.map(([up, down]): Factors => ({
    up: tensors.get(up)!,
    down: tensors.get(down)!,
    mid: up === 'up' ? tensors.get('mid') : undefined,
  }))
  const place = { adapter, module: name, rank, tensor: target.weight!, shape: weight, rows: target.rows }
  const problems = found
    .flatMap((factors) => wrongFactors(factors, rank, target, weight))
    .map(([factor, wanted]): Diagnostic =>
      factorShape(at, { ...place, factor: factor.name, found: factor.shape, wanted }, architectureMismatch),
    )
  if (problems.length > 0) return failed(problems[0]!)
  const products = found.map(({ up, down, mid }): LowRankFactors => {
    const kernel = mid === undefined ? 1 : sizeOf(mid.shape) / rank ** 2
    return {
      up: wholeOf(up),
      down: wholeOf(down),
      mid: mid && wholeOf(mid),
      rank,
      columns: (sizeOf(down.shape) / rank) * kernel,
      firstRow: target.rows?.first ?? 0,
    }
  })
  const terms = [...(isLora ? [[products[0]!]] : []), ...(isHadamard ? [products.slice(-2)] : [])]
  return ok(terms.flatMap((factors) => (target.change === 'halves-swapped' ? swapHalves(factors) : [factors])))
}

/** Trailing dimensions of 1 are ignored: a linear layer may be stored as a 1 × 1 convolution. */
const trimmed = (shape: Shape): Shape => shape.slice(0, shape.findLastIndex((d) => d !== 1) + 1)
const isShape = (found: Shape, wanted: Shape): boolean =>
  found.length > 0 && trimmed(found).join() === trimmed(wanted).join()

/** Those of a pair's factors that are not of the shape that a weight asks for, with that shape. */
const wrongFactors = (
  { up, down, mid }: Factors,
  rank: number,
  { rows }: AdapterTarget,
  weight: Shape,
): readonly (readonly [factor: TensorInfo, wanted: Shape])[] => {
  const [height = 1, ...inner] = weight
  const count = Math.min(rows?.count ?? height, height - (rows?.first ?? 0))
  // A middle factor has the kernel of a convolution to itself.
  const inputs = mid === undefined ? inner : inner.slice(0, 1)
  const shapes: readonly (readonly [factor: TensorInfo | undefined, wanted: Shape, flat?: Shape])[] = [
    [up, [count, rank]],
    // Many programs store what comes after the rank as one dimension.
    [down, [rank, ...inputs], [rank, sizeOf(inputs)]],
    [mid, [rank, rank, ...inner.slice(1)]],
  ]
  return shapes.flatMap(([factor, wanted, flat = wanted]) =>
    factor === undefined || isShape(factor.shape, wanted) || isShape(factor.shape, flat)
      ? []
      : [[factor, wanted] as const],
  )
}

/** Two terms for one: the upper half of the rows goes below, the lower half above. */
const swapHalves = (factors: readonly LowRankFactors[]): readonly (readonly LowRankFactors[])[] =>
  [0, 1].map((half) =>
    factors.map((product) => {
      const count = product.up.shape[0]! / 2
      return { ...product, up: sliceOf(product.up, 0, half * count, count), firstRow: (1 - half) * count }
    }),
  )
