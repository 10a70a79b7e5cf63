import type { Lines } from '../architectures/adapters/magnitude.js'
import type { Change, Joined, Patch } from '../architectures/adapters/patch.js'
import type { Mask, Tensor } from '../graph/expression.js'
import type { Graph } from '../graph/graph.js'
import { isKronecker, rowsOfProduct, viewsOf, type Product } from '../graph/products.js'
import { blockRotation } from '../kernels/solvers/block-rotation.js'
import { expertProducts, stackedExperts } from '../kernels/solvers/expert-products.js'
import { inputRotation } from '../kernels/solvers/input-rotation.js'
import { channelProduct, elementsFrom, factorProduct, lowRankProduct } from '../kernels/solvers/low-rank.js'
import { joinedRows } from '../kernels/solvers/padding.js'
import { columnsOf, rowsOf } from '../tensor/block-grid.js'
import { sizeOf, type TensorInfo } from '../tensor/info.js'
import type { View } from '../tensor/view.js'
import { isComputed } from './made-adapter.js'
import type { AdapterValue } from './value.js'

/** The smallest normal float32: lines of zeros are divided by it, and stay zeros. */
const LEAST_LENGTH = 2 ** -126

/** What changes of a tensor are computed with. */
interface Changing {
  readonly g: Graph
  readonly shape: readonly number[]
  /** The tensors of an adapter that a step makes. */
  readonly made: AdapterValue['made']
}

/** A tensor of the model before an adapter changes it. */
export type TensorBefore = (name: string) => Tensor

/** A product, from the adapter's file or from what a step makes of its factors. */
const productOf = ({ g, shape, made }: Changing, product: Product): Tensor => {
  if (made === undefined || !viewsOf(product).some(({ tensor }) => isComputed(tensor))) return g.product(product)
  if (isKronecker(product)) throw new Error('no Kronecker products')
  const { up, down, firstRow, roll, turned } = product
  const factor = ({ tensor: { name, shape: own } }: View) => ({ x: made.tensor(name), shape: own })
  const operands = [factor(up), factor(down)]
  if (turned === undefined) return g.solve(lowRankProduct, operands, [firstRow, roll ?? 0], shape)
  return g.solve(factorProduct, operands, [firstRow, 1], shape)
}

const storedIn = ({ g, made }: Changing, view: View): Tensor =>
  made === undefined || !isComputed(view.tensor) ? g.read(view) : made.tensor(view.tensor.name)

/** True in some rows of a tensor; undefined for all of them. */
const inRows = ({ g, shape }: Changing, { rows }: Patch): Mask | undefined => {
  if (rows === undefined) return undefined
  const row = g.position(sizeOf(shape.slice(1)), shape[0] ?? 1)
  return g.and(g.compare('greater-equal', row, rows.first), g.compare('less', row, rows.first + rows.count))
}

/** `v` with its rows or columns brought to the lengths that an adapter gives them; those of 0 stay 0. */
const lengthened = ({ g, shape }: Changing, v: Tensor, { along, of }: Lines): Tensor => {
  const grid = along === 'rows' ? rowsOf(shape) : columnsOf(shape)
  const lengths = g.combine('max', g.combine('sqrt', g.dotBy(v, v, grid)), LEAST_LENGTH)
  return g.mul(g.div(v, g.spread(lengths, grid)), g.product(of))
}

/** A tensor under a change that depends on it, in the rows that this is for; elsewhere it may be anything. */
const changed = (with_: Changing, x: Tensor, change: Change, mask: Mask | undefined, strength: number): Tensor => {
  const { g, shape, made } = with_
  const whole = (info: TensorInfo) => ({ x: g.read(info), shape: info.shape })
  switch (change.type) {
    case 'replace': {
      const trained = 'left' in change.of ? g.product(change.of) : storedIn(with_, change.of)
      return strength === 1 ? trained : g.add(x, g.mul(g.sub(trained, x), strength))
    }
    case 'stored':
      return g.add(x, g.mul(storedIn(with_, change.of), strength * change.scale))
    case 'products': {
      const terms = change.terms.map((term) =>
        term.map((product) => productOf({ g, shape, made }, product)).reduce((a, b) => g.mul(a, b)),
      )
      const by = change.lengths === undefined ? strength * change.scale : change.scale
      const v = terms.reduce<Tensor>((sum, term) => g.add(sum, g.mul(term, by)), x)
      if (change.lengths === undefined) return v
      const long = lengthened(with_, mask === undefined ? v : g.choose(mask, v, 0), change.lengths)
      return strength === 1 ? long : g.add(x, g.mul(g.sub(long, x), strength))
    }
    case 'experts': {
      const { up, down, experts, turned } = change.of
      const delta = g.solve(expertProducts, [whole(down), whole(up)], [experts, Number(turned)], shape)
      return g.add(x, g.mul(delta, strength * change.scale))
    }
    case 'stacked': {
      const { pairs, turned } = change.of
      const operands = pairs.flatMap(({ up, down }) => [whole(down), whole(up)])
      const places = pairs.flatMap(({ expert, first, scale }) => [expert, first, scale])
      return g.add(
        x,
        g.mul(g.solve(stackedExperts, operands, [Number(turned), ...places], shape), strength * change.scale),
      )
    }
    case 'stretch': {
      const { of, neutral } = change.by
      const by = g.product(of)
      return g.mul(x, strength === 1 && neutral === 1 ? by : g.add(g.mul(g.sub(by, neutral), strength), 1))
    }
    case 'rotate': {
      const { blocks, rescale, constraint, firstRow, roll, turned } = change.by
      const operands = [{ x, shape }, whole(blocks), ...(rescale === undefined ? [] : [whole(rescale)])]
      const moved = roll > 0 || turned ? [roll, Number(turned)] : []
      return g.solve(blockRotation, operands, [firstRow, strength, constraint, ...moved], shape)
    }
    case 'rotate-inputs': {
      const { blocks, rows, turned, back, series, most, factors } = change.by
      const settings = [
        rows.first,
        rows.count,
        Number(turned),
        Number(back),
        series?.degree ?? -1,
        series?.last ?? 1,
        most,
      ]
      const v = g.solve(inputRotation, [{ x, shape }, whole(blocks)], settings, shape)
      const y = factors === undefined ? v : g.mul(v, g.product(factors.of))
      return strength === 1 ? y : g.add(x, g.mul(g.sub(y, x), strength))
    }
    case 'generalised': {
      const { first, second, added, turned } = change.of
      const { first: row, count } = rowsOfProduct(added)
      const [from, to] = [Math.max(0, row), Math.min(shape[0] ?? 1, row + count)]
      const settings = [from, to - from, ...(turned ? [1] : [])]
      const own = g.solve(channelProduct, [{ x, shape }, whole(first), whole(second)], settings, shape)
      return g.add(x, g.mul(g.add(g.product(added), own), strength * change.scale))
    }
  }
}

/** A tensor under a change of several together: these are joined, and the rows of the tensor are what comes of them. */
const changedTogether = (
  { g, shape, made }: Changing,
  { tensors, shape: whole, first }: Joined,
  change: Change,
  strength: number,
  before: TensorBefore,
): Tensor => {
  const parts = tensors.map(({ name, shape: own }) => ({ x: before(name), shape: own }))
  const all = g.solve(joinedRows, parts, [], whole)
  const x = changed({ g, shape: whole, made }, all, change, undefined, strength)
  return g.solve(elementsFrom, [{ x, shape: whole }], [first * sizeOf(whole.slice(1))], shape)
}

/** True for changes that are added whatever the tensor is. */
const isAdded = (change: Change): boolean =>
  change.type === 'stored' ||
  change.type === 'experts' ||
  change.type === 'stacked' ||
  (change.type === 'products' && change.lengths === undefined)

/**
 * A tensor under the patches of an adapter: one that replaces it comes first; the rest are computed from what that makes,
 * each for its own rows. `strengthOf` tells the strength of a patch, `before` gives tensors that are changed together with
 * this one.
 */
export const patchTensor = (
  g: Graph,
  x: Tensor,
  shape: readonly number[],
  patches: readonly Patch[],
  strengthOf: (patch: Patch) => number,
  made: AdapterValue['made'],
  before: TensorBefore,
): Tensor => {
  const changing: Changing = { g, shape, made }
  let base: Tensor | undefined
  return patches.reduce<Tensor>((result, patch) => {
    const { change, joined } = patch
    const strength = strengthOf(patch)
    if (strength === 0) return result
    if (isAdded(change)) return changed(changing, result, change, undefined, strength)
    if (change.type !== 'replace') base ??= result
    if (joined !== undefined) return changedTogether(changing, joined, change, strength, before)
    const mask = inRows(changing, patch)
    const own = changed(changing, base ?? result, change, mask, strength)
    return mask === undefined ? own : g.choose(mask, own, result)
  }, x)
}
