import type { Diagnostic } from '../base/diagnostic.js'
import type { LowRankFactors } from '../graph/expression.js'
import type { Kernels } from '../kernels/kernels.js'
import { viewBytes, viewKey, type View } from '../tensor/view.js'
import { readView } from './stored-numbers.js'

/** Multiplies the factors of adapters, a few rows at a time. */
export interface LowRankProducts {
  /**
   * Reads the factors of a product into the kernels' memory, for one of the uses a unit has for products, and gives the
   * bytes read. May grow that memory.
   */
  load(use: number, product: LowRankFactors): number | Diagnostic
  /**
   * Writes the elements `start` to `start + n` of the product loaded for a use, in float32, at an offset of the
   * kernels' memory.
   */
  fill(use: number, offset: number, start: number, n: number): void
}

/**
 * Contracts a Tucker core with `down`, so that what is left is an ordinary pair of factors. Sums in float64, rounded
 * once.
 */
const foldMiddle = ({ rank, columns }: LowRankFactors, mid: Float32Array, down: Float32Array): Float32Array => {
  const kernel = mid.length / (rank * rank)
  const inputs = columns / kernel
  const folded = new Float32Array(rank * columns)
  for (let p = 0; p < rank; p++) {
    for (let input = 0; input < inputs; input++) {
      for (let k = 0; k < kernel; k++) {
        let sum = 0
        for (let q = 0; q < rank; q++) sum += mid[(p * rank + q) * kernel + k]! * down[q * inputs + input]!
        folded[p * columns + input * kernel + k] = sum
      }
    }
  }
  return folded
}

const factorsOf = ({ up, down, mid }: LowRankFactors): readonly View[] => [
  up,
  down,
  ...(mid === undefined ? [] : [mid]),
]

/** Equal for products of the same factors, at whatever rows. */
const factorsKey = (product: LowRankFactors): string => JSON.stringify(factorsOf(product).map(viewKey))

/**
 * Columns of `down` that stand together in memory: few enough that the cache keeps them while several rows are
 * multiplied with them.
 */
const PANEL = 128

interface Use {
  product: LowRankFactors | undefined
  rows: number
  readonly up: Room
  readonly down: Room
}
interface Room {
  offset: number
  floats: number
}

const isDiagnostic = (x: Float32Array | Diagnostic): x is Diagnostic => 'code' in x

/** Keeps the factors of the current products in the kernels' memory; each use holds one product at a time. */
export const createLowRankProducts = (kernels: Kernels, open: (path: string) => number): LowRankProducts => {
  const uses = new Map<number, Use>()
  const useOf = (index: number): Use => {
    const use = uses.get(index) ?? {
      product: undefined,
      rows: 0,
      up: { offset: 0, floats: 0 },
      down: { offset: 0, floats: 0 },
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
  const read = (view: View): Float32Array | Diagnostic => readView(open(view.tensor.file), view)

  return {
    load: (index, product) => {
      const use = useOf(index)
      const known = use.product !== undefined && factorsKey(use.product) === factorsKey(product)
      // The same factors may lie on other rows than before.
      use.product = known ? product : undefined
      if (known) return 0
      const [up, down, mid] = [
        read(product.up),
        read(product.down),
        product.mid === undefined ? undefined : read(product.mid),
      ]
      for (const factor of [up, down, mid]) if (factor !== undefined && isDiagnostic(factor)) return factor
      reserve(use.up, (up as Float32Array).length).set(up as Float32Array)
      putPanels(
        use.down,
        mid === undefined ? (down as Float32Array) : foldMiddle(product, mid as Float32Array, down as Float32Array),
        product,
      )
      use.rows = (up as Float32Array).length / product.rank
      use.product = product
      return factorsOf(product).reduce((n, view) => n + viewBytes(view), 0)
    },
    fill: (index, offset, start, n) => {
      const { product, rows, up, down } = useOf(index)
      const { rank, columns, firstRow } = product!
      const end = start + n
      // Panel by panel, so that each is read from memory once for all the rows of a chunk.
      for (let first = 0; first < columns; first += PANEL) {
        const width = Math.min(PANEL, columns - first)
        for (let row = Math.floor(start / columns); row * columns < end; row++) {
          const begin = row * columns + first
          const from = Math.max(start, begin)
          const length = Math.min(end, begin + width) - from
          if (length <= 0) continue
          const out = offset + 4 * (from - start)
          const upRow = row - firstRow
          if (upRow < 0 || upRow >= rows) kernels.view(Float32Array, out, length).fill(0)
          else
            kernels.lowRank(
              out,
              length,
              up.offset + 4 * upRow * rank,
              rank,
              down.offset + 4 * (first * rank + from - begin),
              width,
            )
        }
      }
    },
  }
}
