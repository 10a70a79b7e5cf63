import { execFileSync } from 'node:child_process'
import { utimesSync } from 'node:fs'
import { join } from 'node:path'
import { makeRandom } from '../safetensors/files.js'
import type { Image } from './image.js'
import { isAllowed, recover, type Before, type Wrong } from './kill.js'
import type { Scene, Stage } from './scene.js'
import { createTally } from './tally.js'

/** When the power goes: at a random moment of the run, or as soon as the command is done. */
export type Moment = 'random' | 'end'

/** How to cut the power. */
export interface Cutting {
  readonly fault: string
  readonly what: string
  readonly moments: readonly Moment[]
  readonly seed: number
  readonly sharded: boolean
  readonly main?: string
  /** What stands there before each build; drawn unless given. */
  readonly before?: Before
}

/** Lets time pass, as it does while a machine starts again: what was in the making is older than a moment. */
const age = (stage: Stage): void => {
  const then = Date.now() / 1000 - 60
  for (const name of stage.leftovers()) utimesSync(join(stage.folder, name), then, then)
}

/**
 * Cuts the power of builds and looks at what the disk holds after a restart; gives every state that must not be seen.
 */
export const cutLoop = async (
  scene: Scene,
  image: Image,
  { fault, what, moments, seed, sharded, main, before: fixed }: Cutting,
): Promise<readonly Wrong[]> => {
  const random = makeRandom(seed)
  const tally = createTally(fault, what)
  const wrong: Wrong[] = []
  const stage = scene.stage(image.folder)
  for (const [i, moment] of moments.entries()) {
    const before = fixed ?? (random() < 0.5 ? 'old' : 'none')
    stage.reset(before, { lock: random() < 0.5 })
    execFileSync('sync', ['--file-system', image.folder])
    const wait = random() * 1.15 * scene.runTime
    let cut = false
    const cutOnce = (): void => {
      if (cut) return
      cut = true
      image.cutPower()
    }
    let timer: NodeJS.Timeout | undefined
    const ended = await stage.build({
      ...(main === undefined ? {} : { main }),
      hear: ({ type, exit }) => {
        // Whoever reads that it is done may rely on it from then on.
        if (type === 'command-ended' && exit === 0 && moment === 'end') cutOnce()
        if (type === 'run-started' && moment === 'random') timer = setTimeout(cutOnce, wait)
      },
    })
    clearTimeout(timer)
    cutOnce()
    image.restart()
    const verdict = stage.judge()
    const allowed = isAllowed(verdict, before, ended, sharded) && ended.code !== 70 && !ended.hung
    tally.see(ended.code === 0 ? `done and ${verdict}` : verdict, !allowed)
    if (!allowed)
      wrong.push({
        before,
        verdict,
        ended: `code ${ended.code} ${ended.stderr.slice(-300)} ${stage.files().join(' ')}`,
      })
    // What a dead build left is carried on with, as far as the disk kept it.
    if (main !== undefined || i % 3 !== 1) continue
    age(stage)
    const problem = await recover(stage, before)
    if (problem !== undefined) wrong.push(problem)
  }
  if (main === undefined) tally.end()
  return wrong
}
