import { describe, expect } from 'vitest'
import { isAllowed, recover, type Wrong } from './kill.js'
import { fault, times, FULL } from './machine.js'
import { makeScene, type Scene } from './scene.js'
import { CALLS, ONE_POOL_THREAD, strace } from './strace.js'
import { createTally } from './tally.js'

/** The numbers of the calls to die at: all up to a count, and beyond it ever wider steps. */
const steps = (dense: number, most: number): readonly number[] => {
  const found: number[] = []
  for (let n = 1; n <= most; n += n < dense ? 1 : Math.ceil(n / 4)) found.push(n)
  return found
}

const CLASSES = [
  { name: 'rename', calls: CALLS.rename, at: steps(20, 20) },
  { name: 'fsync', calls: CALLS.fsync, at: steps(40, 40) },
  { name: 'unlink', calls: CALLS.unlink, at: steps(6, 6) },
  { name: 'mkdir', calls: CALLS.mkdir, at: steps(4, 4) },
  { name: 'ftruncate', calls: CALLS.ftruncate, at: steps(10, 10) },
  { name: 'pwrite', calls: CALLS.pwrite, at: steps(3, 80) },
  { name: 'open', calls: CALLS.open, at: steps(1, 300) },
  { name: 'copy', calls: CALLS.copy, at: steps(2, 40) },
] as const

/** Kills builds at every one of some calls, until one of them has no such call any more. */
const killAtCalls = async (
  scene: Scene,
  sharded: boolean,
  names: readonly string[],
  stride: number,
): Promise<readonly Wrong[]> => {
  const stage = scene.stage()
  const wrong: Wrong[] = []
  for (const { name, calls, at } of CLASSES.filter((c) => names.includes(c.name))) {
    const tally = createTally('F2', `SIGKILL at the n-th ${name}, ${sharded ? 'shards' : 'one file'}`)
    for (const [i, n] of at.entries()) {
      if (i % stride !== 0) continue
      stage.reset('old', { lock: i % 2 === 0 })
      const ended = await stage.build({ env: ONE_POOL_THREAD, wrap: strace(calls, `signal=SIGKILL:when=${n}`) })
      const verdict = stage.judge()
      const allowed = isAllowed(verdict, 'old', ended, sharded)
      tally.see(ended.code === 0 ? 'finished' : verdict, !allowed)
      if (!allowed) wrong.push({ before: 'old', verdict, ended: `killed at ${name} ${n}: ${stage.files().join(' ')}` })
      if (ended.code === 0) break
      const problem = i % 3 === 0 ? await recover(stage, 'old') : undefined
      if (problem !== undefined) wrong.push({ ...problem, ended: `after ${name} ${n}: ${problem.ended}` })
    }
    tally.end()
  }
  return wrong
}

describe('F2: a build that is killed as it makes a certain system call leaves the old output or the new one', () => {
  const all = CLASSES.map((c) => c.name)

  fault('one file', ['linux', 'strace'], async () => {
    const scene = await makeScene()
    expect(await killAtCalls(scene, false, FULL ? all : ['rename'], 1)).toEqual([])
  })

  fault('shards and an index', ['linux', 'strace'], async () => {
    const scene = await makeScene({ sharded: true })
    expect(await killAtCalls(scene, true, FULL ? ['rename', 'fsync', 'unlink'] : ['rename'], times(3, 1))).toEqual([])
  })
})
