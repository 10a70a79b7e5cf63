import { viewTooLarge } from '../base/catalogue/pytorch.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { readFully } from '../safetensors/positional.js'
import type { ArchiveTensor } from './archive.js'
import type { OpenFile } from './copy.js'

/** Most bytes of a storage that are held in memory to put a view of them in order. */
export const MOST_HELD = 1 << 28
/** Bytes that are handed on at once. */
const PIECE = 1 << 23

/** Takes the next bytes of a tensor in order; says what went wrong. */
export type Take = (bytes: Uint8Array) => Diagnostic | undefined

/** A view in units of 1, 2 or 4 bytes, so that no number is ever touched as a number. */
interface View {
  readonly sizes: readonly number[]
  readonly strides: readonly number[]
  readonly unit: 1 | 2 | 4
  readonly begin: number
}

/**
 * Reads a tensor whose elements do not lie one after another, and hands them on in the order of their indexes. Holds
 * the stretch that the view spans, up to `most` bytes; of a larger one, which only a view along its first dimension
 * lets be taken in parts, one part after another.
 */
export const gather = (
  source: OpenFile,
  tensor: ArchiveTensor,
  take: Take,
  most = MOST_HELD,
): Diagnostic | undefined => {
  if (tensor.bytes === 0) return undefined
  const width = tensor.bytes / tensor.shape.reduce((n, d) => n * d, 1)
  const unit = width === 8 ? 4 : (width as 1 | 2 | 4)
  const per = width / unit
  const view: View = {
    sizes: per === 1 ? tensor.shape : [...tensor.shape, per],
    strides: per === 1 ? tensor.strides : [...tensor.strides.map((stride) => stride * per), 1],
    unit,
    begin: tensor.begin,
  }
  const walk = ({ sizes, strides, begin }: View): Diagnostic | undefined => {
    const span = (sizes.reduce((last, size, i) => last + (size - 1) * strides[i]!, 0) + 1) * unit
    if (span <= most) return gatherHeld(source, { sizes, strides, unit, begin }, span, take)
    const [size, ...inner] = sizes
    const [stride, ...steps] = strides
    // Taken apart along a dimension that is not the outermost of the storage, each part would span nearly all of it.
    if (size === undefined || steps.some((step, i) => inner[i]! > 1 && step > stride!))
      return viewTooLarge(source.path, tensor.name, span)
    for (let i = 0; i < size; i++) {
      const problem = walk({ sizes: inner, strides: steps, unit, begin: begin + i * stride! * unit })
      if (problem !== undefined) return problem
    }
    return undefined
  }
  return walk(view)
}

const ARRAYS = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array } as const

const gatherHeld = (
  { fd, path }: OpenFile,
  { sizes, strides, unit, begin }: View,
  span: number,
  take: Take,
): Diagnostic | undefined => {
  const bytes = new Uint8Array(span)
  const problem = readFully(fd, path, bytes, begin)
  if (problem !== undefined) return problem
  const held = new ARRAYS[unit](bytes.buffer)
  const piece = new ARRAYS[unit](PIECE / unit)
  const [inner, step] = [sizes.at(-1) ?? 1, strides.at(-1) ?? 1]
  const index = sizes.slice(0, -1).fill(0)
  let [filled, from] = [0, 0]
  for (;;) {
    for (let i = 0, at = from; i < inner; i++, at += step) {
      piece[filled++] = held[at]!
      if (filled < piece.length) continue
      const refused = take(new Uint8Array(piece.buffer))
      if (refused !== undefined) return refused
      filled = 0
    }
    let dimension = index.length - 1
    for (; dimension >= 0; dimension--) {
      from += strides[dimension]!
      if (++index[dimension]! < sizes[dimension]!) break
      from -= sizes[dimension]! * strides[dimension]!
      index[dimension] = 0
    }
    if (dimension < 0) return filled === 0 ? undefined : take(new Uint8Array(piece.buffer, 0, filled * unit))
  }
}
