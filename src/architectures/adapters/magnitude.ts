import { factorMissing, sideUnknown } from '../../base/catalogue/adapters.js'
import { failed, ok, type Result } from '../../base/result.js'
import type { KroneckerFactors } from '../../graph/products.js'
import { sizeOf, type TensorInfo } from '../../tensor/info.js'
import { wholeOf } from '../../tensor/view.js'
import { isShape, placeOf, shapeProblem, type Laid } from './laid.js'
import type { AdapterModule } from './modules.js'
import type { PatchContext } from './patch-context.js'

/** Numbers for the rows or the columns of what a module changes, laid over it. */
export interface Lines {
  /** As the weight is stored; a column of a convolution is all of one input channel. */
  readonly along: 'rows' | 'columns'
  readonly of: KroneckerFactors
}

/** Lays a stored vector over the rows or columns of a weight; `side` is as the module sees it. */
export const linesOf = (info: TensorInfo, side: 'output' | 'input', laid: Laid): Lines => {
  const [height = 1, ...inner] = laid.stored
  const count = laid.rows?.count ?? height
  const along = (side === 'output') !== laid.turned ? 'rows' : 'columns'
  const n = sizeOf(info.shape)
  const width = along === 'rows' ? sizeOf(inner) : sizeOf(inner.slice(1))
  return {
    along,
    of: {
      left: wholeOf(info),
      right: undefined,
      leftShape: along === 'rows' ? [n, 1] : [1, n],
      rightShape: along === 'rows' ? [1, width] : [count, width],
      // Columns are the same in all rows.
      ...(along === 'rows' ? placeOf(laid) : { firstRow: laid.rows?.first ?? 0 }),
    },
  }
}

/**
 * The lengths that a DoRA gives to the rows or columns of a weight; undefined for a module that is none. PEFT's are always
 * by output; others are so if their first axis is.
 */
export const makeMagnitude = (module: AdapterModule, laid: Laid, making: PatchContext): Result<Lines | undefined> => {
  const { tensors } = module
  const byOutput = tensors.get('output-magnitude')
  const info = byOutput ?? tensors.get('magnitude')
  if (info === undefined) return ok(undefined)
  if (laid.stored.length < 2) return failed(shapeProblem(making, module, laid, { info, wanted: [0] }))
  const [count = 1, inputs = 1] = laid.shape
  const output = [[count], [1, count]].slice(0, byOutput === undefined ? 1 : 2)
  if (output.some((shape) => isShape(info.shape, shape))) return ok(linesOf(info, 'output', laid))
  if (byOutput === undefined && isShape(info.shape, [1, inputs])) return ok(linesOf(info, 'input', laid))
  return failed(shapeProblem(making, module, laid, { info, wanted: [count, 1] }))
}

/** The factors of (IA)³: of rows or columns, and the number that leaves the weight as it is. */
export interface Stretch extends Lines {
  readonly neutral: 0 | 1
  readonly side: 'output' | 'input'
}

/**
 * The factors of (IA)³ for what a module changes; undefined for a module that is none. `onInput` says the side where the
 * shape does not.
 */
export const makeStretch = (
  module: AdapterModule,
  laid: Laid,
  making: PatchContext,
  onInput: boolean,
): Result<Stretch | undefined> => {
  const { tensors, name } = module
  const [less, whole] = [tensors.get('factor'), tensors.get('whole-factor')]
  if (less === undefined && tensors.has('on-input'))
    return failed(factorMissing(making.at, making.adapter, name, ['`weight`']))
  const info = less ?? whole
  if (info === undefined) return ok(undefined)
  const [count = 1, inputs = 1] = laid.shape
  if (less !== undefined) {
    const n = onInput ? inputs : count
    const fits = [[n], [1, n]].some((shape) => isShape(info.shape, shape))
    const side = onInput ? 'input' : 'output'
    return fits
      ? ok({ ...linesOf(info, side, laid), neutral: 0, side })
      : failed(shapeProblem(making, module, laid, { info, wanted: [n] }))
  }
  // Of a linear layer the shape tells the side; of a convolution it is [1, n, …] for both, and the config tells.
  const inputSide = making.onInputs(name)
  const isKernel = laid.shape.length > 2
  const sides = [
    ['output', isKernel ? [1, count] : [count, 1]],
    ['input', [1, inputs]],
  ] as const
  const found = sides.filter(
    ([side, shape]) =>
      isShape(info.shape, shape) && (!isKernel || inputSide === undefined || inputSide === (side === 'input')),
  )
  if (found.length > 1 && count === inputs) return failed(sideUnknown(making.at, making.adapter, info.name))
  const side = found[0]?.[0]
  return side === undefined
    ? failed(shapeProblem(making, module, laid, { info, wanted: isKernel ? [1, count, 1, 1] : [count, 1] }))
    : ok({ ...linesOf(info, side, laid), neutral: 1, side })
}
