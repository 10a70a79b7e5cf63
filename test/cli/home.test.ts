import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { makeFolder } from '../support/smelt.js'
import { runHere } from '../support/run-here.js'
import { pickle, stateDict } from '../support/pickle-writer.js'
import { writeSafetensors } from '../support/write-safetensors.js'
import { writeCheckpoint } from '../support/zip-writer.js'

const folder = makeFolder({
  'recipe.yaml': `smelt: 1
models: { a: ~/models/a.safetensors, b: ~/models }
steps: { m: { op: merge.blend, a: a, b: b }, r: { op: report.model, model: a } }
outputs: { o: { from: m, path: ~/merged.safetensors }, p: { from: r, path: ~/look.txt } }
`,
})
const home = makeFolder()

beforeAll(() => {
  const w = { key: '0', storage: 'FloatStorage', length: 1, shape: [1] }
  writeFileSync(join(home.path, 'old.pt'), writeCheckpoint(pickle(stateDict({ w })), { 0: Buffer.alloc(4) }))
  mkdirSync(join(home.path, 'models'))
  writeSafetensors(join(home.path, 'models/a.safetensors'), { x: { dtype: 'F32', shape: [2], values: 1 } })
})
afterAll(() => {
  for (const made of [folder, home]) made.remove()
})

it.skipIf(process.platform === 'win32')(
  '`~/` in any path of a recipe or an option is the home folder, in every command',
  async () => {
    const run = async (...args: readonly string[]): Promise<string> => {
      const { code, screen } = await runHere(folder.path, args, {
        HOME: home.path,
        SMELT_CACHE: join(home.path, 'cache'),
      })
      expect(code, screen).toBe(0)
      return screen
    }
    await run('convert', '~/old.pt', '-o', '~/new.safetensors')
    expect(existsSync(join(home.path, 'new.safetensors'))).toBe(true)
    await run('build', 'recipe.yaml', '--workers', '1', '--report', '~/run.html', '--attest', '~/made.json')
    for (const name of ['merged.safetensors', 'look.txt', 'run.html', 'made.json'])
      expect(existsSync(join(home.path, name)), name).toBe(true)
    expect(await run('verify', 'recipe.yaml', '--workers', '1')).toContain('~/merged.safetensors')
    expect(await run('plan', 'recipe.yaml')).toContain('~/merged.safetensors')
    await run('build', 'recipe.yaml', '--workers', '1', '--frozen')
    await run('build', 'recipe.yaml', '--workers', '1', '--out', '~/elsewhere')
    expect(existsSync(join(folder.path, '~'))).toBe(false)
  },
)
