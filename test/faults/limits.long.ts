import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { codesOf, eventsOf, type Ended } from './command.js'
import { isAllowed } from './kill.js'
import { AS_NOBODY, fault, FULL, times, once } from './machine.js'
import { makeScene, type Stage } from './scene.js'
import { createTally } from './tally.js'

const sceneOf = once(makeScene)

/** Starts the program with a limit of the shell's `ulimit`. */
const limited = (flag: string, value: number | string): readonly string[] => [
  'bash',
  '-c',
  `ulimit ${flag} ${value} && exec "$@"`,
  'limited',
]

/** A line of a stack. */
const STACK = /^ {4}at /m

/**
 * What a limit may lead to: the new output, or the old one with a problem that is told or a process that the system
 * ended.
 */
const isSafe = (stage: Stage, ended: Ended): boolean => !ended.hung && isAllowed(stage.judge(), 'old', ended, false)

const shown = (ended: Ended, stage: Stage): string =>
  `code ${ended.code} ${ended.signal}, ${stage.judge()}, ${codesOf(ended).join()} ${stage.leftovers().join(' ')} ${ended.stderr.slice(-500)}`

describe('F9: a limit on the size of files', () => {
  fault('fails the build cleanly', ['linux'], async () => {
    const scene = await sceneOf()
    const stage = scene.stage()
    const tally = createTally('F9', 'RLIMIT_FSIZE below the size of the output')
    const wrong: string[] = []
    for (const kilobytes of FULL ? [0, 1, 4, 64, 1000, 4000, 8000, 16_000, 16_380] : [500]) {
      stage.reset('old')
      const ended = await stage.build({ wrap: limited('-f', kilobytes) })
      const right = isSafe(stage, ended) && [1, 3, 75].includes(ended.code ?? -1) && stage.leftovers().length === 0
      tally.see(codesOf(ended).join() || `code ${ended.code}`, !right)
      if (!right) wrong.push(`${kilobytes} kB: ${shown(ended, stage)}`)
    }
    tally.end()
    expect(wrong).toEqual([])
  })
})

describe('F10: a limit on open files', () => {
  fault('fails the build cleanly or not at all, and never hangs', ['linux'], async () => {
    const scene = await makeScene({ sharded: true, shards: 30, elements: 1 << 13 })
    const stage = scene.stage()
    const tally = createTally('F10', 'RLIMIT_NOFILE from 20 to 180, 32 shards')
    const wrong: string[] = []
    for (let limit = times(120, 20); limit <= times(120, 180); limit += 4) {
      stage.reset('old')
      const ended = await stage.build({ wrap: limited('-n', limit) })
      const told = codesOf(ended).join() || /^error\[([\w-]+)\]/m.exec(ended.stderr)?.[1]
      const right =
        !ended.hung &&
        isAllowed(stage.judge(), 'old', ended, true) &&
        [0, 75].includes(ended.code ?? -1) &&
        !STACK.test(ended.stderr) &&
        stage.leftovers().length === 0
      tally.see(ended.code === 0 ? 'built' : (told ?? 'without a word'), !right)
      if (!right) wrong.push(`${limit} files: ${shown(ended, stage)}`)
    }
    tally.end()
    expect(wrong).toEqual([])
  })
})

describe('F19: a folder that may not be written', () => {
  fault(
    'is named, whether it is for the outputs or for what is kept between builds',
    ['linux', 'root', 'nobody'],
    async () => {
      const scene = await sceneOf()
      const tally = createTally('F19', 'folders without permission, as a user without rights')
      chmodSync(scene.folder, 0o755)
      for (const closed of ['out', 'cache'] as const) {
        const stage = scene.stage()
        chmodSync(stage.folder, 0o777)
        for (const name of ['out', 'cache']) {
          mkdirSync(join(stage.folder, name))
          chmodSync(join(stage.folder, name), name === closed ? 0o555 : 0o777)
        }
        writeFileSync(join(stage.folder, 'out/merged.safetensors'), '')
        const ended = await stage.build({ wrap: ['setpriv', ...AS_NOBODY] })
        const verdict = stage.judge()
        const right =
          closed === 'cache'
            ? ended.code === 0 && verdict === 'new'
            : [1, 3].includes(ended.code ?? -1) &&
              ended.stdout.includes('out') &&
              readdirSync(join(stage.folder, 'out')).length === 1
        tally.see(closed === 'cache' ? 'built without it' : 'refused', !right)
        expect(right, shown(ended, stage)).toBe(true)
      }
      tally.end()
    },
  )
})

describe('F20: a limit on memory', () => {
  fault('leaves the old output or the new one', ['linux'], async () => {
    const scene = await sceneOf()
    const stage = scene.stage()
    const tally = createTally('F20', 'heap of 6 to 40 MB, address space of 1 to 40 GB')
    const wrong: string[] = []
    const heaps = FULL ? [6, 8, 10, 12, 14, 16, 20, 24, 40] : [8]
    const spaces = FULL ? [1, 2, 3, 4, 6, 8, 12, 16, 40] : [2]
    const starts = [
      ...heaps.map((mb) => ({ told: false, node: [`--max-old-space-size=${mb}`] })),
      ...spaces.map((gb) => ({ told: gb >= 2, wrap: limited('-v', gb << 20) })),
    ]
    for (const { told, ...start } of starts) {
      stage.reset('old')
      const ended = await stage.build(start)
      const right = isSafe(stage, ended) && (!told || ([0, 3].includes(ended.code ?? -1) && !STACK.test(ended.stderr)))
      tally.see(
        ended.code === 0
          ? 'built'
          : ended.code === null
            ? 'ended by the system, old'
            : `failed with ${ended.code}, old`,
        !right,
      )
      if (!right) wrong.push(`${JSON.stringify(start)}: ${shown(ended, stage)}`)
    }
    tally.end()
    expect(wrong).toEqual([])
  })

  fault('is not near: two workers stay within 400 MB', ['linux'], async () => {
    const scene = await makeScene({ tensors: 8, elements: times(1 << 18, 1 << 23) })
    const ended = await scene.stage().build()
    const peak = eventsOf(ended).find((e) => e.type === 'run-finished')?.['peakMemory'] as number
    const tally = createTally(
      'F20',
      `peak memory of a build of ${Math.round(scene.outputBytes / 1e6)} MB from three models`,
    )
    tally.see('within 400 MB', peak > 400e6)
    tally.end(`${Math.round(peak / 1e6)} MB`)
    expect(peak).toBeLessThan(400e6)
  })
})

/** As when someone sets the clock: what measures spans goes on as before. */
const CLOCK_OF_DAY_ONLY = { FAKETIME_DONT_FAKE_MONOTONIC: '1' } as const

describe('F21: a clock that is wrong, or jumps', () => {
  fault('changes no byte', ['linux', 'faketime'], async () => {
    const scene = await sceneOf()
    const stage = scene.stage()
    const tally = createTally('F21', 'clock off by an hour to ten years, or jumping during the run')
    const expectGolden = (name: string, ended: Ended): void => {
      tally.see('golden', stage.judge() !== 'new')
      expect([name, ended.code, stage.judge(), stage.leftovers()]).toEqual([name, 0, 'new', []])
    }
    for (const offset of FULL ? ['-3600', '+1y', '-10y', '+400d'] : ['+1y']) {
      stage.reset('none')
      expectGolden(offset, await stage.build({ wrap: ['faketime', '-f', offset], env: CLOCK_OF_DAY_ONLY }))
    }
    const library = execFileSync('faketime', ['-f', '+0', 'printenv', 'LD_PRELOAD'], { encoding: 'utf8' }).trim()
    const clock = join(scene.folder, 'clock')
    for (const jump of ['-3600', '+31536000']) {
      stage.reset('old', { lock: true })
      writeFileSync(clock, '+0')
      expectGolden(
        jump,
        await stage.build({
          env: { ...CLOCK_OF_DAY_ONLY, LD_PRELOAD: library, FAKETIME_TIMESTAMP_FILE: clock, FAKETIME_NO_CACHE: '1' },
          hear: ({ type }) => {
            if (type === 'units-finished') writeFileSync(clock, jump)
          },
        }),
      )
    }
    tally.end()
  })
})
