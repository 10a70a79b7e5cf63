// `npm run build && node bench/scaling.mjs [linear|ties [WORKERS [ARCHITECTURE]]]`: what does not get faster with more workers. Workers that
// answer at once leave what the main thread does; real ones, up to WORKERS, tell how the build gets faster as they get more. With 0 there are
// none, and nothing is written.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from '../dist/run/build.js'
import { readTable, writeSparse, bytesOf } from './checkpoint.mjs'
import { closePlace, memoryFolder, openPlace } from './place.mjs'
import { pretendedThread } from './pretended.mjs'
import { MERGES } from './recipes.mjs'
import { placeRecipe } from './smelt.mjs'

const [, , kind = 'linear', most = '8', architecture = 'sd15'] = process.argv
const merge = MERGES.find(({ name }) => name === kind)
const table = readTable(architecture)
const elements = bytesOf(table) / 2
/** Workers that answer at once. */
const PRETENDED = 16
const folder = openPlace(memoryFolder(), Number(most) === 0 ? 100e6 : bytesOf(table) + 100e6, 1e9)
for (const [i, model] of merge.reads.entries()) writeSparse(join(folder, `${model}.safetensors`), table, i)

/** Seconds of processor time of the main thread alone where the system tells, else of the whole process. */
const ownTime = () => {
  const file = `/proc/self/task/${process.pid}/schedstat`
  if (existsSync(file)) return Number(readFileSync(file, 'utf8').split(' ')[0]) / 1e9
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

/** Builds once; gives seconds of the main thread, of all threads, and by the clock from the first unit on, and how many messages workers sent. */
const measure = async (options) => {
  const work = join(folder, 'work')
  const recipe = placeRecipe(work, merge.write(folder))
  let messages = 0
  let began
  const built = await build(recipe, {
    ...options,
    lock: false,
    listener: (event) => {
      if (event.type === 'work-planned') began = { wall: performance.now(), own: ownTime(), cpu: process.cpuUsage() }
      if (event.type === 'units-finished') messages += 1
    },
  })
  if (built.type === 'failed') throw new Error(built.diagnostics[0].message)
  const { user, system } = process.cpuUsage(began.cpu)
  const own = ownTime() - began.own
  closePlace(work)
  return { own, processor: (user + system) / 1e6, wall: (performance.now() - began.wall) / 1000, messages }
}

try {
  const main = await measure({ workers: PRETENDED, start: pretendedThread })
  console.log(
    `main thread: ${main.own.toFixed(2)} s of processor for ${main.messages} messages, ${((main.own * 1e9) / elements).toFixed(2)} ns an element`,
  )
  if (Number(most) > 0)
    console.log('| workers | seconds | processor seconds | messages a second |\n| ---: | ---: | ---: | ---: |')
  for (let workers = 1; workers <= Number(most); workers *= 2) {
    const { wall, processor, messages } = await measure({ workers })
    console.log(`| ${workers} | ${wall.toFixed(2)} | ${processor.toFixed(2)} | ${(messages / wall).toFixed(0)} |`)
    if (workers === 1)
      console.log(
        `At ${PRETENDED} workers, each as fast as this one, the main thread is busy ${((100 * PRETENDED * main.own) / wall).toFixed(1)} % of the time.`,
      )
  }
} finally {
  closePlace(folder)
}
