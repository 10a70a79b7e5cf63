import type { Speed } from '../store/speed.js'
import type { Totals } from './plan.js'

/** The speed of a machine that has not built anything yet: medians of the builds of `npm run bench` on two cores. */
export const TYPICAL_SPEED: Speed = { read: 0.4e-9, write: 0.6e-9, compute: 0.15e-9 }

/** Seconds until the workers run: loading ONNX Runtime and starting threads. */
const START = 0.4

/** Seconds that the main thread takes for a tensor, whatever its size (`node bench/scaling.mjs`). */
const PER_TENSOR = 0.3e-3

/** Seconds of worker time below which a build says nothing about speed: starting up outweighs the work. */
const LEAST_SECONDS = 1
/**
 * Bytes or operations below which a build says nothing about what one takes: what it spent is something else, such as
 * small matrices that are solved.
 */
const LEAST_UNITS = 1e7
/** The weight of the last build's measurement in the running average. */
const LATEST_WEIGHT = 0.5

/** Seconds that the work of a plan takes, with this many workers at this speed. */
export const estimateSeconds = (
  { readBytes, digestBytes, writeBytes, operations, computed, copied }: Totals,
  workers: number,
  speed: Speed = TYPICAL_SPEED,
): number => {
  const work = speed.read * (readBytes + digestBytes) + speed.write * writeBytes + speed.compute * operations
  return work / workers + (computed + copied > 0 ? START + PER_TENSOR * (computed + copied) : 0)
}

/**
 * The speed after a build whose workers spent so many seconds on reading, writing and computing what was planned;
 * unchanged by one too short to tell.
 */
export const correctSpeed = (
  before: Speed | undefined,
  { readBytes, digestBytes, writeBytes, operations }: Totals,
  seconds: Speed,
): Speed | undefined => {
  if (seconds.read + seconds.write + seconds.compute < LEAST_SECONDS) return before
  const known = before ?? TYPICAL_SPEED
  const blend = (old: number, spent: number, units: number): number =>
    units < LEAST_UNITS ? old : old + (before === undefined ? 1 : LATEST_WEIGHT) * (spent / units - old)
  return {
    read: blend(known.read, seconds.read, readBytes + digestBytes),
    write: blend(known.write, seconds.write, writeBytes),
    compute: blend(known.compute, seconds.compute, operations),
  }
}
