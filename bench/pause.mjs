// `npm run build && node bench/pause.mjs linear|ties [TENSORS [WORKERS]]`: builds a model of many tensors with workers
// that answer at once, and
// prints the longest time in which the main thread let nothing else have its turn. On a busy machine others take part
// of that time: the
// processor time of the busiest turn says what it is on one that does nothing else.
import { mkdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from '../dist/run/build.js'
import { openStore } from '../dist/store/store.js'
import { closePlace, openPlace } from './place.mjs'
import { pretendedWorker } from './pretended.mjs'
import { manyTensors } from './sizes.mjs'

const [, , kind = 'linear', tensors = '10000', workers = '16'] = process.argv
const folder = openPlace(tmpdir(), 100e6, 1e9)
const work = join(folder, 'work')
mkdirSync(work)
const recipe = join(work, 'recipe.yaml')
writeFileSync(recipe, manyTensors(folder, Number(tensors), kind))

let busiest = 0
let going = true
let before = process.cpuUsage()
const turn = () => {
  const { user, system } = process.cpuUsage(before)
  busiest = Math.max(busiest, (user + system) / 1e6)
  before = process.cpuUsage()
  if (going) setImmediate(turn)
}
setImmediate(turn)

let last
const built = await build(recipe, {
  workers: Number(workers),
  start: pretendedWorker,
  listener: (event) => {
    last = event
  },
  store: openStore(join(work, 'cache')),
})
going = false
closePlace(folder)
if (built.type === 'failed') throw new Error(built.diagnostics.map((d) => d.message).join('\n'))
process.stdout.write(
  `${kind}, ${tensors} tensors, ${workers} workers: longest pause ${last.longestPause.toFixed(3)} s, busiest turn ${busiest.toFixed(3)} s of the processor\n`,
)
