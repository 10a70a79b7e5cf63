import { rotationUnknown } from '../../base/catalogue/adapter-config.js'
import { blocksUneven, factorMissing } from '../../base/catalogue/adapters.js'
import { failed, ok, type Result } from '../../base/result.js'
import { sizeOf, type TensorInfo } from '../../tensor/info.js'
import { isShape, shapeProblem, type Laid } from './laid.js'
import { linesOf, type Lines } from './magnitude.js'
import type { AdapterModule } from './modules.js'
import type { Series } from './oft-settings.js'
import type { PatchContext } from './patch-context.js'

/** What OFT or BOFT of PEFT does to the columns of a weight. */
export interface InputRotation {
  /** Upper triangles [blocks, numbers] of OFT, or [levels, blocks, size, size] of BOFT. */
  readonly blocks: TensorInfo
  /** The rows of the tensor that are turned. */
  readonly rows: { readonly first: number; readonly count: number }
  /** True where the weight is stored with its rows as columns. */
  readonly turned: boolean
  /** True where columns are turned the other way, as those of embeddings are. */
  readonly back: boolean
  /** The degree and the last coefficient of the series that stands for a turn; undefined for the turn itself. */
  readonly series: Series | undefined
  /** The greatest norm of a block; 0 for any. */
  readonly most: number
  /** Factors of the rows, which BOFT has. */
  readonly factors: Lines | undefined
}

/** The rotation of the inputs of a module; undefined for a module that has none. */
export const makeInputRotation = (
  module: AdapterModule,
  laid: Laid,
  making: PatchContext,
): Result<InputRotation | undefined> => {
  const { tensors } = module
  const embedding = tensors.get('embedding-skew')
  const [skew, butterfly] = [tensors.get('skew') ?? embedding, tensors.get('butterfly')]
  const blocks = skew ?? butterfly
  const factors = tensors.get('row-factors')
  if (blocks === undefined)
    return factors === undefined
      ? ok(undefined)
      : failed(factorMissing(making.at, making.adapter, module.name, ['`boft_R`']))
  const placed = {
    blocks,
    rows: laid.part === undefined && laid.rows !== undefined ? laid.rows : { first: 0, count: laid.stored[0] ?? 1 },
    turned: laid.turned,
    back: embedding !== undefined,
  }
  if (skew === undefined) return makeButterfly(module, laid, making, placed)
  const settings = making.oft
  if (settings === undefined) return failed(rotationUnknown(making.at, making.adapter, skew.name))
  const inputs = sizeOf(laid.shape.slice(1))
  const [number = 0, triangle = 0] = skew.shape
  const size = (1 + Math.sqrt(1 + 8 * triangle)) / 2
  const fits = skew.shape.length === 2 && triangle > 0 && Number.isInteger(size) && inputs % size === 0
  if (!fits) return failed(uneven(making, skew, inputs, laid))
  const wanted = settings.shared ? 1 : inputs / size
  return number === wanted
    ? ok({ ...placed, series: settings.series, most: settings.norm / Math.sqrt(number), factors: undefined })
    : failed(shapeProblem(making, module, laid, { info: skew, wanted: [wanted, triangle] }))
}

const uneven = ({ at, adapter }: PatchContext, { name, shape }: TensorInfo, inputs: number, { tensor, turned }: Laid) =>
  blocksUneven(at, adapter, name, shape, `${inputs} ${turned ? 'rows' : 'columns'}`, tensor)

const makeButterfly = (
  module: AdapterModule,
  laid: Laid,
  making: PatchContext,
  placed: Pick<InputRotation, 'blocks' | 'rows' | 'turned' | 'back'>,
): Result<InputRotation> => {
  const { blocks } = placed
  const factors = module.tensors.get('row-factors')
  if (factors === undefined) return failed(factorMissing(making.at, making.adapter, module.name, ['`boft_s`']))
  const inputs = sizeOf(laid.shape.slice(1))
  const [levels = 0, number = 0, size = 0, other = 0] = blocks.shape
  const square = blocks.shape.length === 4 && size === other && size > 0 && levels > 0
  const many = 2 ** (levels - 1)
  if (!square || inputs % (size * many) !== 0 || (levels > 1 && size % 2 !== 0))
    return failed(uneven(making, blocks, inputs, laid))
  if (number * size !== inputs)
    return failed(shapeProblem(making, module, laid, { info: blocks, wanted: [levels, inputs / size, size, size] }))
  const [count = 1] = laid.shape
  return [[count], [1, count]].some((shape) => isShape(factors.shape, shape))
    ? ok({ ...placed, series: undefined, most: 0, factors: linesOf(factors, 'output', laid) })
    : failed(shapeProblem(making, module, laid, { info: factors, wanted: [count, 1] }))
}
