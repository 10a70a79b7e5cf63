// `node hold-memory.mjs LIBCUDART DEVICE`: for each number on a line of its input it takes the device's memory with
// plain allocations until so many bytes are free, and says what it holds; it lets go when its input ends.
import { createInterface } from 'node:readline'
import { openRuntime } from './cudart.mjs'

const LARGEST = 2 ** 30
const SMALLEST = 2 ** 21

const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`)

const take = (runtime, left) => {
  let taken = 0
  for (let piece = LARGEST; piece >= SMALLEST;) {
    // The device's own count is asked each time, since others may take and give back meanwhile.
    if (runtime.memory().free - piece < left) {
      piece /= 2
      continue
    }
    try {
      runtime.allocate(piece)
      taken += piece
    } catch {
      piece /= 2
    }
  }
  return taken
}

try {
  const runtime = openRuntime(process.argv[2], Number(process.argv[3]))
  let held = 0
  for await (const line of createInterface({ input: process.stdin })) {
    held += take(runtime, Number(line))
    say({ held, free: runtime.memory().free })
  }
  process.exit(0)
} catch (error) {
  say({ problem: error.message })
  process.exit(1)
}
