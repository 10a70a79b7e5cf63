// Workers that answer at once, without threads, programs or data: what is left is what the main thread does for each
// unit.
import { toPairs } from '../dist/kernels/reference.js'
import { noTime } from '../dist/run/stopwatch.js'

/** Magnitudes that every unit is said to hold: all in one bin, so that they are always where they are expected. */
const MAGNITUDES = Float32Array.of(1, 1.001, 1.002, 1.003)
const BITS = [...new Uint32Array(MAGNITUDES.buffer)]

const count = (bins) => {
  const dense = new Uint32Array(65536)
  for (const bin of bins) dense[bin] += 1
  return toPairs(dense)
}
const HIGH = count(BITS.map((bits) => bits >>> 15))
/** By bin: counting anew for each unit would be most of what is measured. */
const LOW = new Map(
  BITS.map((bits) => [
    bits >>> 15,
    count(BITS.filter((other) => other >>> 15 === bits >>> 15).map((other) => other & 0x7fff)),
  ]),
)

const BASE = (BITS[0] >>> 15) - 3
const RANGE = {
  type: 'range',
  base: BASE,
  below: 0,
  pairs: Uint32Array.from(BITS.flatMap((bits) => [bits - BASE * 32768, 1])),
  finite: true,
}

const find = (take) => {
  switch (take.stage) {
    case 'high':
      return take.near === undefined ? { type: 'all', high: HIGH, low: undefined } : RANGE
    case 'low':
      return LOW.get(take.bin)
    case 'locate':
      return 0
    default:
      return 1
  }
}

const DIGEST = new Uint8Array(32).fill(1)

const resultOf = (unit) => ({
  id: unit.id,
  found: unit.type === 'compute' ? unit.takes.map(find) : [],
  readDigests: unit.reads.map((r) => (r.digest ? DIGEST : undefined)),
  writeDigests: unit.writes.map(() => DIGEST),
  bytesRead: 0,
  bytesWritten: 0,
  spent: noTime(),
})

/**
 * A worker for `build({ start })` whose answer is there in the next turn of the event loop, as if it had had nothing to
 * compute.
 */
export const pretendedWorker = () => {
  const answers = []
  const exits = []
  return {
    onAnswer: (listener) => void answers.push(listener),
    onExit: (listener) => void exits.push(listener),
    send: (task) =>
      setImmediate(() => {
        if (task === undefined) for (const listener of exits) listener(undefined)
        else for (const listener of answers) listener({ type: 'done', results: task.map(resultOf) })
      }),
  }
}
