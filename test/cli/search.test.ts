import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeFolder, smelt } from '../support/smelt.js'
import { writeSafetensors } from '../support/write-safetensors.js'

const RECIPE = `smelt: 1
params:
  keep: 0.9   # how much of a
models: { a: a.safetensors, b: b.safetensors }
steps: { half: { op: merge.blend, a: a, b: b, keep: $keep } }
outputs: { merged: { from: half, path: build/merged.safetensors } }
`
/** How far the first number of a merge is from 3; the models have 0 and 4 there, so `keep: 0.25` is best. */
const SCORE = `import { readFileSync } from 'node:fs'
const bytes = readFileSync(process.argv[2])
const header = Number(bytes.readBigUInt64LE(0))
console.log('distance', Math.abs(bytes.readFloatLE(8 + header) - 3))
`

const folders: ReturnType<typeof makeFolder>[] = []
const makeProject = (recipe = RECIPE) => {
  const folder = makeFolder({
    'recipe.yaml': recipe,
    'score.mjs': SCORE,
    'fails.mjs': "console.error('no such network')\nprocess.exit(7)\n",
  })
  folders.push(folder)
  for (const [name, values] of Object.entries({ a: [0, 1], b: [4, 5] }))
    writeSafetensors(join(folder.path, `${name}.safetensors`), { x: { dtype: 'F32', shape: [2], values } })
  return folder
}
let project: ReturnType<typeof makeFolder>
beforeAll(() => {
  project = makeProject()
})
afterAll(() => folders.forEach((folder) => folder.remove()))

const command = (...more: readonly string[]): readonly string[] => [
  'search',
  'recipe.yaml',
  '--over',
  'keep=0:1',
  '--score',
  'node score.mjs {output}',
  '--minimize',
  '--workers',
  '1',
  ...more,
]
const journalOf = (path: string): readonly string[] =>
  readFileSync(join(path, 'recipe.search.jsonl'), 'utf8').trimEnd().split('\n')

describe.sequential('smelt search', () => {
  it('finds better params than those of the recipe, and prints them as options', async () => {
    const done = await smelt(project.path, command('--trials', '12'))
    expect(done).toMatchObject({ code: 0 })
    const [, keep] = /^--set keep=([\d.]+)\n$/.exec(done.stdout)!
    expect(Math.abs(Number(keep) - 0.25)).toBeLessThan(0.15)
    expect(done.stderr).toMatch(/^trial 1 {2}keep=0\.9 {2}score 2\.6 {2}best 2\.6$/m)
    expect(journalOf(project.path)).toHaveLength(13)
  })

  it('keeps the outputs of the best trial only, and writes neither a lock nor the outputs of the recipe', () => {
    const kept = readdirSync(join(project.path, '.smelt/search'))
    expect(kept).toHaveLength(1)
    expect(existsSync(join(project.path, '.smelt/search', kept[0]!, 'build/merged.safetensors'))).toBe(true)
    expect(existsSync(join(project.path, 'build'))).toBe(false)
    expect(existsSync(join(project.path, 'recipe.lock.json'))).toBe(false)
  })

  it('resumes with the trials that it would have made without a kill', async () => {
    const whole = journalOf(project.path)
    writeFileSync(join(project.path, 'recipe.search.jsonl'), `${whole.slice(0, 5).join('\n')}\n{"values":[0.3`)
    const done = await smelt(project.path, command('--trials', '12'))
    expect(done.stderr).toContain('resuming after 4 trials')
    expect(done.stderr).not.toMatch(/^trial 4 /m)
    expect(journalOf(project.path)).toEqual(whole)
  })

  it('does not mix its journal with another search, unless told to begin anew', async () => {
    const other = await smelt(project.path, command('--trials', '12', '--seed', '2'))
    expect(other.code).toBe(2)
    expect(other.stderr).toContain('[search-journal-other]')
    expect(await smelt(project.path, command('--trials', '2', '--seed', '2', '--restart'))).toMatchObject({ code: 0 })
    expect(journalOf(project.path)).toHaveLength(3)
  })

  it('writes the best values into the recipe, and nothing else of it, and draws the trials', async () => {
    const done = await smelt(
      project.path,
      command('--trials', '6', '--restart', '--write', '--picture', 'search.svg', '--quiet'),
    )
    expect(done).toMatchObject({ code: 0, stderr: '' })
    const [, keep] = /keep=([\d.]+)/.exec(done.stdout)!
    expect(Number(keep)).not.toBe(0.9)
    expect(readFileSync(join(project.path, 'recipe.yaml'), 'utf8')).toBe(RECIPE.replace('0.9 ', `${keep} `))
    expect(readFileSync(join(project.path, 'search.svg'), 'utf8')).toContain('Score by keep')
  })

  it('stops after three failed trials in a row', async () => {
    const folder = makeProject()
    const done = await smelt(folder.path, [
      'search',
      'recipe.yaml',
      '--over',
      'keep=0:1',
      '--score',
      'node fails.mjs {output}',
    ])
    expect(done.code).toBe(3)
    expect(done.stderr.match(/\[score-failed\]/g)).toHaveLength(3)
    expect(done.stderr).toContain('exit code 7: no such network')
    expect(done.stderr).toContain('[search-given-up]')
    expect(journalOf(folder.path)).toHaveLength(4)
  })

  it.each<[string, string, readonly string[], string]>([
    ['no param', RECIPE, ['--score', 'x {output}'], 'over-missing'],
    [
      'a grid',
      RECIPE.replace('params:\n', 'grid: { other: [1, 2] }\nparams:\n  other: 1\n').replace(
        'build/merged.safetensors',
        '"build/m-${other}.safetensors"',
      ),
      ['--over', 'keep=0:1', '--score', 'x {output}'],
      'search-of-settings',
    ],
    [
      'an output outside the folder',
      RECIPE.replace('build/', '../'),
      ['--over', 'keep=0:1', '--score', 'x {output}'],
      'search-outside',
    ],
    ['no trials', RECIPE, ['--over', 'keep=0:1', '--score', 'x {output}', '--trials', '0'], 'search-number'],
    ['two goals', RECIPE, ['--score', 'x {output}', '--maximize', '--minimize'], 'both-goals'],
    [
      'a wrong recipe',
      RECIPE.replace('merge.blend', 'merge.blnd'),
      ['--over', 'keep=0:1', '--score', 'x {output}'],
      'unknown-choice',
    ],
  ])('refuses %s, and runs nothing', async (_, recipe, options, code) => {
    const folder = makeProject(recipe)
    const done = await smelt(folder.path, ['search', 'recipe.yaml', ...options])
    expect(done.code).not.toBe(0)
    expect(done.stderr).toContain(`[${code}]`)
    expect(existsSync(join(folder.path, '.smelt'))).toBe(false)
  })
})
