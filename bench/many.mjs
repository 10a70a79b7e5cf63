// `npm run build && node bench/many.mjs [many|chain]`: time and memory of planning and building 100,000 tensors, and of
// planning a chain of 5,000 steps.
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { measure } from './measure.mjs'
import { closePlace, openPlace } from './place.mjs'
import { longChain, manyTensors } from './sizes.mjs'
import { buildCommand, cleanEnvironment, placeRecipe, PROGRAM } from './smelt.mjs'

const only = process.argv[2]
const folder = openPlace(tmpdir(), 200e6)
const CASES = [
  [
    'chain',
    'a chain of 5,000 steps is planned',
    longChain(folder, 5000),
    (path) => [process.execPath, PROGRAM, 'plan', path],
  ],
  [
    'many',
    '100,000 tensors in 100 shards are planned',
    manyTensors(folder, 100_000, 'linear'),
    (path) => [process.execPath, PROGRAM, 'plan', path],
  ],
  [
    'many',
    '100,000 tensors in 100 shards are merged',
    manyTensors(folder, 100_000, 'linear'),
    (path) => buildCommand(PROGRAM, path),
  ],
]
for (const [name, title, recipe, command] of CASES) {
  if (only !== undefined && only !== name) continue
  const work = join(folder, 'work')
  const path = placeRecipe(work, recipe)
  const { seconds, processor, megabytes } = await measure(command(path), { folder: work, env: cleanEnvironment(work) })
  process.stdout.write(
    `${title}: ${seconds.toFixed(1)} s, ${processor?.toFixed(1)} s of the processor, ${megabytes?.toFixed(0)} MB\n`,
  )
}
closePlace(folder)
