import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { ORDERED_CALLS, tornByOrder } from './call-order.js'
import { makeImage } from './image.js'
import { cutLoop, type Moment } from './power-loss.js'
import { fault, once, times } from './machine.js'
import { makeScene } from './scene.js'
import { createTally } from './tally.js'
import { makeVariant, VARIANTS } from './variant.js'

const moments = (count: number): readonly Moment[] =>
  Array.from({ length: count }, (_, i) => (i % 4 === 0 ? 'end' : 'random'))
const wholeScene = once(makeScene)
const shardScene = once(() => makeScene({ sharded: true }))

describe('F4: a power cut leaves the old output or the new one, and the new one for good once the build has said that it is done', () => {
  fault('on ext4', ['linux', 'root', 'mount', 'loop', 'xfs_io', 'mkfs.ext4'], async () => {
    const image = makeImage('ext4')
    expect(
      await cutLoop(await wholeScene(), image, {
        fault: 'F4',
        what: 'power cut, ext4, one file',
        moments: moments(times(2, 22)),
        seed: 4,
        sharded: false,
      }),
    ).toEqual([])
    expect(
      await cutLoop(await shardScene(), image, {
        fault: 'F4',
        what: 'power cut, ext4, shards',
        moments: moments(times(0, 18)),
        seed: 5,
        sharded: true,
      }),
    ).toEqual([])
  })

  fault('on XFS', ['linux', 'root', 'mount', 'loop', 'xfs_io', 'mkfs.xfs'], async () => {
    const image = makeImage('xfs')
    expect(
      await cutLoop(await wholeScene(), image, {
        fault: 'F4',
        what: 'power cut, XFS, one file',
        moments: moments(times(2, 22)),
        seed: 6,
        sharded: false,
      }),
    ).toEqual([])
    expect(
      await cutLoop(await shardScene(), image, {
        fault: 'F4',
        what: 'power cut, XFS, shards',
        moments: moments(times(0, 18)),
        seed: 7,
        sharded: true,
      }),
    ).toEqual([])
  })

  fault('as far as the order of the calls tells, where no power can be cut', ['linux', 'strace'], async () => {
    const scene = await shardScene()
    const stage = scene.stage()
    const log = join(scene.folder, 'calls.log')
    const order = async (main?: string): Promise<ReturnType<typeof tornByOrder>> => {
      stage.reset('old', { lock: true })
      // What is kept between builds is not synced: its digests tell what a power cut took.
      const env = { SMELT_CACHE: join(scene.folder, 'cache') }
      const ended = await stage.build({
        env,
        ...(main === undefined ? {} : { main }),
        wrap: [
          'strace',
          '-f',
          '-y',
          '-qq',
          '-s',
          '300',
          '-o',
          log,
          '-e',
          'signal=none',
          '-e',
          `trace=${ORDERED_CALLS}`,
        ],
      })
      expect(ended.code).toBe(0)
      return tornByOrder(readFileSync(log, 'utf8'), stage.folder)
    }
    const tally = createTally('F4', 'files and folders synced before and after each new name')
    const { renames, problems } = await order()
    for (let i = 0; i < renames; i++) tally.see('in order', problems.length > 0)
    tally.end()
    expect(problems).toEqual([])
    expect(renames).toBeGreaterThanOrEqual(scene.golden.new.size)
    for (const variant of ['does not sync files', 'does not sync folders'] as const) {
      expect((await order(makeVariant(...VARIANTS[variant]))).problems.length).toBeGreaterThan(0)
    }
  })
})
