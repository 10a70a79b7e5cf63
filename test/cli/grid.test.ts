import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeFolder, smelt } from '../support/smelt.js'
import { writeSafetensors } from '../support/write-safetensors.js'

const folder = makeFolder({
  'recipe.yaml': `smelt: 1
params: { keep: { type: number, default: 0.5, min: 0, max: 1 }, name: plain }
grid: { keep: 0:1:0.5 }
models: { a: a.safetensors, b: b.safetensors }
steps: { half: { op: merge.blend, a: a, b: b, keep: $keep } }
outputs: { merged: { from: half, path: "out/\${name}-\${keep}.safetensors" } }
`,
  'shared.yaml': `smelt: 1
params: { keep: 0.5, noise: 0.1 }
models: { a: a.safetensors, b: b.safetensors }
steps:
  noisy: { op: model.scale, model: a, factor: $noise }
  half: { op: merge.blend, a: noisy, b: b, keep: $keep }
outputs: { merged: { from: half, path: "out/\${noise}-\${keep}.safetensors" } }
`,
  'values.csv': 'keep,name\n0.25,"one, two"\n0.75,three\n',
})

beforeAll(() => {
  for (const [name, values] of Object.entries({ a: [0, 4], b: [4, 8] }))
    writeSafetensors(join(folder.path, `${name}.safetensors`), { x: { dtype: 'F32', shape: [2], values } })
})
afterAll(() => folder.remove())

const textOf = (name: string): string => readFileSync(join(folder.path, name), 'utf8')

/** Cells of a table without quotes in it, less the digests. */
const cellsOf = (name: string): readonly (readonly string[])[] =>
  textOf(name)
    .trimEnd()
    .split('\n')
    .map((line) => line.split(',').slice(0, -1))

describe('smelt build of several settings', () => {
  it('builds the grid of a recipe and writes a table that says what each output is made with', async () => {
    const done = await smelt(folder.path, ['build', 'recipe.yaml', '--table', 'grid.csv'])
    expect(done).toMatchObject({ code: 0 })
    expect(done.stderr).toContain('wrote grid.csv')
    expect(cellsOf('grid.csv')).toEqual([
      ['output', 'keep', 'path', 'bytes'],
      ...['0', '0.5', '1'].map((keep) => [
        'merged',
        keep,
        `out/plain-${keep}.safetensors`,
        expect.stringMatching(/^\d+$/),
      ]),
    ])
    const digests = textOf('grid.csv').match(/blake3:[0-9a-f]+/g)!
    expect(new Set(digests).size).toBe(3)
    const lock = JSON.parse(textOf('recipe.lock.json')) as {
      builds: readonly { outputs: Readonly<Record<string, { digest: string }>> }[]
    }
    expect(lock.builds.map((b) => b.outputs['merged']!.digest)).toEqual(digests)
  })

  it('tells steps that only some settings share apart by what these have in common', async () => {
    const { stdout } = await smelt(folder.path, ['plan', 'shared.yaml', '--set', 'keep=0.2,0.4', '--set', 'noise=1,2'])
    expect(stdout.match(/(?<=^ +\d+ +)\w+\[.*?\]/gm)).toEqual([
      'noisy[noise=1]',
      'half[keep=0.2, noise=1]',
      'noisy[noise=2]',
      'half[keep=0.2, noise=2]',
      'half[keep=0.4, noise=1]',
      'half[keep=0.4, noise=2]',
    ])
  })

  it('builds the rows of a file in place of the grid, and lists them on a page', async () => {
    const options = ['--set-file', 'values.csv', '--out', 'rows', '--table', 'grid.html', '--quiet']
    expect(await smelt(folder.path, ['build', 'recipe.yaml', ...options])).toMatchObject({ code: 0, stderr: '' })
    expect(readdirSync(join(folder.path, 'rows/out')).sort()).toEqual([
      'one, two-0.25.safetensors',
      'three-0.75.safetensors',
    ])
    for (const text of ['one, two', '0.25', 'out/three-0.75.safetensors', 'blake3:'])
      expect(textOf('grid.html')).toContain(text)
  })

  it.each<[string, readonly string[], string]>([
    ['a value beyond what the param may have', ['--set', 'keep=0.5:1.5:0.5'], 'param-not-allowed'],
    ['a table in an unknown form', ['--table', 'grid.xlsx'], 'table-ending'],
    ['a file of settings that is not there', ['--set-file', 'none.csv'], 'file-missing'],
    ['a table over the settings', ['--table', 'values.csv', '--set-file', 'values.csv'], 'writes-settings'],
  ])('refuses %s', async (_, options, problem) => {
    const done = await smelt(folder.path, ['build', 'recipe.yaml', '--out', 'none', ...options])
    expect(done.code).not.toBe(0)
    expect(done.stderr).toContain(`[${problem}]`)
  })
})
