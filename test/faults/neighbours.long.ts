import { existsSync, readdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { claimName, temporaryName } from '#src/safetensors/temporary.js'
import { createRunId, type RunId } from '#src/safetensors/run-id.js'
import { makeRandom } from '../safetensors/files.js'
import { codesOf } from './command.js'
import { fault, FULL, times, once } from './machine.js'
import { makeScene } from './scene.js'
import { createTally } from './tally.js'

const sceneOf = once(makeScene)
const OUTPUT = 'merged.safetensors'

describe('F16: two builds of one output at once', () => {
  fault('one of them builds it, and the other does too or says who is building it and exits with 75', [], async () => {
    const scene = await sceneOf()
    const stage = scene.stage()
    const random = makeRandom(160)
    const tally = createTally('F16', 'two builds of one output at once')
    const wrong: string[] = []
    for (let i = 0; i < times(2, 50); i++) {
      stage.reset(i % 2 === 0 ? 'old' : 'none')
      const wait = random() * 2 * scene.runTime
      const second = new Promise((resolve) => setTimeout(resolve, wait)).then(() => stage.build())
      const both = [await stage.build(), await second]
      const codes = both.map((e) => e.code).sort((a, b) => (a ?? 0) - (b ?? 0))
      const told = both.every((e) => e.code !== 75 || (/process [0-9]+/.test(e.stdout) && e.stdout.includes(OUTPUT)))
      const right =
        codes[0] === 0 &&
        (codes[1] === 0 || codes[1] === 75) &&
        told &&
        stage.judge() === 'new' &&
        stage.leftovers().length === 0
      tally.see(codes[1] === 0 ? 'both built' : 'one built, one refused', !right)
      if (!right)
        wrong.push(
          `${codes.join()} ${stage.judge()} ${both.map((e) => codesOf(e).join()).join(' / ')} ${stage.leftovers().join(' ')} ${both.map((e) => e.stderr).join()}`,
        )
    }
    tally.end()
    expect(wrong).toEqual([])
  })
})

describe('F17: many builds that share what is kept between builds', () => {
  fault('all write what each writes alone', [], async () => {
    const scene = await sceneOf()
    const cache = join(scene.folder, 'shared-cache')
    const tally = createTally('F17', 'builds by processes that share a store, at once')
    const wrong: string[] = []
    const line = async (number: number): Promise<void> => {
      const stage = scene.stage()
      for (let i = 0; i < times(2, 20); i++) {
        const wanted = (number + i) % 2 === 0 ? 'old' : 'new'
        if (i % 4 === 3) stage.reset('none')
        const ended = await stage.build({
          args: wanted === 'old' ? ['--set', 'drop=0.25'] : [],
          env: { SMELT_CACHE: cache },
        })
        const right = ended.code === 0 && stage.judge() === wanted && stage.leftovers().length === 0
        tally.see('golden', !right)
        if (!right)
          wrong.push(
            `code ${ended.code}, ${stage.judge()} instead of ${wanted}: ${codesOf(ended).join()} ${ended.stderr}`,
          )
      }
    }
    await Promise.all(Array.from({ length: times(2, 8) }, (_, i) => line(i)))
    tally.end()
    expect(wrong).toEqual([])
    expect(
      existsSync(cache)
        ? (readdirSync(cache, { recursive: true }) as string[]).filter((name) => name.endsWith('.partial'))
        : [],
    ).toEqual([])
  })
})

describe('F17: twenty builds that begin at once and share what is kept between builds', () => {
  fault(
    'all write what each writes alone, without a word, also where the cache is far too small for them',
    [],
    async () => {
      const scene = await makeScene({ tensors: 8, elements: 1 << 13 })
      const tally = createTally('F17', 'twenty builds at once that share a store, which keeps 40 kB or a gigabyte')
      const wrong: string[] = []
      for (const size of FULL ? ['40kB', '1GB'] : ['40kB']) {
        const cache = join(scene.folder, `cache-of-${size}`)
        const stages = Array.from({ length: times(3, 20) }, () => scene.stage())
        for (let round = 0; round < times(2, 4); round++) {
          await Promise.all(
            stages.map(async (stage, i) => {
              const wanted = (i + round) % 2 === 0 ? 'old' : 'new'
              const ended = await stage.build({
                args: wanted === 'old' ? ['--set', 'drop=0.25'] : [],
                env: { SMELT_CACHE: cache, SMELT_CACHE_SIZE: size },
              })
              const right =
                ended.code === 0 &&
                stage.judge() === wanted &&
                stage.leftovers().length === 0 &&
                codesOf(ended).length === 0
              tally.see('golden', !right)
              if (!right)
                wrong.push(
                  `${size}: code ${ended.code}, ${stage.judge()} instead of ${wanted}: ${codesOf(ended).join()} ${ended.stderr}`,
                )
            }),
          )
        }
      }
      tally.end()
      expect(wrong).toEqual([])
    },
  )
})

/** The parts of a run's name, with some of them replaced. */
const forge = (parts: Partial<Record<'host' | 'boot' | 'pid' | 'start', string>>): RunId => {
  const [host, boot, pid, start, random] = createRunId().split('-')
  return [parts.host ?? host, parts.boot ?? boot, parts.pid ?? pid, parts.start ?? start, random].join('-') as RunId
}

describe('F18: what a dead build left as its claim', () => {
  const stale = {
    'of a process that is gone': () => forge({ pid: '999999999', start: '1' }),
    'of a number that another process has now': () => forge({ start: '1' }),
    'of a time before the machine was restarted': () => forge({ boot: '00000000' }),
  }
  const alive = {
    'of a process that lives': () => forge({}),
    'of another host': () => forge({ host: '00000000', pid: '7', start: '1' }),
  }

  fault('is put aside where it is certain that its owner is gone, and otherwise told and left alone', [], async () => {
    const scene = await sceneOf()
    const stage = scene.stage()
    const tally = createTally('F18', 'forged claims: owner gone')
    const claim = join(stage.folder, 'out', claimName(OUTPUT))
    for (const [name, owner] of Object.entries(stale)) {
      stage.reset('old')
      writeFileSync(claim, owner())
      writeFileSync(join(stage.folder, 'out', temporaryName(OUTPUT, owner())), 'left')
      const ended = await stage.build()
      tally.see('built', ended.code !== 0)
      expect([name, ended.code, stage.judge(), stage.leftovers()]).toEqual([name, 0, 'new', []])
    }
    // Nothing has to be written here, and so nothing claimed.
    writeFileSync(claim, stale['of a process that is gone']())
    const kept = await stage.build()
    tally.see('kept', kept.code !== 0)
    expect([kept.code, stage.judge(), stage.leftovers()]).toEqual([0, 'new', []])
    tally.end()
    const refused = createTally('F18', 'forged claims: owner alive or on another host')
    for (const [name, owner] of Object.entries(alive)) {
      stage.reset('old')
      writeFileSync(claim, owner())
      const ended = await stage.build()
      refused.see('refused with 75', ended.code !== 75)
      expect([name, ended.code, stage.judge(), stage.leftovers()]).toEqual([
        name,
        75,
        'old',
        [join('out', claimName(OUTPUT))],
      ])
      expect(ended.stdout).toContain(claimName(OUTPUT))
    }
    refused.end()
  })

  fault('and was not even finished, or lost to a power cut, is nobody’s after a while', [], async () => {
    const stage = (await sceneOf()).stage()
    const claim = join(stage.folder, 'out', claimName(OUTPUT))
    for (const torn of ['', '\0'.repeat(60), createRunId().slice(0, 20)]) {
      stage.reset('old')
      writeFileSync(claim, torn)
      utimesSync(claim, Date.now() / 1000 - 3600, Date.now() / 1000 - 3600)
      const ended = await stage.build()
      expect([torn, ended.code, stage.judge(), stage.leftovers()]).toEqual([torn, 0, 'new', []])
    }
  })
})
