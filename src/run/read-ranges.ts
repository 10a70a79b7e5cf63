import type { Diagnostic } from '../base/diagnostic.js'
import { readFully, type PositionalIo } from '../safetensors/positional.js'
import { bytesFor, DTYPES, type Dtype } from '../tensor/dtype.js'
import { sizeOf } from '../tensor/info.js'
import { ZERO_ROW } from '../tensor/row-map.js'
import { cutChosen, forEachRange, isRun, isWhole, selectionOf, type Selection, type View } from '../tensor/view.js'

/**
 * Where the numbers of a view lie: `begin` is the byte of number 0 of `selection`, or of element 0 where that is a
 * single run, which needs none.
 */
export interface Ranges {
  readonly path: string
  readonly begin: number
  readonly dtype: Dtype
  readonly selection?: Selection
}

/** Bytes between two ranges that are read along with them: a call costs more. */
const GAP = 1 << 14
/** Most bytes of one call that reads several ranges. */
const SPAN = 1 << 20

/** The ranges of a view, as far as elements `start` to `end` of it need them. */
export const rangesOf = (view: View, start = 0, end = sizeOf(view.shape)): Ranges => {
  const { file, begin, dtype } = view.tensor
  if (isWhole(view)) return { path: file, begin, dtype }
  const selection = cutChosen(selectionOf(view), start, end)
  return isRun(selection)
    ? { path: file, begin: begin + bytesFor(selection.first, dtype), dtype }
    : { path: file, begin, dtype, selection }
}

/** Numbers of `width` bytes that are not stored: 0 or −0, whose sign is the highest bit of the last byte. */
const fillUnstored = (data: Uint8Array, width: number, isZero: boolean): void => {
  data.fill(0)
  if (!isZero) for (let i = width - 1; i < data.length; i += width) data[i] = 0x80
}

/** Fills `data` with the elements of some ranges from element `from` on; undefined when every byte came. */
export const readRanges = (
  fd: number,
  { path, begin, dtype, selection }: Ranges,
  from: number,
  data: Uint8Array,
  io?: PositionalIo,
): Diagnostic | undefined => {
  if (selection === undefined) return readFully(fd, path, data, begin + bytesFor(from, dtype), io)
  const width = DTYPES[dtype].bits / 8
  let problem: Diagnostic | undefined
  let filled = 0
  /** Ranges that are read in one call: pairs of where they lie in the file and how long they are. */
  let batch: number[] = []
  const flush = (): void => {
    const [start, length] = [batch[0]!, batch.at(-2)! + batch.at(-1)! - batch[0]!]
    const one = batch.length === 2
    const bytes = one ? data.subarray(filled, filled + length) : new Uint8Array(length)
    problem ??= readFully(fd, path, bytes, start, io)
    for (let i = 0; i < batch.length; i += 2) {
      const [position, count] = [batch[i]!, batch[i + 1]!]
      if (!one) data.set(bytes.subarray(position - start, position - start + count), filled)
      filled += count
    }
    batch = []
  }
  forEachRange(selection, from, from + data.length / width, (first, count) => {
    if (first < 0) {
      if (batch.length > 0) flush()
      fillUnstored(data.subarray(filled, filled + count * width), width, first === ZERO_ROW)
      filled += count * width
      return
    }
    const [position, length] = [begin + first * width, count * width]
    const end = batch.length === 0 ? position : batch.at(-2)! + batch.at(-1)!
    if (batch.length > 0 && (position < end || position - end > GAP || position + length - batch[0]! > SPAN)) flush()
    batch.push(position, length)
  })
  if (batch.length > 0) flush()
  return problem
}
