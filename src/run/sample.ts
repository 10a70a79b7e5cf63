import type { Diagnostic } from '../base/diagnostic.js'
import { HIGH_BINS } from '../kernels/selection.js'
import { MOST_LOOKED_AT, type Chunks } from './chunks.js'
import { baseOf, binAt, type Accumulator } from './reductions.js'
import type { ComputeOrder } from './unit.js'
import type { Workspace } from './workspace.js'

/** Elements of one place that is looked at, and the places of a tensor, and of one of more than two segments. */
const [LENGTH, PLACES, MORE_PLACES] = [MOST_LOOKED_AT, 16, 32]

/** Where a sample of a tensor is looked at: evenly over all of it, so that no part of it is left out. */
export const samplePlaces = (first: number, end: number): readonly number[] => {
  const blocks = Math.floor((end - first) / LENGTH)
  const count = Math.min(blocks, end - first > 1 << 21 ? MORE_PLACES : PLACES)
  return Array.from({ length: count }, (_, i) => first + LENGTH * Math.floor((i * blocks) / count))
}

/**
 * Finds out from a sample where the magnitudes that a unit's measures ask for will be. What it finds can only cost
 * time: an answer that is not there is looked for everywhere.
 */
export const expectBySample = async (
  { kernels, engine, reserve }: Workspace,
  unit: ComputeOrder,
  chunks: Chunks,
  accumulators: readonly Accumulator[],
): Promise<Diagnostic | undefined> => {
  const wanted = unit.takes.flatMap((take, i) =>
    accumulators[i]!.ranged && take.stage === 'high' && take.near !== undefined && 'share' in take.near
      ? [{ port: take.ports[0]!, near: take.near, accumulator: accumulators[i]! }]
      : [],
  )
  if (wanted.length === 0) return undefined
  const counts = wanted.map((_, i) => reserve(`sampled${i}`, 4 * HIGH_BINS))
  for (const offset of counts) kernels.view(Uint32Array, offset, HIGH_BINS).fill(0)
  engine.grown(kernels.view(Uint8Array, 0, 1).buffer)
  // Factors of blocks are at hand for the unit alone.
  const local = unit.draws.some((draw) => draw.type === 'spread')
  const [first, end] = local ? [unit.start, unit.end] : [0, wanted[0]!.near.size]
  let met = 0
  for (const start of samplePlaces(first, end)) {
    const problem = chunks.look(start, LENGTH)
    if (problem !== undefined) return problem
    const length = Math.min(LENGTH, engine.chunk)
    const ran = await chunks.run(start, start, length, chunks.outputs)
    if (ran === 'again') continue
    if (ran !== 'done') return ran
    wanted.forEach(({ port }, i) => kernels.histogramHigh(chunks.outputs[port]!, length, counts[i]!))
    met += length
  }
  if (met > 0)
    wanted.forEach(({ near, accumulator }, i) => {
      accumulator.base = baseOf(binAt(kernels, counts[i]!, near.share, met))
    })
  return undefined
}
