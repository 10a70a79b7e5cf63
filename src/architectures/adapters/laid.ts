import { factorShape } from '../../base/catalogue/adapters.js'
import type { Diagnostic } from '../../base/diagnostic.js'
import type { KroneckerFactors, LowRankFactors } from '../../graph/products.js'
import { sizeOf, type TensorInfo } from '../../tensor/info.js'
import { wholeOf } from '../../tensor/view.js'
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

/** Where a module stands in its target. */
type Placement = { readonly [K in 'rows' | 'part' | 'change']?: AdapterTarget[K] | undefined }

/** True for a target that a module has as it is, all of it. */
export const isWholeTarget = ({ rows, part, change }: Placement): boolean =>
  rows === undefined && part === undefined && change === undefined

/** Where a module's matrix stands in a tensor of its target. */
export const layOut = (tensor: string, stored: Shape, { rows, part, change }: Placement, turned = false): Laid => {
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

/** Stored numbers at their places, each once. */
export const placedNumbers = (info: TensorInfo, laid: Laid): KroneckerFactors => {
  const [count = 1, ...inner] = laid.shape
  const columns = sizeOf(inner)
  return {
    left: wholeOf(info),
    right: undefined,
    leftShape: laid.turned ? [columns, count] : [count, columns],
    rightShape: [1, 1],
    ...(laid.turned ? { turned: true } : {}),
    ...placeOf(laid),
  }
}

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
