import { badConstraint, blocksUneven, factorMissing } from '../../base/catalogue/adapters.js'
import { failed, ok, type Result } from '../../base/result.js'
import { sizeOf, type TensorInfo } from '../../tensor/info.js'
import { shapeProblem, type Laid } from './laid.js'
import type { AdapterModule } from './modules.js'
import type { PatchContext } from './patch-context.js'

/** What OFT or BOFT does to the rows of a weight. */
export interface Rotation {
  /** [blocks, size, size] for OFT, with levels before them for BOFT. */
  readonly blocks: TensorInfo
  /** Factors of the rows. */
  readonly rescale: TensorInfo | undefined
  /** The greatest Frobenius norm of Q = B − Bᵀ over all blocks; 0 where there is none. */
  readonly constraint: number
  readonly firstRow: number
  /** Row i that is turned is row (i + `roll`) mod the number of rows. */
  readonly roll: number
  /** True where the weight is stored with its rows as columns. */
  readonly turned: boolean
}

/** The rotation of a module; undefined for a module that has none. */
export const makeRotation = (module: AdapterModule, laid: Laid, making: PatchContext): Result<Rotation | undefined> => {
  const { tensors, name } = module
  const { adapter, at } = making
  const [blocks, rescale] = [tensors.get('blocks'), tensors.get('rescale')]
  if (blocks === undefined)
    return rescale === undefined ? ok(undefined) : failed(factorMissing(at, adapter, name, ['`oft_blocks`']))
  const [count = 1] = laid.shape
  const lines = `${count} ${laid.turned ? 'columns' : 'rows'}`
  const [number = 0, size = 0, other = 0] = blocks.shape.slice(-3)
  const levels = blocks.shape.length === 4 ? blocks.shape[0]! : 1
  const square = (blocks.shape.length === 3 || blocks.shape.length === 4) && size === other && size > 0
  if (!square || number * size !== count) {
    const wanted =
      blocks.shape.length === 4 ? [levels, count / (size || 1), size, size] : [count / (size || 1), size, size]
    return failed(
      Number.isInteger(count / size)
        ? shapeProblem(making, module, laid, { info: blocks, wanted })
        : blocksUneven(at, adapter, blocks.name, blocks.shape, lines, laid.tensor),
    )
  }
  // A level mixes rows that are twice as far apart as those of the level before.
  const reach = 2 ** (levels - 1) * size
  if (blocks.shape.length === 4 && (levels === 0 || size % 2 !== 0 || count % reach !== 0))
    return failed(blocksUneven(at, adapter, blocks.name, blocks.shape, lines, laid.tensor))
  if (rescale !== undefined && sizeOf(rescale.shape) !== count)
    return failed(shapeProblem(making, module, laid, { info: rescale, wanted: [count, 1] }))
  const alpha = tensors.get('alpha')
  const constraint = alpha === undefined ? 0 : making.numberOf(alpha)
  if (!Number.isFinite(constraint) || constraint < 0) return failed(badConstraint(at, adapter, alpha!.name, constraint))
  const { rows, roll = 0, turned } = laid
  return ok({ blocks, rescale, constraint: constraint * count, firstRow: rows?.first ?? 0, roll, turned })
}
