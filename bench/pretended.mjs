// Workers that answer at once, without programs or data: what is left is what the main thread does for each unit.
import { Worker } from 'node:worker_threads'
import { SEGMENT } from '../dist/base/digest.js'
import { noTime } from '../dist/run/stopwatch.js'

/** Bits of magnitudes that every segment is said to hold as many of: all in one bin, so that they are where expected. */
const BITS = [...new Uint32Array(Float32Array.of(1, 1.001, 1.002, 1.003).buffer)]
const BIN = BITS[0] >>> 15
const BASE = BIN - 3

/**
 * Other bins that are not empty, of all magnitudes and of a range of them, so that counts cost what real ones do: in a
 * TIES merge of float16 checkpoints the median is 203 bins of all, and 81 of a range.
 */
const [OTHERS, RANGE_OTHERS] = [202, 76]

/** Pairs of so many bins around one, which have one magnitude each. */
const around = (bin, others, step) =>
  Array.from({ length: others }, (_, i) => [bin + step * (i < others / 2 ? i - others / 2 : i - others / 2 + 1), 1])

/** Pairs of a bin and a count as workers send them. */
const toPairs = (counted) => Uint32Array.from(counted.toSorted(([x], [y]) => x - y).flat())

/** What is found among `n` magnitudes, by stage; made once for all segments of a size, for it is not to be measured. */
const found = new Map()
const foundIn = (n) => {
  if (found.has(n)) return found.get(n)
  const equal = (k) => BITS.map((bits, i) => [bits, Math.floor(k / 4) + (i < k % 4 ? 1 : 0)]).filter(([, m]) => m > 0)
  const [others, rangeOthers] = n > 8 * OTHERS ? [OTHERS, RANGE_OTHERS] : [0, 0]
  const high = toPairs([[BIN, n - others], ...around(BIN, others, 1)])
  const low = (k) => toPairs(equal(k).map(([bits, m]) => [bits & 0x7fff, m]))
  const near = equal(n - rangeOthers).map(([bits, m]) => [bits - BASE * 32768, m])
  const beside = around((BIN - BASE) * 32768 + 1, rangeOthers, 2500)
  const made = {
    all: { type: 'all', high, low: undefined },
    both: { type: 'all', high, low: { bin: BIN, pairs: low(n - others) } },
    range: { type: 'range', base: BASE, below: 0, pairs: toPairs([...near, ...beside]), finite: true },
    low: low(n - others),
  }
  found.set(n, made)
  return made
}

const find = (take, n) => {
  switch (take.stage) {
    case 'high':
      return foundIn(n)[take.near === undefined ? 'all' : n <= 1 << 18 && 'share' in take.near ? 'both' : 'range']
    case 'low':
      return foundIn(n).low
    case 'locate':
      return 0
    default:
      return 1
  }
}

const resultOf = (unit) => {
  const sizes = []
  for (let at = unit.start; at < unit.end; at += SEGMENT) sizes.push(Math.min(SEGMENT, unit.end - at))
  const digests = new Uint8Array(32 * Math.max(1, sizes.length)).fill(1)
  return {
    id: unit.id,
    found: unit.type === 'compute' ? sizes.flatMap((n) => unit.takes.map((take) => find(take, n))) : [],
    readDigests: unit.reads.map((r) => (r.digest ? digests : undefined)),
    writeDigests: unit.writes.map(() => digests),
    bytesRead: 0,
    bytesWritten: 0,
    spent: noTime(),
  }
}

/** The answer to a task. */
export const answer = (task) => ({ type: 'done', results: task.map(resultOf) })

/** A worker for `build({ start })` in this thread, whose answer is there in the next turn of the event loop. */
export const pretendedWorker = () => {
  const answers = []
  const exits = []
  return {
    onAnswer: (listener) => void answers.push(listener),
    onExit: (listener) => void exits.push(listener),
    send: (task) =>
      setImmediate(() => {
        if (task === undefined) for (const listener of exits) listener(undefined)
        else for (const listener of answers) listener(answer(task))
      }),
  }
}

/** The same in a thread of its own, so that the main thread has to send and receive messages too. */
export const pretendedThread = () => {
  const worker = new Worker(new URL('./pretended-thread.mjs', import.meta.url))
  return {
    send: (task) => worker.postMessage(task),
    onAnswer: (listener) => void worker.on('message', listener),
    onExit: (listener) => void worker.on('exit', () => listener(undefined)),
  }
}
