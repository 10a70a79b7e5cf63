import { appendFileSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { makeRandom } from '../safetensors/files.js'
import { eventsOf, type Ended } from './command.js'
import type { Before } from './kill.js'
import { fault, FULL, times } from './machine.js'
import { makeScene, type Scene, type Stage } from './scene.js'
import { createTally } from './tally.js'

/**
 * Kills a build as soon as it has written a share of its bytes. On a busy machine the signal may come when it is done:
 * then once more.
 */
const killAt = async (stage: Stage, share: number, before: Before): Promise<void> => {
  for (let tries = 0; tries < 10; tries++) {
    stage.reset(before)
    let total = Infinity
    const ended = await stage.build({
      hear: (event, child) => {
        if (event.type === 'run-started') total = event['writeBytes'] as number
        if (event.type === 'units-finished' && (event['writtenBytes'] as number) >= share * total) child.kill('SIGKILL')
      },
    })
    if (ended.signal === 'SIGKILL' && stage.judge() === before) return
  }
  throw new Error('no build could be killed before it was done')
}

/** The share of tensors that a build took over instead of computing them. */
const reusedShare = (ended: Ended): number => {
  const started = eventsOf(ended).find((e) => e.type === 'run-started')
  return (started?.['reused'] as number) / (started?.['tensors'] as number)
}

const scenes = new Map<boolean, Promise<Scene>>()
const sceneOf = (sharded: boolean): Promise<Scene> => {
  const scene = scenes.get(sharded) ?? makeScene({ sharded, tensors: 64, elements: 1 << 17 })
  scenes.set(sharded, scene)
  return scene
}

describe('F3: a build that was killed half-way', () => {
  for (const sharded of [false, true]) {
    fault(
      `is carried on by the next one, which writes the same bytes: ${sharded ? 'shards' : 'one file'}`,
      [],
      async () => {
        const scene = await sceneOf(sharded)
        const stage = scene.stage()
        const tally = createTally('F3', `killed at half, then built again, ${sharded ? 'shards' : 'one file'}`)
        const shares: number[] = []
        for (let i = 0; i < times(1, 10); i++) {
          await killAt(stage, 0.5, i % 2 === 0 ? 'old' : 'none')
          const ended = await stage.build()
          const share = reusedShare(ended)
          tally.see(
            share >= 0.45 ? 'golden, 45 % or more reused' : 'golden, less reused',
            share < 0.45 || stage.judge() !== 'new',
          )
          shares.push(share)
          expect([ended.code, stage.judge(), stage.leftovers()]).toEqual([0, 'new', []])
        }
        tally.end(`at least ${Math.floor(100 * Math.min(...shares))} %`)
        expect(Math.min(...shares)).toBeGreaterThanOrEqual(0.45)
      },
    )
  }

  fault('is not carried on with what was damaged since', [], async () => {
    const scene = await sceneOf(false)
    const stage = scene.stage()
    const random = makeRandom(30)
    const flip = (path: string): void => {
      const bytes = readFileSync(path)
      bytes[Math.floor(random() * bytes.length)]! ^= 1 << Math.floor(random() * 8)
      writeFileSync(path, bytes)
    }
    const zero = (path: string): void => {
      const bytes = readFileSync(path)
      bytes.fill(0, Math.floor(bytes.length * 0.1))
      writeFileSync(path, bytes)
    }
    const harms: readonly (readonly [name: string, ending: string, harm: (path: string) => void])[] = [
      ['a bit of its bytes is flipped', '.partial', flip],
      ['its bytes were lost to a power cut', '.partial', zero],
      ['its file is cut short', '.partial', (path) => truncateSync(path, 1 << 20)],
      ['its file is of another size', '.partial', (path) => appendFileSync(path, 'x')],
      ['a bit of its journal is flipped', '.journal', flip],
      ['its journal ends within a line', '.journal', (path) => truncateSync(path, readFileSync(path).length - 7)],
      [
        'its journal is of another build',
        '.journal',
        (path) => writeFileSync(path, readFileSync(path, 'utf8').replaceAll('0', '1')),
      ],
      ['its journal is gone', '.journal', (path) => rmSync(path)],
      [
        'its file and journal changed places',
        '.journal',
        (path) => {
          const partial = path.replace(/journal$/, 'partial')
          renameSync(path, `${path}.x`)
          renameSync(partial, path)
          renameSync(`${path}.x`, partial)
        },
      ],
    ]
    const wrong: string[] = []
    const tally = createTally('F3', 'killed at half, then what it left is damaged')
    for (let i = 0; i < (FULL ? 2 * harms.length : 2); i++) {
      const [name, ending, harm] = harms[i % harms.length]!
      await killAt(stage, 0.6, 'old')
      const left = stage.leftovers().find((file) => file.endsWith(ending))
      if (left === undefined) {
        wrong.push(`${name}: nothing was left to damage: ${stage.leftovers().join(' ')}`)
        continue
      }
      harm(join(stage.folder, left))
      const ended = await stage.build()
      const right = ended.code === 0 && stage.judge() === 'new' && stage.leftovers().length === 0
      tally.see('golden', !right)
      if (!right)
        wrong.push(
          `${name}: code ${ended.code}, ${stage.judge()}, ${stage.leftovers().join(' ')} ${ended.stdout.slice(-300)} ${ended.stderr}`,
        )
    }
    tally.end()
    expect(wrong).toEqual([])
  })
})
