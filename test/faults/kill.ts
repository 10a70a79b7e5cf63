import type { ChildProcess } from 'node:child_process'
import { makeRandom } from '../safetensors/files.js'
import type { Ended, Start } from './command.js'
import { isWrong, type Verdict } from './judge.js'
import type { Scene, Stage } from './scene.js'
import { createTally } from './tally.js'

/** What stood there before a build. */
export type Before = 'old' | 'none'

/**
 * Whether a state may be seen after a build that began with `before` and ended somehow. A reader finds what was there
 * or what was to be; of shards it
 * may also find none that an index names, since several files cannot change at once. A build that says it is done must
 * have left all of it.
 */
export const isAllowed = (verdict: Verdict, before: Before, ended: Pick<Ended, 'code'>, sharded: boolean): boolean => {
  if (isWrong(verdict)) return false
  if (ended.code === 0) return verdict === 'new'
  return verdict === 'new' || verdict === 'unlocked' || verdict === before || (sharded && verdict === 'none')
}

/** Does something at a random moment of a run: mostly after its first event, and one time in ten before it. */
export const atRandom = (
  scene: Scene,
  random: () => number,
  act: (child: ChildProcess) => void,
): Pick<Start, 'hear' | 'started'> => {
  const early = random() < 0.1
  const wait = random() * (early ? 500 : 1.1 * scene.runTime)
  const later = (child: ChildProcess): void => {
    const timer = setTimeout(() => act(child), wait)
    child.on('exit', () => clearTimeout(timer))
  }
  if (early) return { started: later }
  return {
    hear: (event, child) => {
      if (event.type === 'run-started') later(child)
    },
  }
}

/** One try in words, for tests to show when it went wrong. */
export interface Wrong {
  readonly before: Before
  readonly verdict: Verdict | 'unfinished' | 'litter'
  readonly ended: string
}

/** How to kill. */
export interface Killing {
  readonly fault: string
  readonly what: string
  readonly kills: number
  readonly seed: number
  readonly sharded: boolean
  readonly signals?: readonly NodeJS.Signals[]
  readonly main?: string
}

const describe = ({ code, signal, stderr, stdout }: Ended): string =>
  `code ${code}, signal ${signal}, ${stderr.slice(-400)} ${code === 0 ? '' : stdout.slice(-400)}`

/** Builds once more without disturbance, which must end with the golden files and nothing else. */
export const recover = async (stage: Stage, before: Before): Promise<Wrong | undefined> => {
  const ended = await stage.build()
  const verdict = stage.judge()
  if (ended.code !== 0 || verdict !== 'new')
    return { before, verdict: isWrong(verdict) ? verdict : 'unfinished', ended: describe(ended) }
  const left = stage.leftovers()
  return left.length === 0 ? undefined : { before, verdict: 'litter', ended: left.join(' ') }
}

/**
 * Kills builds at random moments, one to three times in a row, then lets one finish; gives every state that must not be
 * seen.
 */
export const killLoop = async (
  scene: Scene,
  { fault, what, kills, seed, sharded, signals = ['SIGKILL'], main }: Killing,
): Promise<readonly Wrong[]> => {
  const random = makeRandom(seed)
  const tally = createTally(fault, what)
  const recovery = createTally(fault, `${what}: the next build`)
  const wrong: Wrong[] = []
  const stage = scene.stage()
  for (let done = 0; done < kills;) {
    const before = random() < 0.6 ? 'old' : 'none'
    stage.reset(before, { lock: random() < 0.5 })
    for (let row = 1 + Math.floor(random() * 3); row > 0 && done < kills; row--) {
      const signal = signals[Math.floor(random() * signals.length)]!
      const ended = await stage.build({
        ...atRandom(scene, random, (child) => child.kill(signal)),
        ...(main === undefined ? {} : { main }),
      })
      const verdict = stage.judge()
      const allowed = isAllowed(verdict, before, ended, sharded)
      tally.see(ended.code === 0 ? 'finished' : verdict, !allowed)
      if (!allowed) wrong.push({ before, verdict, ended: describe(ended) })
      done += 1
      if (ended.code === 0 || verdict === 'new' || verdict === 'unlocked') break
    }
    if (main !== undefined) continue
    const problem = await recover(stage, before)
    recovery.see(problem?.verdict ?? 'golden', problem !== undefined)
    if (problem !== undefined) wrong.push(problem)
  }
  // Of a spoilt program only whether it is caught counts.
  if (main === undefined) for (const counted of [tally, recovery]) counted.end()
  return wrong
}
