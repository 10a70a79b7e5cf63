import { deltaShape, factorDtype, rearranged } from '../../base/catalogue/adapters.js'
import type { Diagnostic } from '../../base/diagnostic.js'
import { failed, ok, type Result } from '../../base/result.js'
import type { LowRankFactors } from '../../graph/expression.js'
import { isFloat } from '../../tensor/dtype.js'
import type { TensorInfo } from '../../tensor/info.js'
import { wholeOf, type View } from '../../tensor/view.js'
import { factorsOf, makeProducts, rankOf } from './factors.js'
import type { AdapterModule } from './modules.js'
import type { AdapterTarget } from './names.js'
import type { PatchContext } from './patch-context.js'

/**
 * What an adapter adds to one tensor at strength 1: `scale` times the product, by elements, of factored matrices, or of
 * stored numbers.
 */
export interface Patch {
  /** True for stored numbers that replace the tensor: at strength 1 the result is exactly these. */
  readonly replaces?: true
  readonly scale: number
  /** True in a text encoder. */
  readonly text: boolean
  readonly of: readonly LowRankFactors[] | View
}

/** A patch and the tensor of the model that it is for. */
export interface Aimed {
  readonly tensor: string
  readonly patch: Patch
}

/** What is made of one module: its patches, and those of its tensors that have no target. */
export interface Made {
  readonly aimed: readonly Aimed[]
  readonly unmatched: readonly string[]
}

/** A stored difference before it is known whether it fits. */
interface Delta {
  readonly tensor: string | undefined
  readonly info: TensorInfo
  readonly scale: number
  fits(shape: readonly number[]): boolean
}

/** Makes the patches of one module, or reports what is wrong with its tensors. */
export const makePatches = (module: AdapterModule, target: AdapterTarget, making: PatchContext): Result<Made> => {
  const { adapter, at, tensors, model } = making
  const odd = [...module.tensors].find(([role, { dtype }]) => role !== 'alpha' && !isFloat(dtype))?.[1]
  if (odd !== undefined) return failed(factorDtype(at, odd.name, adapter, odd.dtype))
  const weight = target.weight === undefined ? undefined : tensors.get(target.weight)
  const products = weight === undefined ? ok([]) : makeProducts(module, target, weight.shape, making)
  if (products.type === 'failed') return products
  const rank = rankOf(module)
  const scale = rank === undefined ? ok(1) : making.scaleOf(module, rank)
  if (scale.type === 'failed') return scale
  const stored = storedDeltas(module, target, scale.value)
  if (stored.length > 0 && target.change !== undefined)
    return failed(rearranged(at, adapter, module.name, target.weight ?? module.name))
  if (weight !== undefined && products.value.length > 0 && !isFloat(weight.dtype))
    return failed(factorDtype(at, target.weight!, model, weight.dtype))

  const aimed = products.value.map((of): Aimed => ({
    tensor: target.weight!,
    patch: { scale: scale.value, text: target.text, of },
  }))
  const unmatched = weight === undefined ? factorsOf(module).map(({ name }) => name) : []
  const problems: Diagnostic[] = []
  for (const { tensor, info, scale: by, fits } of stored) {
    const slot = tensor === undefined ? undefined : tensors.get(tensor)
    if (tensor === undefined || slot === undefined) unmatched.push(info.name)
    else if (!fits(slot.shape))
      problems.push(deltaShape(at, adapter, info.name, info.shape, tensor, slot.shape, making.architectureMismatch))
    else if (!isFloat(slot.dtype)) problems.push(factorDtype(at, tensor, model, slot.dtype))
    else aimed.push({ tensor, patch: { scale: by, text: target.text, of: wholeOf(info) } })
  }
  return problems.length > 0 ? failed(...problems) : ok({ aimed, unmatched })
}

/** Stored differences, which are added unscaled, except the bias of a second factor, which has that factor's scale. */
const storedDeltas = (
  { tensors }: AdapterModule,
  { weight, bias, rows }: AdapterTarget,
  scale: number,
): readonly Delta[] =>
  (
    [
      ['diff', weight, 1],
      ['diff-bias', bias, 1],
      ['up-bias', bias, scale],
    ] as const
  ).flatMap(([role, tensor, by]): Delta[] => {
    const info = tensors.get(role)
    return info === undefined
      ? []
      : [{ tensor, info, scale: by, fits: (shape) => rows === undefined && info.shape.join() === shape.join() }]
  })
