import type { Diagnostic } from '../base/diagnostic.js'
import {
  columnsOfProduct,
  isKronecker,
  matricesKey,
  rowsOfProduct,
  viewsOf,
  type KroneckerFactors,
  type LowRankFactors,
  type Product,
} from '../graph/products.js'
import type { Kernels } from '../kernels/kernels.js'
import { viewBytes } from '../tensor/view.js'
import { isRead, readFactors, readMatrix, turn, type ReadMatrix } from './matrices.js'
import { rangesOf, readRanges } from './read-ranges.js'
import { readView } from './stored-numbers.js'

/** Multiplies the small matrices of adapters, a few rows at a time. */
export interface Products {
  /**
   * Reads the matrices of a product into the kernels' memory, for one of the uses a unit has for products, and gives
   * the bytes read. May grow that memory.
   */
  load(use: number, product: Product): number | Diagnostic
  /**
   * Writes the elements `start` to `start + n` of the product loaded for a use, in float32, at an offset of the
   * kernels' memory.
   */
  fill(use: number, offset: number, start: number, n: number): void
}

/**
 * Columns of `down` that stand together in memory: few enough that the cache keeps them while several rows are
 * multiplied with them.
 */
const PANEL = 128

interface Use {
  product: Product | undefined
  /** `up`, or the left matrix of a Kronecker product. */
  readonly first: Room
  /** `down` in panels, or the right matrix; without one, a row of the left with every number as often as it counts. */
  readonly second: Room
  /** The row of the left matrix that is spread out. */
  spread: number
  /** True where the products of numbers of two factors are exact. */
  exact: boolean
}
interface Room {
  offset: number
  floats: number
}

/** Some elements of one row of a tensor: `length` from column `column` on, written at `out`. */
interface Piece {
  readonly row: number
  readonly column: number
  readonly length: number
  readonly out: number
}

/** Keeps the matrices of the current products in the kernels' memory; each use holds one product at a time. */
export const createProducts = (kernels: Kernels, open: (path: string) => number): Products => {
  const uses = new Map<number, Use>()
  const useOf = (index: number): Use => {
    const use = uses.get(index) ?? {
      product: undefined,
      first: { offset: 0, floats: 0 },
      second: { offset: 0, floats: 0 },
      spread: -1,
      exact: false,
    }
    uses.set(index, use)
    return use
  }
  /** Memory for so many numbers; it doubles when it has to grow, since memory once taken is never given back. */
  const reserve = (room: Room, floats: number): Float32Array => {
    if (room.floats < floats) {
      room.floats = Math.max(floats, 2 * room.floats)
      room.offset = kernels.alloc(4 * room.floats)
    }
    return kernels.view(Float32Array, room.offset, floats)
  }
  /** Lays out `down` in panels of {@link PANEL} columns, each with all of its rows. */
  const putPanels = (room: Room, down: Float32Array, { rank, columns }: LowRankFactors): void => {
    const panels = reserve(room, down.length)
    for (let first = 0; first < columns; first += PANEL) {
      const width = Math.min(PANEL, columns - first)
      for (let r = 0; r < rank; r++)
        panels.set(down.subarray(r * columns + first, r * columns + first + width), first * rank + r * width)
    }
  }
  const halves: Room = { offset: 0, floats: 0 }
  /** Most factors are of half precision, and there are many: those are decoded by the kernels. */
  const read: ReadMatrix = (view) => {
    const { file, dtype } = view.tensor
    if (dtype !== 'F16') return readView(open(file), view)
    const n = viewBytes(view) / 2
    // The codes lie behind their numbers.
    reserve(halves, Math.ceil(1.5 * n))
    const codes = halves.offset + 4 * n
    const problem = readRanges(open(file), rangesOf(view), 0, kernels.view(Uint8Array, codes, 2 * n))
    if (problem !== undefined) return problem
    kernels.decodeF16(codes, n, halves.offset)
    return kernels.view(Float32Array, halves.offset, n).slice()
  }

  const loadFactors = (use: Use, product: LowRankFactors): Diagnostic | undefined => {
    const factors = readFactors(product, read)
    if ('code' in factors) return factors
    reserve(use.first, factors.up.length).set(factors.up)
    putPanels(use.second, factors.down, product)
    use.exact = kernels.areExact(use.first.offset, factors.up.length, use.second.offset, factors.down.length)
    return undefined
  }
  const loadKronecker = (use: Use, product: KroneckerFactors): Diagnostic | undefined => {
    const { left, right, leftShape, rightShape, turned } = product
    const matrices = [left, ...(right === undefined ? [] : [right])].map((matrix) => readMatrix(matrix, read))
    const rows = [leftShape[1], rightShape[1]]
    for (const [i, matrix] of matrices.entries()) {
      if (!isRead(matrix)) return matrix
      const room = i === 0 ? use.first : use.second
      reserve(room, matrix.length).set(turned === true ? turn(matrix, rows[i]!) : matrix)
    }
    if (right === undefined) reserve(use.second, leftShape[1] === 1 ? 0 : columnsOfProduct(product))
    use.spread = -1
    return undefined
  }

  /** Fills a piece, which is no wider than a panel, and the same columns of the rows after it. */
  const fillFactors = (
    { first: up, second: down, exact }: Use,
    { rank, columns }: LowRankFactors,
    { row, column, length, out }: Piece,
    rows: number,
  ): void => {
    const panel = column - (column % PANEL)
    const width = Math.min(PANEL, columns - panel)
    const from = down.offset + 4 * (panel * rank + column - panel)
    const multiply = exact ? kernels.exactRows : kernels.lowRankRows
    multiply(out, columns, length, up.offset + 4 * row * rank, rank, from, width, rows)
  }
  const fillKronecker = (use: Use, product: KroneckerFactors, { row, column, length, out }: Piece): void => {
    const { right, leftShape, rightShape } = product
    const [i, k] = [Math.floor(row / rightShape[0]), row % rightShape[0]]
    const left = use.first.offset + 4 * i * leftShape[1]
    if (right === undefined) {
      fillSpread(use, product, i, { row, column, length, out })
      return
    }
    const width = rightShape[1]
    for (let at = column; at < column + length;) {
      const within = at % width
      const n = Math.min(at - within + width, column + length) - at
      const from = use.second.offset + 4 * (k * width + within)
      kernels.lowRankRows(out + 4 * (at - column), n, n, left + 4 * ((at - within) / width), 1, from, width, 1)
      at += n
    }
  }
  /** A row in which each number of a row of the left matrix stands as often as it counts. */
  const fillSpread = (use: Use, { leftShape, rightShape }: KroneckerFactors, i: number, piece: Piece): void => {
    const [, across] = leftShape
    const width = rightShape[1]
    const numbers = kernels.view(Float32Array, use.first.offset + 4 * i * across, across)
    const out = kernels.view(Float32Array, piece.out, piece.length)
    if (across === 1) {
      out.fill(numbers[0]!)
      return
    }
    const row = kernels.view(Float32Array, use.second.offset, across * width)
    if (use.spread !== i) for (let j = 0; j < across; j++) row.fill(numbers[j]!, j * width, (j + 1) * width)
    use.spread = i
    out.set(row.subarray(piece.column, piece.column + piece.length))
  }

  return {
    load: (index, product) => {
      const use = useOf(index)
      const known = use.product !== undefined && matricesKey(use.product) === matricesKey(product)
      // The same matrices may lie on other rows than before.
      use.product = known ? product : undefined
      if (known) return 0
      const unread = isKronecker(product) ? loadKronecker(use, product) : loadFactors(use, product)
      if (unread !== undefined) return unread
      use.product = product
      return viewsOf(product).reduce((n, view) => n + viewBytes(view), 0)
    },
    fill: (index, offset, start, n) => {
      const use = useOf(index)
      const product = use.product!
      const [columns, { first, count }] = [columnsOfProduct(product), rowsOfProduct(product)]
      // Panel by panel, so that each is read from memory once for all the rows of a chunk.
      const step = isKronecker(product) ? columns : PANEL
      const end = start + n
      for (let panel = 0; panel < columns; panel += step) {
        const width = Math.min(step, columns - panel)
        for (let row = Math.floor(start / columns); row * columns < end; row++) {
          const begin = row * columns + panel
          const from = Math.max(start, begin)
          const length = Math.min(end, begin + width) - from
          if (length <= 0) continue
          const out = offset + 4 * (from - start)
          const own = row - first
          if (own < 0 || own >= count) {
            kernels.view(Float32Array, out, length).fill(0)
            continue
          }
          const inProduct = (own + count - (product.roll ?? 0)) % count
          const piece = { row: inProduct, column: from - row * columns, length, out }
          if (isKronecker(product)) fillKronecker(use, product, piece)
          else {
            // As many rows as have all of these columns, up to the last of the product.
            const whole = Math.floor((end - panel - width) / columns) - row + 1
            const rows = from === begin ? Math.max(1, Math.min(whole, count - own, count - inProduct)) : 1
            fillFactors(use, product, piece, rows)
            row += rows - 1
          }
        }
      }
    },
  }
}
