import { describe, expect, test } from 'vitest'
import { makeImage } from './image.js'
import { killLoop } from './kill.js'
import { fault, FULL, once, times } from './machine.js'
import { cutLoop } from './power-loss.js'
import { makeScene } from './scene.js'
import { createTally } from './tally.js'
import { makeVariant, VARIANTS } from './variant.js'

const expectCaught = (what: string, wrong: number, tries: number): void => {
  const tally = createTally('F25', what)
  for (let i = 0; i < tries; i++) tally.see(i < wrong ? 'caught' : 'unseen', wrong === 0)
  tally.end()
  expect(wrong).toBeGreaterThan(0)
}

const sceneOf = once(makeScene)

describe('F25: a program that lacks a protection is caught by the same tests', () => {
  fault('one that writes in place, by being killed', [], async () => {
    const scene = await sceneOf()
    const main = makeVariant(...VARIANTS['writes in place'])
    const kills = times(3, 20)
    const wrong = await killLoop(scene, { fault: 'F25', what: 'kills', kills, seed: 25, sharded: false, main })
    expectCaught('kills of a program that writes in place', wrong.length, kills)
  })

  // The order of calls, among the tests of power cuts, catches these too, and quickly.
  for (const type of FULL ? (['ext4', 'xfs'] as const) : []) {
    for (const variant of ['does not sync files', 'does not sync folders'] as const) {
      fault(
        `one that ${variant}, by a power cut on ${type}`,
        ['linux', 'root', 'mount', 'loop', 'xfs_io', `mkfs.${type}`],
        async () => {
          const scene = await sceneOf()
          const main = makeVariant(...VARIANTS[variant])
          const undisturbed = scene.stage()
          const ended = await undisturbed.build({ main })
          expect([ended.code, undisturbed.judge()]).toEqual([0, 'new'])
          expect(Number(/syncs left out: (\d+)/.exec(ended.stderr)?.[1])).toBeGreaterThan(0)
          // Replacing an old file makes ext4 write the new one by itself, so there is none.
          const moments = Array.from({ length: 3 }, () => 'end' as const)
          const wrong = await cutLoop(scene, makeImage(type), {
            fault: 'F25',
            what: 'power cuts',
            moments,
            seed: 26,
            sharded: false,
            main,
            before: 'none',
          })
          expectCaught(`power cuts (${type}) of a program that ${variant}`, wrong.length, moments.length)
        },
      )
    }
  }

  test('a variant whose place in the program is gone is no variant', () => {
    expect(() => makeVariant({ file: 'cli/main.js', find: /nothing like this/, put: '' })).toThrow(
      'has to follow the program',
    )
  })
})
