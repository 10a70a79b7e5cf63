import type { Family, Shell } from './family.js'

/**
 * The shell of every block of the stack. Where the field has not fixed them, block i of n at x = i/(n−1) lies at depth
 * 1 − |2x − 1|,
 * and a third of that range is a shell; a block on a boundary goes inward.
 * For a network that is not U-shaped this is a definition of smelt's own.
 */
export const shellsOf = (blocks: readonly string[], fixed: Family['shells']): ReadonlyMap<string, Shell> => {
  const stack = blocks.filter((block) => block === 'mid' || /\.\d+$/.test(block))
  if (fixed === undefined) return new Map(stack.map((block, index) => [block, shellAt(index, stack.length)]))
  const shells = Object.entries(fixed) as [Shell, readonly string[]][]
  return new Map(
    shells.flatMap(([shell, members]) => members.filter((m) => stack.includes(m)).map((m) => [m, shell] as const)),
  )
}

// In whole numbers, so that thirds are exact: three times the depth against the length of the stack.
const shellAt = (index: number, count: number): Shell => {
  const last = count - 1
  const depth = 3 * (last - Math.abs(2 * index - last))
  return depth < last ? 'exterior' : depth < 2 * last ? 'interior' : 'core'
}
