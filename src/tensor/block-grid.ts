/**
 * A tensor cut into blocks: `blocks` gives the length of a block along each axis of `shape`, outermost first; the last
 * block of an axis may be shorter.
 */
export interface BlockGrid {
  readonly shape: readonly number[]
  readonly blocks: readonly number[]
}

/** Blocks of everything that belongs to one index of the first axis: rows, or the filters of a convolution. */
export const rowsOf = (shape: readonly number[]): BlockGrid => ({
  shape,
  blocks: shape.map((length, axis) => (axis === 0 ? 1 : length)),
})

/** Blocks of everything that belongs to one index of the second axis: columns, or the inputs of a convolution. */
export const columnsOf = (shape: readonly number[]): BlockGrid => ({
  shape,
  blocks: shape.map((length, axis) => (axis === 1 ? 1 : length)),
})

/** Blocks of the elements that differ in the index of the first axis alone. */
export const fibersOf = (shape: readonly number[]): BlockGrid => ({
  shape,
  blocks: shape.map((length, axis) => (axis === 0 ? length : 1)),
})

/** Adjacent elements of one block: `length` of them, the first at `offset` within the requested range. */
export type VisitRun = (offset: number, length: number, block: number) => void

/**
 * The same grid with as few axes as possible: an axis that blocks span completely is merged with the axis before it.
 */
export const foldAxes = ({ shape, blocks }: BlockGrid): BlockGrid => {
  const folded: { length: number; block: number }[] = []
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const inner = folded[0]
    const [length, block] = [shape[axis]!, Math.min(blocks[axis]!, shape[axis]!)]
    if (inner !== undefined && inner.block === inner.length)
      folded[0] = { length: length * inner.length, block: block * inner.length }
    else folded.unshift({ length, block })
  }
  return folded.length === 0
    ? { shape: [1], blocks: [1] }
    : { shape: folded.map((a) => a.length), blocks: folded.map((a) => a.block) }
}

/**
 * The grid as blocks that follow each other in turn: element `i` lies in block `⌊i / run⌋ mod count`. Rows, columns,
 * and everything else whose blocks span an axis whole or not at all, in one place of the shape.
 */
export interface Turns {
  /** Adjacent elements of one block. */
  readonly run: number
  readonly count: number
}

/** Undefined for grids whose blocks do not simply follow each other. */
export const turnsOf = ({ shape, blocks }: BlockGrid): Turns | undefined => {
  const isWhole = (axis: number): boolean => blocks[axis]! >= shape[axis]!
  const cut = shape.flatMap((_, axis) => (isWhole(axis) ? [] : [axis]))
  const [first, last] = [cut[0], cut.at(-1)]
  if (first === undefined || last === undefined) return { run: sizeOfShape(shape), count: 1 }
  // A whole axis between two that are cut makes blocks return before all had their turn.
  const between = shape.some((length, axis) => axis > first && axis < last && length > 1 && isWhole(axis))
  const coarse = cut.some((axis) => axis !== last && blocks[axis] !== 1)
  if (between || coarse || shape[last]! % blocks[last]! !== 0) return undefined
  return {
    run: blocks[last]! * sizeOfShape(shape.slice(last + 1)),
    count: sizeOfShape(shape.slice(first, last + 1)) / blocks[last]!,
  }
}

const sizeOfShape = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1)

const blocksAlong = ({ shape, blocks }: BlockGrid, axis: number): number => Math.ceil(shape[axis]! / blocks[axis]!)

/** How many blocks there are. */
export const blockCount = (grid: BlockGrid): number => grid.shape.reduce((n, _, axis) => n * blocksAlong(grid, axis), 1)

/** The blocks that may hold elements `start` to `end` of the tensor, `end` exclusive, as a range. */
export const blockRange = (
  grid: BlockGrid,
  start: number,
  end: number,
): { readonly first: number; readonly end: number } => {
  const slice = grid.shape.slice(1).reduce((n, d) => n * d, 1)
  const blocks = grid.shape.slice(1).reduce((n, _, i) => n * blocksAlong(grid, i + 1), 1)
  const along = (element: number): number => Math.floor(Math.floor(element / slice) / grid.blocks[0]!)
  return { first: along(start) * blocks, end: (along(end - 1) + 1) * blocks }
}

/** Walks elements `start` to `start + n` of the tensor in order, in runs that lie in one block each. */
export const visitRuns = (grid: BlockGrid, start: number, n: number, visit: VisitRun): void => {
  const last = grid.shape.length - 1
  const [width, step, across] = [grid.shape[last]!, grid.blocks[last]!, blocksAlong(grid, last)]
  for (let at = 0; at < n;) {
    const row = Math.floor((start + at) / width)
    let column = start + at - row * width
    const base = rowOfBlocks(grid, row) * across
    const end = Math.min(n, at + width - column)
    while (at < end) {
      const block = Math.floor(column / step)
      const length = Math.min(end - at, (block + 1) * step - column)
      visit(at, length, base + block)
      at += length
      column += length
    }
  }
}

/** The number of a row along the last axis, in blocks of all axes before it. */
const rowOfBlocks = (grid: BlockGrid, row: number): number => {
  let [left, place, found] = [row, 1, 0]
  for (let axis = grid.shape.length - 2; axis >= 0; axis--) {
    const length = grid.shape[axis]!
    found += Math.floor((left % length) / grid.blocks[axis]!) * place
    left = Math.floor(left / length)
    place *= blocksAlong(grid, axis)
  }
  return found
}
