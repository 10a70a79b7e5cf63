// `node bench/pause.mjs RECIPE WORKERS`: builds a recipe with workers that answer at once, and prints the longest time in which the main thread let nothing else have its turn.
import { build } from '../dist/run/build.js'
import { pretendedWorker } from './pretended.mjs'
import { openStore } from '../dist/store/store.js'
import { join, dirname } from 'node:path'

const [, , recipe, workers] = process.argv
let last
/** Seconds of processor time of the busiest turn of the event loop: what the pause would be on a machine that does nothing else. */
let busiest = 0
let [turning, before] = [true, process.cpuUsage()]
const turn = () => {
  const { user, system } = process.cpuUsage(before)
  busiest = Math.max(busiest, (user + system) / 1e6)
  if (process.env.SHOW && (user + system) > 2e5) console.error('turn', (user + system) / 1e6, performance.now() | 0)
  before = process.cpuUsage()
  if (turning) setImmediate(turn)
}
setImmediate(turn)
const built = await build(recipe, {
  workers: Number(workers), start: pretendedWorker, listener: (event) => { last = event }, store: openStore(join(dirname(recipe), 'pause-cache')),
})
turning = false
if (built.type === 'failed') throw new Error(JSON.stringify(built.diagnostics[0]))
process.stdout.write(`${JSON.stringify({ busiest, pause: last.longestPause, seconds: last.seconds })}\n`)
