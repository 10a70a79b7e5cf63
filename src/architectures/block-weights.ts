import { noBlockWeightList, wrongBlockWeightCount } from '../base/catalogue/architectures.js'
import type { Place } from '../base/diagnostic.js'
import { failed, ok, type Result } from '../base/result.js'
import type { Architecture } from './detect.js'

/**
 * The block of every position of a list of `count` block weights: 26, 20, 21 or 61 by architecture. It may name blocks
 * that a file lacks.
 */
export const blockWeightOrder = (architecture: Architecture, count: number, at?: Place): Result<readonly string[]> => {
  const order = architecture.mbw.find((blocks) => blocks.length === count)
  if (order !== undefined) return ok(order)
  if (architecture.mbw.length === 0) return failed(noBlockWeightList(architecture.title, at))
  return failed(
    wrongBlockWeightCount(
      architecture.title,
      count,
      architecture.mbw.map((blocks) => blocks.length),
      at,
    ),
  )
}

/**
 * The numbers of a list or preset by block, with the blocks that it has no position for: they take the number of
 * another.
 */
export const withFollowers = (
  { followers }: Architecture,
  numbers: ReadonlyMap<string, number>,
): ReadonlyMap<string, number> => {
  const led = [...followers].flatMap(([block, leader]) => {
    const number = numbers.get(leader)
    return number === undefined || numbers.has(block) ? [] : [[block, number] as const]
  })
  return new Map([...numbers, ...led])
}
