import { deltaShape, factorMissing, factorsApart, rankZero, twoForOne } from '../../base/catalogue/adapters.js'
import type { Diagnostic } from '../../base/diagnostic.js'
import { failed, ok, type Result } from '../../base/result.js'
import type { KroneckerFactors, StoredMatrix } from '../../graph/products.js'
import { sizeOf, type TensorInfo } from '../../tensor/info.js'
import { wholeOf } from '../../tensor/view.js'
import { isShape, placeOf, type Laid } from './laid.js'
import type { AdapterModule, Role } from './modules.js'
import type { PatchContext } from './patch-context.js'

/** The two matrices of a LoKr, each whole or by factors, with what LyCORIS calls them. */
const SIDES = [
  { whole: 'left', a: 'left_a', b: 'left_b', called: 'lokr_w1' },
  { whole: 'right', a: 'right_a', b: 'right_b', called: 'lokr_w2' },
] as const satisfies readonly { readonly whole: Role; readonly a: Role; readonly b: Role; readonly called: string }[]

type Side = (typeof SIDES)[number]

/** The roles of a LoKr's tensors. */
export const KRONECKER: readonly Role[] = [...SIDES.flatMap(({ whole, a, b }) => [whole, a, b]), 'right_t']

/** True for a module that is a LoKr, or has a part of one. */
export const hasKronecker = ({ tensors }: AdapterModule): boolean => KRONECKER.some((role) => tensors.has(role))

/** The rank that a LoKr's alpha is divided by: that of the right matrix, or of the left if the right is whole. */
export const kroneckerRank = ({ tensors }: AdapterModule): number | undefined =>
  (tensors.get('right_b') ?? tensors.get('left_b'))?.shape[0]

/** A matrix of a LoKr with its shape; what follows the two axes is the kernel of a convolution. */
interface Half {
  readonly matrix: StoredMatrix
  readonly rows: number
  readonly columns: number
}

/** The Kronecker product of a LoKr for what a module changes of a weight. */
export const makeKronecker = (module: AdapterModule, laid: Laid, making: PatchContext): Result<KroneckerFactors> => {
  const { adapter, at, architectureMismatch } = making
  const problem = wrongSides(module, making)
  if (problem !== undefined) return failed(problem)
  const [count = 1, inputs = 1, ...kernel] = laid.shape
  const left = readSide(module, SIDES[0], [])
  const right = readSide(module, SIDES[1], kernel)
  if (left === undefined || right === undefined || left.rows * left.columns * right.rows * right.columns === 0)
    return failed(rankZero(at, adapter, module.name))
  const [rows, columns] = [left.rows * right.rows, left.columns * right.columns]
  if (rows !== count || columns !== inputs * sizeOf(kernel) || right.columns % sizeOf(kernel) !== 0)
    return failed(
      deltaShape(at, adapter, module.name, [rows, columns], laid.tensor, laid.stored, architectureMismatch, laid.rows),
    )
  const shapeOf = ({ rows: r, columns: c }: Half): readonly [number, number] => (laid.turned ? [c, r] : [r, c])
  return ok({
    left: left.matrix,
    right: right.matrix,
    leftShape: shapeOf(left),
    rightShape: shapeOf(right),
    ...(laid.turned ? { turned: true } : {}),
    ...placeOf(laid),
  })
}

const nameOf = (info: TensorInfo): string => info.name

/** What is missing or contradictory about the matrices of a LoKr, whatever the weight. */
const wrongSides = ({ tensors, name }: AdapterModule, { adapter, at }: PatchContext): Diagnostic | undefined => {
  const missing: string[] = []
  for (const { whole, a, b, called } of SIDES) {
    const [all, up, down] = [tensors.get(whole), tensors.get(a), tensors.get(b)]
    const parts = [up, down, ...(whole === 'right' ? [tensors.get('right_t')] : [])].filter((x) => x !== undefined)
    if (all !== undefined) {
      if (parts.length > 0) return twoForOne(at, adapter, name, [all, ...parts].map(nameOf))
      continue
    }
    if (up === undefined && down === undefined) missing.push(`\`${called}\``)
    else if (up === undefined) missing.push(`\`${called}_a\``)
    else if (down === undefined) missing.push(`\`${called}_b\``)
    else {
      const core = whole === 'right' ? tensors.get('right_t') : undefined
      const rank = down.shape[0] ?? 0
      if (rank === 0) return rankZero(at, adapter, name)
      const inner = core === undefined ? up.shape[1] : up.shape[0]
      const fits = up.shape.length === 2 && down.shape.length >= 2 && inner === rank
      if (!fits) return factorsApart(at, adapter, name, [up, down])
      if (core !== undefined && (core.shape[0] !== rank || core.shape[1] !== rank || core.shape.length < 3))
        return factorsApart(at, adapter, name, [down, core])
    }
  }
  return missing.length > 0 ? factorMissing(at, adapter, name, missing) : undefined
}

/** A matrix of a LoKr; undefined where its shape is none. */
const readSide = ({ tensors }: AdapterModule, { whole, a, b }: Side, kernel: readonly number[]): Half | undefined => {
  const all = tensors.get(whole)
  if (all !== undefined) {
    const [rows = 0, ...rest] = all.shape
    const fits = whole === 'left' ? rest.slice(1).every((d) => d === 1) : isKernel(rest.slice(1), kernel)
    return rest.length > 0 && fits ? { matrix: wholeOf(all), rows, columns: sizeOf(rest) } : undefined
  }
  const [up, down, core] = [tensors.get(a)!, tensors.get(b)!, whole === 'right' ? tensors.get('right_t') : undefined]
  const rank = down.shape[0]!
  if (core !== undefined && !isKernel(core.shape.slice(2), kernel, false)) return undefined
  const inKernel = core === undefined ? 1 : sizeOf(core.shape) / rank ** 2
  const columns = (sizeOf(down.shape) / rank) * inKernel
  return {
    matrix: {
      up: wholeOf(up),
      down: wholeOf(down),
      mid: core && wholeOf(core),
      rank,
      columns,
      ...(core === undefined ? {} : { turned: { up: true } }),
    },
    rows: core === undefined ? up.shape[0]! : up.shape[1]!,
    columns,
  }
}

/** True where what a matrix has behind its two axes is the kernel of the weight; it may be part of the second axis. */
const isKernel = (found: readonly number[], kernel: readonly number[], flat = true): boolean =>
  (flat && found.length === 0) || isShape([2, ...found], [2, ...kernel])
