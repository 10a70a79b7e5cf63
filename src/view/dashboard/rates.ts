/** Bytes read and written in all by a moment, in ms. */
export interface Sample {
  readonly at: number
  readonly read: number
  readonly written: number
}

/** Samples stand at least so far apart, in ms, except the last; so many are kept. */
const APART = 250
const MOST = 600

/**
 * Adds a sample in its place and thins close ones, so that their number does not depend on how often a run tells.
 * True where it stands beside those before, false where it took the place of the last.
 */
export const addSample = (samples: Sample[], sample: Sample): boolean => {
  const before = samples.at(-2)
  const close = before !== undefined && sample.at - before.at < 2 * APART
  if (close) samples[samples.length - 1] = sample
  else samples.push(sample)
  if (samples.length > MOST) samples.shift()
  return !close
}

/**
 * What was done by a moment, on the straight line between the samples around it; before the first and after the last,
 * theirs.
 */
export const doneBy = (samples: readonly Sample[], at: number): Omit<Sample, 'at'> => {
  const after = samples.findIndex((s) => s.at >= at)
  if (after === -1) return samples.at(-1) ?? { read: 0, written: 0 }
  const [x, y] = [samples[after - 1], samples[after]!]
  if (x === undefined) return y
  const share = (at - x.at) / (y.at - x.at)
  return { read: x.read + share * (y.read - x.read), written: x.written + share * (y.written - x.written) }
}

/** Bytes a second. */
export interface Rate {
  readonly read: number
  readonly written: number
}

/**
 * The rate over the `window` ms before `now`, or since the first sample; undefined while that is less than half a
 * second.
 */
export const rateOver = (samples: readonly Sample[], now: number, window: number): Rate | undefined => {
  const first = samples[0]
  if (first === undefined || now - first.at < 500) return undefined
  const from = Math.max(first.at, now - window)
  const [x, y] = [doneBy(samples, from), doneBy(samples, now)]
  const seconds = (now - from) / 1000
  return { read: (y.read - x.read) / seconds, written: (y.written - x.written) / seconds }
}

/**
 * Rates over `count` stretches of `width` ms each, the last of which ends at `now`; undefined before the first sample.
 */
export const history = (
  samples: readonly Sample[],
  now: number,
  count: number,
  width: number,
): readonly (Rate | undefined)[] => {
  const first = samples[0]?.at ?? Infinity
  return Array.from({ length: count }, (_, i) => {
    const to = now - (count - 1 - i) * width
    if (to - width < first) return undefined
    const [x, y] = [doneBy(samples, to - width), doneBy(samples, to)]
    return { read: ((y.read - x.read) / width) * 1000, written: ((y.written - x.written) / width) * 1000 }
  })
}
