import { factorMissing, factorsApart, rankZero } from '../../base/catalogue/adapters.js'
import { failed, ok, type Result } from '../../base/result.js'
import type { LowRankFactors } from '../../graph/products.js'
import { sizeOf, type TensorInfo } from '../../tensor/info.js'
import { productOf } from './factors.js'
import { isShape, shapeProblem, type Laid } from './laid.js'
import type { AdapterModule, Role } from './modules.js'
import type { PatchContext } from './patch-context.js'

/** What GLoRA adds to a weight W: W·first·second, by the input channels of W, and a product. */
export interface Generalised {
  /** [inputs, rank]. */
  readonly first: TensorInfo
  /** [rank, inputs]. */
  readonly second: TensorInfo
  readonly added: LowRankFactors
  readonly rank: number
  /** True where W is stored with its rows as columns. */
  readonly turned: boolean
}

const ROLES: readonly Role[] = ['a1', 'a2', 'b1', 'b2']

/**
 * The factors of GLoRA; undefined for a module that has none. LyCORIS exchanged its factors between versions: which of them
 * are tall tells; where all are square, a square weight of their size is read as the early layout.
 */
export const makeGeneralised = (
  module: AdapterModule,
  laid: Laid,
  making: PatchContext,
): Result<Generalised | undefined> => {
  const { tensors, name } = module
  const { adapter, at } = making
  const found = ROLES.map((role) => tensors.get(role))
  if (found.every((x) => x === undefined)) return ok(undefined)
  const missing = ROLES.filter((role) => !tensors.has(role)).map((role) => `\`${role}\``)
  if (missing.length > 0) return failed(factorMissing(at, adapter, name, missing))
  const [a1, a2, b1, b2] = found as [TensorInfo, TensorInfo, TensorInfo, TensorInfo]
  if (found.some((info) => info!.shape.length < 2)) return failed(factorsApart(at, adapter, name, [a1, a2, b1, b2]))
  if (found.some((info) => sizeOf(info!.shape) === 0)) return failed(rankZero(at, adapter, name))
  const width = (info: TensorInfo): number => info.shape[1]!
  const height = (info: TensorInfo): number => info.shape[0]!
  const early = width(b2) === height(b1) && height(b1) === height(a1) && height(a1) === width(a2)
  const late = height(b2) === width(b1) && width(b1) === width(a1) && width(a1) === height(a2)
  if (!early && !late) return failed(factorsApart(at, adapter, name, [a1, a2, b1, b2]))
  const [count = 1, inputs = 1, ...kernel] = laid.shape
  const isEarly = early && (!late || (height(a2) === count && count === inputs))
  const [first, second, up, down] = isEarly ? [a2, a1, b2, b1] : [a1, a2, b1, b2]
  const rank = height(second)
  const wrong = (
    [
      [first, [inputs, rank]],
      [second, [rank, inputs]],
      [up, [count, rank]],
      [down, [rank, inputs, ...kernel], [rank, inputs * sizeOf(kernel)]],
    ] as readonly (readonly [TensorInfo, readonly number[], (readonly number[])?])[]
  ).find(([info, wanted, flat = wanted]) => !isShape(info.shape, wanted) && !isShape(info.shape, flat))
  if (wrong !== undefined) return failed(shapeProblem(making, module, laid, { info: wrong[0], wanted: wrong[1] }, rank))
  const added = productOf({ up, down, mid: undefined, upTurned: false }, rank, laid)
  return ok({ first, second, added, rank, turned: laid.turned })
}
