import { factorShape } from '../../base/catalogue/adapters.js'
import type { Diagnostic } from '../../base/diagnostic.js'
import type { LowRankFactors } from '../../graph/products.js'
import { sizeOf, type TensorInfo } from '../../tensor/info.js'
import type { AdapterModule } from './modules.js'
import type { AdapterTarget } from './names.js'
import type { PatchContext } from './patch-context.js'
import type { Part, Rows } from './spelling.js'

type Shape = readonly number[]

/** The matrix that a module changes: a weight, or some rows of one, in the order that the module has them. */
export interface Laid {
  readonly tensor: string
  /** The shape of the whole weight as it is stored. */
  readonly stored: Shape
  /** The shape of what the module changes, as the module sees it. */
  readonly shape: Shape
  /** The rows of the stored weight; all unless given. */
  readonly rows: Rows | undefined
  /** Where the rows of the weight stand among the module's, if that is of several weights. */
  readonly part: Part | undefined
  /** Row i of the module is row (i + `roll`) mod the number of rows. */
  readonly roll: number | undefined
  /** True where the module's rows are the weight's columns. */
  readonly turned: boolean
}

/** Where a module's matrix stands in a tensor of its target. */
export const layOut = (
  tensor: string,
  stored: Shape,
  { rows, part, change }: Pick<AdapterTarget, 'rows' | 'part' | 'change'>,
  turned = false,
): Laid => {
  const [height = 1, ...inner] = stored
  const count = part?.of ?? Math.min(rows?.count ?? height, height - (rows?.first ?? 0))
  return {
    tensor,
    stored,
    shape: turned ? [sizeOf(inner), height] : [count, ...inner],
    rows,
    part,
    roll: change === 'halves-swapped' ? count / 2 : undefined,
    turned,
  }
}

/** How products that fill what a module changes are placed; those of several weights begin before each but the first. */
export const placeOf = ({ rows, part, roll }: Laid): Pick<LowRankFactors, 'firstRow' | 'roll'> => ({
  firstRow: part === undefined ? (rows?.first ?? 0) : -part.first,
  ...(roll === undefined ? {} : { roll }),
})

/** Trailing dimensions of 1 are ignored: a linear layer may be stored as a 1 × 1 convolution. */
const trimmed = (shape: Shape): Shape => shape.slice(0, shape.findLastIndex((d) => d !== 1) + 1)

/** True for shapes of the same numbers in the same places. */
export const isShape = (found: Shape, wanted: Shape): boolean =>
  found.length > 0 && trimmed(found).join() === trimmed(wanted).join()

/** A tensor that has not the shape that its module and weight ask for. */
export interface WrongShape {
  readonly info: TensorInfo
  readonly wanted: Shape
}

/** What is wrong with the shape of a tensor of a module. */
export const shapeProblem = (
  { adapter, at, architectureMismatch }: PatchContext,
  { name: module }: AdapterModule,
  { tensor, stored, rows }: Laid,
  { info, wanted }: WrongShape,
  rank?: number,
): Diagnostic =>
  factorShape(
    at,
    { adapter, module, factor: info.name, found: info.shape, wanted, rank, tensor, shape: stored, rows },
    architectureMismatch,
  )
