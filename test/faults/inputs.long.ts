import { copyFileSync, readFileSync, renameSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { makeRandom } from '../safetensors/files.js'
import { codesOf } from './command.js'
import { isAllowed } from './kill.js'
import { fault, times } from './machine.js'
import { makeScene } from './scene.js'
import { createTally } from './tally.js'

/** What can happen to a file that is being read. */
const CHANGES: readonly (readonly [name: string, change: (path: string, spare: string) => void])[] = [
  [
    'replaced',
    (path, spare) => {
      copyFileSync(spare, `${path}.new`)
      renameSync(`${path}.new`, path)
    },
  ],
  ['cut short', (path) => truncateSync(path, 4_000_000)],
  ['touched', (path) => utimesSync(path, 1, 1)],
  ['removed', (path) => rmSync(path)],
  ['overwritten in place', (path, spare) => writeFileSync(path, readFileSync(spare), { flag: 'r+' })],
]

describe('F13: an input that changes while it is read', () => {
  fault('stops the build, naming the file; nothing is made of two states of it', [], async () => {
    const scene = await makeScene()
    const random = makeRandom(130)
    const stage = scene.stage()
    const wrong: string[] = []
    let noticed = 0
    for (const [name, change] of CHANGES) {
      const tally = createTally('F13', `an input is ${name} during the run`)
      for (let i = 0; i < times(1, 10); i++) {
        const path = join(stage.folder, 'b.safetensors')
        rmSync(path, { force: true })
        copyFileSync(join(scene.folder, 'b.safetensors'), path)
        stage.reset('old')
        // Right after the first work or at a random moment; when all has been read it comes too late to matter.
        const wait = i % 3 < 2 ? undefined : random() * scene.runTime
        let done = false
        let timer: NodeJS.Timeout | undefined
        const changeOnce = (): void => {
          if (!done) change(path, join(scene.folder, 'c.safetensors'))
          done = true
        }
        const ended = await stage.build({
          hear: ({ type }) => {
            if (type === 'units-finished' && wait === undefined) changeOnce()
            if (type === 'run-started' && wait !== undefined) timer = setTimeout(changeOnce, wait)
          },
        })
        // A change that comes after the end would strike the next build before it begins.
        clearTimeout(timer)
        const told =
          ended.code === 3 &&
          codesOf(ended).some((code) => ['input-changed', 'read-past-end', 'io-failed'].includes(code)) &&
          ended.stdout.includes('b.safetensors')
        const right =
          isAllowed(stage.judge(), 'old', ended, false) && stage.leftovers().length === 0 && (told || ended.code === 0)
        if (told) noticed += 1
        tally.see(ended.code === 0 ? 'too late to matter' : 'noticed', !right)
        if (!right)
          wrong.push(
            `${name}: code ${ended.code}, ${stage.judge()}, ${codesOf(ended).join()} ${stage.leftovers().join(' ')} ${ended.stderr}`,
          )
      }
      tally.end()
    }
    expect(wrong).toEqual([])
    expect(noticed).toBeGreaterThanOrEqual(CHANGES.length * times(0, 5))
  })
})
