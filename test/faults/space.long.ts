import { readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { makeRandom } from '../safetensors/files.js'
import { codesOf, type Ended } from './command.js'
import { makeSmallDisk } from './image.js'
import { isAllowed, type Before } from './kill.js'
import { fault, FULL, times, once } from './machine.js'
import { makeScene, type Stage } from './scene.js'
import { CALLS, ONE_POOL_THREAD, strace, triedAgain } from './strace.js'
import { createTally } from './tally.js'

/**
 * What a failed build has to leave: no crash, the old files, no temporaries, and the exit code of a cause outside of
 * the recipe.
 */
const isClean = (ended: Ended, stage: Stage, before: Before, codes: readonly number[]): boolean =>
  !ended.hung &&
  isAllowed(stage.judge(), before, ended, false) &&
  (ended.code === 0 || (codes.includes(ended.code ?? -1) && stage.leftovers().length === 0))

const MEGABYTE = 1 << 20

/** Fills a disk while a build goes on. */
const fillDisk = (folder: string): void => {
  try {
    const { bavail, bsize } = statfsSync(folder)
    writeFileSync(join(folder, 'balloon'), Buffer.alloc(bavail * bsize))
  } catch {
    // Full is what it is meant to be.
  }
}

const sceneOf = once(makeScene)

describe('F5: a disk that is too small', () => {
  fault(
    'is found before anything is written, with the path, what is needed and what is free; a large enough one is enough',
    ['linux', 'root', 'mount'],
    async () => {
      const scene = await sceneOf()
      const tally = createTally('F5', 'tmpfs of 20 sizes from nothing to what is needed and 5 % and 1 MB more')
      const most = scene.outputBytes * 1.05 + 2 * MEGABYTE
      const steps = times(2, 20)
      const wrong: string[] = []
      for (let i = 0; i < steps; i++) {
        const bytes = Math.max(65_536, Math.ceil((most * i) / (steps - 1)))
        const disk = makeSmallDisk(bytes)
        const stage = scene.stage(disk.folder)
        const ended = await stage.build()
        const verdict = stage.judge()
        const told = /needs? [\d.,]+ .*free|free/.test(ended.stdout) && ended.stdout.includes(stage.folder)
        const right =
          i === steps - 1
            ? ended.code === 0 && verdict === 'new'
            : ended.code === 0
              ? verdict === 'new'
              : ended.code === 75 && verdict === 'none' && stage.leftovers().length === 0 && told
        tally.see(ended.code === 0 ? 'built' : 'refused', !right)
        if (!right)
          wrong.push(
            `${bytes} bytes: code ${ended.code}, ${verdict}, ${stage.leftovers().join(' ')} ${ended.stdout.slice(-600)}${ended.stderr}`,
          )
        disk.remove()
      }
      tally.end()
      expect(wrong).toEqual([])
    },
  )
})

describe('F6: a disk that fills up during the build', () => {
  fault(
    'leaves the old output and nothing else, and the build works once there is room again',
    ['linux', 'root', 'mount'],
    async () => {
      const scene = await sceneOf()
      const random = makeRandom(60)
      const tally = createTally('F6', 'tmpfs filled at a random moment')
      const wrong: string[] = []
      for (let i = 0; i < times(1, 20); i++) {
        const disk = makeSmallDisk(Math.ceil(scene.outputBytes * 2.06 + 4 * MEGABYTE))
        const stage = scene.stage(disk.folder)
        stage.reset('old')
        const ended = await stage.build({
          hear: ({ type }) => {
            if (type === 'run-started') setTimeout(() => fillDisk(disk.folder), random() * scene.runTime)
          },
        })
        const right = isClean(ended, stage, 'old', [75])
        tally.see(ended.code === 0 ? 'built' : 'old', !right)
        if (!right)
          wrong.push(
            `code ${ended.code}, ${stage.judge()}, ${stage.leftovers().join(' ')} ${codesOf(ended).join()} ${ended.stderr}`,
          )
        disk.remove()
      }
      tally.end()
      expect(wrong).toEqual([])
    },
  )

  fault('at the n-th write', ['linux', 'strace'], async () => {
    const scene = await sceneOf()
    const stage = scene.stage()
    const tally = createTally('F6', 'ENOSPC from the n-th write of each thread on')
    const numbers = FULL ? [1, 2, 3, 4, 5, 7, 10, 14, 20, 28, 36, 44, 52, 60, 90] : [2]
    const wrong: string[] = []
    for (const n of numbers) {
      stage.reset('old')
      const ended = await stage.build({ wrap: strace(CALLS.pwrite, `error=ENOSPC:when=${n}+`) })
      const right = isClean(ended, stage, 'old', [75])
      tally.see(ended.code === 0 ? 'built' : codesOf(ended).join(), !right)
      if (!right)
        wrong.push(
          `write ${n}: code ${ended.code}, ${stage.judge()}, ${stage.leftovers().join(' ')} ${codesOf(ended).join()} ${ended.stderr}`,
        )
      const next = n % 5 === 0 ? await stage.build() : undefined
      if (next !== undefined && (next.code !== 0 || stage.judge() !== 'new'))
        wrong.push(`after write ${n}: ${stage.judge()}`)
    }
    tally.end()
    expect(wrong).toEqual([])
  })
})

describe('F7: an input that cannot be read', () => {
  fault('stops the build, naming the file', ['linux', 'strace'], async () => {
    const scene = await sceneOf()
    const stage = scene.stage()
    const tally = createTally('F7', 'EIO at the n-th read of an input')
    const wrong: string[] = []
    for (let i = 0; i < times(1, 100); i++) {
      stage.reset('old')
      const model = ['a', 'b', 'c'][i % 3]!
      const path = join(scene.folder, `${model}.safetensors`)
      const ended = await stage.build({
        wrap: strace('pread64,read', `error=EIO:when=${1 + Math.floor(i / 3)}`, '-P', path),
      })
      const named = ended.code === 0 || ended.stdout.includes(`${model}.safetensors`)
      const right = isClean(ended, stage, 'old', [1, 3]) && named
      tally.see(ended.code === 0 ? 'built: fewer reads' : 'named and old', !right)
      if (!right)
        wrong.push(
          `read ${1 + Math.floor(i / 3)} of ${model}: code ${ended.code}, ${stage.judge()}, ${codesOf(ended).join()} ${ended.stderr}`,
        )
    }
    tally.end()
    expect(wrong).toEqual([])
  })
})

describe('F7: an output of an earlier build that cannot be read, although its tensors would do', () => {
  fault('is made anew', ['linux', 'strace'], async () => {
    const scene = await makeScene({ sharded: true, tensors: 8 })
    const stage = scene.stage()
    const shards = [...scene.golden.new.keys()].filter((name) => name.includes('-of-'))
    const tally = createTally('F7', 'EIO at the n-th read of an earlier output')
    const wrong: string[] = []
    for (let i = 0; i < times(1, 10); i++) {
      await stage.build()
      rmSync(join(stage.folder, shards[1]!))
      const ended = await stage.build({
        wrap: strace('pread64,read', `error=EIO:when=${1 + i}`, '-P', join(stage.folder, shards[0]!)),
      })
      const right = ended.code === 0 && stage.judge() === 'new' && stage.leftovers().length === 0
      tally.see('golden', !right)
      if (!right)
        wrong.push(`read ${1 + i}: code ${ended.code}, ${stage.judge()}, ${codesOf(ended).join()} ${ended.stderr}`)
    }
    tally.end()
    expect(wrong).toEqual([])
  })
})

describe('F8: a disk that cannot keep what was written', () => {
  fault('fails the build, and is never asked a second time whether it could', ['linux', 'strace'], async () => {
    const scene = await sceneOf()
    const stage = scene.stage()
    const tally = createTally('F8', 'EIO at the n-th fsync')
    const wrong: string[] = []
    for (let n = 1; n <= times(1, 30); n++) {
      stage.reset('old')
      const log = join(scene.folder, 'fsync.log')
      const ended = await stage.build({
        env: ONE_POOL_THREAD,
        wrap: strace(CALLS.fsync, `error=EIO:when=${n}`, '-y', '-o', log),
      })
      const verdict = stage.judge()
      const again = triedAgain(readFileSync(log, 'utf8'))
      // Only the sync of a folder comes after the new name; the bytes under it are whole.
      const right =
        !ended.hung &&
        (ended.code === 0
          ? verdict === 'new'
          : [3, 75].includes(ended.code ?? -1) &&
            isAllowed(verdict, 'old', ended, false) &&
            stage.leftovers().length === 0) &&
        again.length === 0
      tally.see(ended.code === 0 ? 'built: fewer syncs' : `failed and ${verdict}`, !right)
      if (!right)
        wrong.push(
          `fsync ${n}: code ${ended.code}, ${verdict}, again ${again.join()}, ${stage.leftovers().join(' ')} ${codesOf(ended).join()} ${ended.stderr}`,
        )
      if (ended.code === 0 && FULL) break
    }
    tally.end()
    expect(wrong).toEqual([])
  })
})
