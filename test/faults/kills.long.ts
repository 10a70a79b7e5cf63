import { describe, expect } from 'vitest'
import { codesOf } from './command.js'
import { isAllowed, killLoop, recover } from './kill.js'
import { fault, once, times } from './machine.js'
import { makeScene } from './scene.js'
import { createTally } from './tally.js'
import { inWorkers, makeVariant } from './variant.js'

const wholeScene = once(makeScene)
const shardScene = once(() => makeScene({ sharded: true }))

describe('F1: a build that is killed at a random moment leaves the old output or the new one, and the next build ends well', () => {
  fault('one file', [], async () => {
    expect(
      await killLoop(await wholeScene(), {
        fault: 'F1',
        what: 'SIGKILL at a random moment, one file',
        kills: times(3, 100),
        seed: 1,
        sharded: false,
      }),
    ).toEqual([])
  })

  fault('shards and an index', [], async () => {
    expect(
      await killLoop(await shardScene(), {
        fault: 'F1',
        what: 'SIGKILL at a random moment, shards',
        kills: times(2, 100),
        seed: 2,
        sharded: true,
      }),
    ).toEqual([])
  })
})

/** A program of which a worker meets, at its n-th read, what nothing expects: an error, or the end of its thread. */
const crashing = (how: 'throw' | 'exit', n: number): string =>
  makeVariant(
    inWorkers(`
const { readSync } = fs
let reads = 0
fs.readSync = (...args) => {
  if (++reads === ${n}) ${how === 'throw' ? "setTimeout(() => { throw new Error('made to crash') })" : 'process.exit(7)'}
  return readSync(...args)
}
`),
  )

describe('F24: a crash', () => {
  fault('of the process is no different from being killed', [], async () => {
    const signals = ['SIGSEGV', 'SIGABRT', 'SIGBUS', 'SIGILL'] as const
    expect(
      await killLoop(await wholeScene(), {
        fault: 'F24',
        what: 'SIGSEGV, SIGABRT, SIGBUS, SIGILL',
        kills: times(1, 20),
        seed: 3,
        sharded: false,
        signals,
      }),
    ).toEqual([])
  })

  fault('of a worker fails the build, which says so and leaves nothing behind', [], async () => {
    const scene = await wholeScene()
    const stage = scene.stage()
    const tally = createTally('F24', 'a worker throws, or its thread ends')
    const wrong: string[] = []
    for (let i = 0; i < times(1, 10); i++) {
      const how = i % 2 === 0 ? 'throw' : 'exit'
      stage.reset('old')
      const ended = await stage.build({ main: crashing(how, 1 + i) })
      const verdict = stage.judge()
      const right =
        !ended.hung &&
        ended.code === 3 &&
        codesOf(ended).includes('worker-lost') &&
        verdict === 'old' &&
        stage.leftovers().length === 0
      tally.see(ended.code === 3 ? 'reported and old' : `code ${ended.code}`, !right)
      if (!right)
        wrong.push(
          `${how} at read ${1 + i}: code ${ended.code} ${ended.signal} ${codesOf(ended).join()} ${verdict} ${stage.leftovers().join(' ')} ${ended.stderr}`,
        )
      const problem = i % 6 === 5 ? await recover(stage, 'old') : undefined
      if (problem !== undefined) wrong.push(`next build: ${problem.ended}`)
      if (!right && !isAllowed(verdict, 'old', ended, false)) break
    }
    tally.end()
    expect(wrong).toEqual([])
  })
})
