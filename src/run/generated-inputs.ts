import type { Diagnostic } from '../base/diagnostic.js'
import { createBlockVectors, LONG } from './block-vectors.js'
import { createProducts } from './products.js'
import type { GeneratedInputOrder } from './unit.js'
import type { Workspace } from './workspace.js'

/** Fills in the inputs of a program that are not elements of a file. Those of one unit at a time. */
export interface GeneratedInputs {
  /**
   * Reads what input number `use` of a unit needs for elements `start` to `end`, and gives the bytes read. May grow the
   * kernels' memory.
   */
  load(use: number, order: GeneratedInputOrder, start: number, end: number): number | Diagnostic
  /** Writes its elements `start` to `start + n` at an offset of the kernels' memory. */
  fill(use: number, order: GeneratedInputOrder, offset: number, start: number, n: number): void
}

/** Inputs of which nothing is loaded yet. */
export const createGeneratedInputs = ({ kernels, open, bytesAt }: Workspace): GeneratedInputs => {
  const products = createProducts(kernels, (path) => open(path, 'r'))
  const vectors = createBlockVectors((path) => open(path, 'r'))
  return {
    load: (use, order, start, end) =>
      order.type === 'product'
        ? products.load(use, order.product)
        : order.type === 'spread'
          ? (vectors.load(use, order, start, end) ?? 0)
          : 0,
    fill: (use, order, offset, start, n) => {
      switch (order.type) {
        case 'position':
          return fillPositions(kernels.view(Float32Array, offset, n), start, order)
        case 'product':
          return products.fill(use, offset, start, n)
        case 'spread':
          return vectors.fill(use, kernels.view(Float32Array, offset, n), start)
        case 'constant':
          return void bytesAt(offset, n).fill(order.value ? 1 : 0)
        case 'bernoulli':
          return kernels.bernoulli(offset, start, n, order, order.p)
        case 'normal':
          return kernels.gaussian(offset, start, n, order)
        case 'uniform':
          return kernels.uniform(offset, start, n, order)
      }
    },
  }
}

/** Coordinates stay the same for `stride` elements, and begin again after `length` of them. */
const fillPositions = (
  out: Float32Array,
  start: number,
  { stride, length }: { readonly stride: number; readonly length: number },
): void => {
  let position = Math.floor(start / stride) % length
  let left = stride - (start % stride)
  for (let at = 0; at < out.length;) {
    const end = Math.min(out.length, at + left)
    if (end - at > LONG) out.fill(position, at, end)
    else for (let i = at; i < end; i++) out[i] = position
    at = end
    left = stride
    position = position + 1 === length ? 0 : position + 1
  }
}
