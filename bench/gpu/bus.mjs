// `node bus.mjs LIBCUDART DEVICE`: how fast bytes come to a device and back. Prints one line of JSON; a process of its
// own, since it holds a context.
import { median } from '../measure.mjs'
import { DOWN, openRuntime, UP } from './cudart.mjs'

/** A page-locked buffer of each of some streams, and how often it is copied in one repetition. */
const BYTES = 64 * 2 ** 20
const STREAMS = 4
const COPIES = 8
const REPETITIONS = 5

const fill = (view, seed) => {
  const words = new Uint32Array(view.buffer, view.byteOffset, view.byteLength >> 2)
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(i ^ seed, 0x9e3779b1)
}

const measure = (libcudart, device) => {
  const runtime = openRuntime(libcudart, device)
  const lanes = Array.from({ length: STREAMS }, (_, i) => {
    const [up, down] = [runtime.allocateLocked(BYTES), runtime.allocateLocked(BYTES)]
    fill(up.view, i + 1)
    return { up, down, there: runtime.allocate(BYTES), here: runtime.allocate(BYTES), stream: runtime.createStream() }
  })
  const waitAll = () => lanes.forEach(({ stream }) => runtime.wait(stream))
  const send = ({ up, there, stream }) => runtime.copyLater(there, up.at, BYTES, UP, stream)
  const fetch = ({ down, there, stream }) => runtime.copyLater(down.at, there, BYTES, DOWN, stream)

  // What comes back must be what was sent, or nothing that is measured below means anything.
  lanes.forEach(send)
  waitAll()
  lanes.forEach(fetch)
  waitAll()
  const intact = lanes.every(({ up, down }) => Buffer.compare(up.view, down.view) === 0)

  const rate = (bytes, work) => {
    const rates = Array.from({ length: REPETITIONS + 1 }, () => {
      const began = performance.now()
      work()
      waitAll()
      return bytes / ((performance.now() - began) / 1000)
    }).slice(1)
    return { bytesPerSecond: median(rates), least: Math.min(...rates), most: Math.max(...rates) }
  }
  const times = (work) => () => {
    for (let i = 0; i < COPIES; i++) work()
  }
  const all = BYTES * COPIES * STREAMS
  const [pageable, back] = [Buffer.alloc(BYTES, 1), Buffer.alloc(BYTES, 2)]
  const [{ there, here }] = lanes
  return {
    intact,
    buffers: { bytes: BYTES, streams: STREAMS, copies: COPIES, repetitions: REPETITIONS },
    up: rate(
      all,
      times(() => lanes.forEach(send)),
    ),
    down: rate(
      all,
      times(() => lanes.forEach(fetch)),
    ),
    // Half of the streams in each direction; bytes of both directions together.
    both: rate(
      all,
      times(() => lanes.forEach((lane, i) => (i % 2 === 0 ? send(lane) : fetch(lane)))),
    ),
    pageableUp: rate(
      BYTES * COPIES,
      times(() => runtime.copy(here, pageable, BYTES, UP)),
    ),
    pageableDown: rate(
      BYTES * COPIES,
      times(() => runtime.copy(back, there, BYTES, DOWN)),
    ),
    memory: runtime.memory(),
  }
}

try {
  process.stdout.write(`${JSON.stringify(measure(process.argv[2], Number(process.argv[3] ?? 0)))}\n`)
} catch (error) {
  process.stdout.write(`${JSON.stringify({ problem: error.message })}\n`)
  process.exitCode = 1
}
