import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { makeRandom } from '../safetensors/files.js'
import { codesOf } from './command.js'
import { fault, times, once } from './machine.js'
import { makeScene, type Stage } from './scene.js'
import { createTally } from './tally.js'

const sceneOf = once(makeScene)

/** Every file that the store of a stage holds. */
const storeFiles = (stage: Stage): readonly string[] => {
  const cache = join(stage.folder, 'cache')
  return existsSync(cache)
    ? (readdirSync(cache, { recursive: true }) as string[])
        .map((name) => join(cache, name))
        .filter((path) => statSync(path).isFile())
        .sort()
    : []
}

/** What a build is to make of what is kept: nothing new, another number, or all of it once more. */
const NEXT: readonly (readonly [name: string, prepare: (stage: Stage) => void])[] = [
  ['nothing changed', () => undefined],
  ['the outputs are gone', (stage) => rmSync(join(stage.folder, 'out'), { recursive: true })],
  ['the lock is gone', (stage) => rmSync(join(stage.folder, 'recipe.lock.json'), { force: true })],
]

/** A stage whose store knows of two builds. */
const filled = once(async () => {
  const stage = (await sceneOf()).stage()
  await stage.build({ args: ['--set', 'drop=0.25'] })
  await stage.build()
  return stage
})

/** Harms what a build left in the store, and builds again; gives every build that failed or wrote something else. */
const harmLoop = async (
  fault: string,
  what: string,
  tries: number,
  seed: number,
  harm: (files: readonly string[], random: () => number) => void,
): Promise<readonly string[]> => {
  const stage = await filled()
  const random = makeRandom(seed)
  const tally = createTally(fault, what)
  const wrong: string[] = []
  for (let i = 0; i < tries; i++) {
    // A folder in place of an entry stays, and the entry is lost.
    if (storeFiles(stage).length < 3) rmSync(join(stage.folder, 'cache'), { recursive: true, force: true })
    if (!existsSync(join(stage.folder, 'cache'))) await stage.build({ args: ['--force'] })
    const files = storeFiles(stage)
    if (files.length === 0) return ['there is no store to harm']
    const [name, prepare] = NEXT[(seed + i) % NEXT.length]!
    prepare(stage)
    harm(files, random)
    const ended = await stage.build()
    const right = ended.code === 0 && stage.judge() === 'new' && stage.leftovers().length === 0
    tally.see('golden', !right)
    if (!right)
      wrong.push(
        `${what}, ${name}: code ${ended.code}, ${stage.judge()} ${codesOf(ended).join()} ${stage.leftovers().join(' ')} ${ended.stderr}`,
      )
  }
  tally.end()
  return wrong
}

const pick = <T>(list: readonly T[], random: () => number): T => list[Math.floor(random() * list.length)]!

const flipBit = (path: string, random: () => number): void => {
  const bytes = readFileSync(path)
  if (bytes.length === 0) return
  bytes[Math.floor(random() * bytes.length)]! ^= 1 << Math.floor(random() * 8)
  writeFileSync(path, bytes)
}

describe('F14: bits that flip in what is kept between builds', () => {
  fault('change no output and fail no build', [], async () => {
    expect(
      await harmLoop('F14', 'one bit of one file of the store is flipped', times(1, 50), 140, (files, random) =>
        flipBit(pick(files, random), random),
      ),
    ).toEqual([])
    expect(
      await harmLoop('F14', 'one bit of every file of the store is flipped', times(1, 50), 141, (files, random) =>
        files.forEach((path) => flipBit(path, random)),
      ),
    ).toEqual([])
  })
})

describe('F15: files of the store that are cut, emptied, exchanged, replaced or gone', () => {
  const harms: readonly (readonly [name: string, harm: (files: readonly string[], random: () => number) => void])[] = [
    [
      'cut short',
      (files, random) => files.forEach((path) => truncateSync(path, Math.floor(random() * statSync(path).size))),
    ],
    ['emptied', (files) => files.forEach((path) => truncateSync(path, 0))],
    [
      'exchanged',
      (files, random) => {
        const [a, b] = [pick(files, random), pick(files, random)]
        renameSync(a, `${a}.x`)
        if (a !== b) renameSync(b, a)
        renameSync(`${a}.x`, b)
      },
    ],
    [
      'replaced by something else',
      (files, random) =>
        files.forEach((path) => writeFileSync(path, Buffer.from(Array.from({ length: 100 }, () => random() * 256)))),
    ],
    ['gone', (files, random) => rmSync(pick(files, random))],
    [
      'replaced by folders',
      (files, random) => {
        const path = pick(files, random)
        rmSync(path)
        mkdirSync(path)
      },
    ],
  ]

  for (const [i, [name, harm]] of harms.entries()) {
    fault(name, [], async () =>
      expect(await harmLoop('F15', `files of the store are ${name}`, times(1, 17), 150 + i, harm)).toEqual([]),
    )
  }
})

describe('an output that was changed since it was written', () => {
  fault('is written again, also when its time was put back', [], async () => {
    const scene = await sceneOf()
    const stage = scene.stage()
    const path = join(stage.folder, 'out/merged.safetensors')
    const tally = createTally('F14', 'a bit of an output is flipped after the build')
    for (let i = 0; i < times(2, 10); i++) {
      stage.reset('none')
      await stage.build()
      const { atimeMs, mtimeMs } = statSync(path)
      flipBit(path, makeRandom(i))
      if (i % 2 === 1) utimesSync(path, atimeMs / 1000, mtimeMs / 1000)
      expect(stage.judge()).toBe('torn')
      const ended = await stage.build()
      tally.see('golden', stage.judge() !== 'new')
      expect([ended.code, stage.judge()]).toEqual([0, 'new'])
    }
    tally.end()
  })
})
