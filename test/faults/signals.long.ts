import { describe, expect } from 'vitest'
import { makeRandom } from '../safetensors/files.js'
import { isAllowed, recover } from './kill.js'
import { fault, once, times } from './machine.js'
import { makeScene, type Scene } from './scene.js'
import { createTally } from './tally.js'

const sceneOf = once(makeScene)

/** The longest a stop may take to be answered, in milliseconds. */
const ANSWER = 5000

/** Stops builds at random moments: once, or twice in a row. */
const stopLoop = async (
  scene: Scene,
  signal: 'SIGINT' | 'SIGTERM',
  code: number,
  twice: boolean,
  tries: number,
  seed: number,
): Promise<readonly string[]> => {
  const random = makeRandom(seed)
  const tally = createTally('F12', `${twice ? 'two ' : ''}${signal} at a random moment`)
  const stage = scene.stage()
  const wrong: string[] = []
  let slowest = 0
  for (let i = 0; i < tries; i++) {
    const before = i % 2 === 0 ? 'old' : 'none'
    stage.reset(before)
    const [wait, gap] = [random() * 1.1 * scene.runTime, random() * 60]
    let sent: number | undefined
    const ended = await stage.build({
      hear: (event, child) => {
        if (event.type !== 'run-started') return
        setTimeout(() => {
          sent = performance.now()
          child.kill(signal)
          if (twice) setTimeout(() => child.kill(signal), gap)
        }, wait)
      },
    })
    const answered = sent === undefined ? 0 : performance.now() - sent
    const verdict = stage.judge()
    // A second signal, or one after the last moment at which a stop can be heeded, has its default effect.
    const byDefault = ended.code === null && ended.signal === signal
    const stopped = ended.code === code || byDefault
    const tidy = (byDefault && twice) || stage.leftovers().length === 0
    const right = isAllowed(verdict, before, ended, false) && (stopped || ended.code === 0) && answered < ANSWER && tidy
    slowest = Math.max(slowest, answered)
    tally.see(
      ended.code === 0
        ? 'finished first'
        : byDefault
          ? `ended at once and ${verdict}`
          : `exit ${ended.code} and ${verdict}`,
      !right,
    )
    if (!right)
      wrong.push(
        `code ${ended.code} ${ended.signal} after ${Math.round(answered)} ms of ${Math.round(wait)}: ${verdict} ${stage.leftovers().join(' ')} ${ended.stderr}`,
      )
    const problem = i % 10 === 9 ? await recover(stage, before) : undefined
    if (problem !== undefined) wrong.push(`next build: ${problem.verdict} ${problem.ended}`)
  }
  tally.end(`answered within ${Math.ceil(slowest / 10) / 100} s`)
  return wrong
}

describe('F12: a build that is asked to stop ends within five seconds, with the code of the signal, and leaves no temporaries', () => {
  fault('SIGINT', [], async () =>
    expect(await stopLoop(await sceneOf(), 'SIGINT', 130, false, times(1, 100), 12)).toEqual([]),
  )
  fault('SIGTERM', [], async () =>
    expect(await stopLoop(await sceneOf(), 'SIGTERM', 143, false, times(1, 100), 13)).toEqual([]),
  )
  fault('twice SIGINT', [], async () =>
    expect(await stopLoop(await sceneOf(), 'SIGINT', 130, true, times(1, 50), 14)).toEqual([]),
  )
})
