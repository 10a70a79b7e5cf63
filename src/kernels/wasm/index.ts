export { bernoulli, gaussian, partition, randomBits, uniform } from './random'
export { histogramHigh, histogramLow, histogramRange, takePairs } from './histogram'
export { dot, sum, sumAbs, sumMask } from './sums'
export { dotTurns, peakTurns, sumTurns } from './turns'
export { firstMasked16, firstMasked32, firstMasked64, firstMasked8 } from './checks'
export { areExact, exactRows, lowRankRows } from './product'
export { importanceOfRows } from './divergence'
export { greatest, least } from './extremes'
export { multiply, solveStrip } from './matrix'
export { rankRows, ranksRoom } from './ranks'
export { rotate } from './rotations'
export { countOrdered, putRanked } from './order'
export { fourierStep, multiplyLines } from './fourier'
export {
  filterLines,
  interleave,
  joinLines,
  realBy3,
  realFrom3,
  separate,
  splitLines,
} from './lines'
export { packBits, unpackBits } from './bits'
export { decodeBF16, encodeBF16 } from './bf16'
export { decodeF16 } from './f16'
export { decodeF8E4M3, decodeF8E5M2, encodeF8E4M3, encodeF8E5M2 } from './f8'

/** The first byte that belongs to the host; everything below is the module's own scratch. */
export const heapBase: usize = __heap_base
