import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { inFolder } from '../support/build-run.js'
import { runHere } from '../support/run-here.js'
import { writeSafetensors } from '../support/write-safetensors.js'

const PART = `smelt: 1
params: { x: { type: model }, y: { type: model } }
steps:
  half: { op: merge.blend, a: x, b: y, keep: 0.5 }
  end: { op: model.scale, model: half, factor: 2 }
results: { model: end }
`
const RECIPE = `smelt: 1
params: { keep: { type: number, default: 0.5, min: 0, max: 1 } }
models: { a: a.safetensors, b: b.safetensors }
steps:
  safe: { use: part.yaml, x: a, y: b }
  out: { op: merge.blend, a: safe, b: b, keep: $keep }
outputs: { o: { from: out, path: o.safetensors } }
`

const inProject = (
  work: (run: (...args: readonly string[]) => ReturnType<typeof runHere>, folder: string) => Promise<void>,
) =>
  inFolder(async (folder) => {
    for (const name of ['a', 'b'])
      writeSafetensors(join(folder, `${name}.safetensors`), { t: { dtype: 'F32', shape: [2], values: [1, 2] } })
    writeFileSync(join(folder, 'part.yaml'), PART)
    writeFileSync(join(folder, 'recipe.yaml'), RECIPE)
    await work((...args) => runHere(folder, args), folder)
  })

test('`smelt why` tells of all steps of a part by the step that uses it, and of each by its own name', () =>
  inProject(async (run) => {
    const stepsIn = async (name: string): Promise<readonly string[]> => {
      const { stdout } = await run('why', 'recipe.yaml', name, '--json')
      return (JSON.parse(stdout) as { steps: readonly { name: string }[] }).steps.map((s) => s.name)
    }
    expect(await stepsIn('safe')).toEqual(['safe/half', 'safe/end'])
    expect(await stepsIn('safe/half')).toEqual(['safe/half'])
    expect((await run('why', 'recipe.yaml', 'saf')).stderr).toContain('no step `saf`')
  }))

test('`smelt check` takes other values of params, and tells what is wrong with them', () =>
  inProject(async (run, folder) => {
    expect((await run('check', 'recipe.yaml', '--set', 'keep=0.7')).code).toBe(0)
    const beyond = await run('check', 'recipe.yaml', '--set', 'keep=7')
    expect([beyond.code, beyond.stderr]).toEqual([2, expect.stringContaining('at most 1')])
    const many = await run('check', 'recipe.yaml', '--set', 'keep=0.1,0.2')
    expect([many.code, many.stderr]).toEqual([1, expect.stringContaining('o-${keep}.safetensors')])
    const nameless = await run('check', 'recipe.yaml', '--set', '=3')
    expect([nameless.code, nameless.stderr]).toEqual([2, expect.stringContaining('`--set =3` has no name')])
    writeFileSync(
      join(folder, 'recipe.yaml'),
      readFileSync(join(folder, 'recipe.yaml'), 'utf8').replace(
        'params: {',
        'params: { other: { type: number, default: 7, max: 1 },',
      ),
    )
    expect((await run('check', 'recipe.yaml')).stderr).toContain('param-default')
  }))

test('`smelt check` tells of a file that several recipes write', () =>
  inProject(async (run, folder) => {
    writeFileSync(join(folder, 'other.yaml'), RECIPE.replace('path: o.', 'path: ./sub/../o.'))
    const both = await run('check', 'recipe.yaml', 'other.yaml')
    expect([both.code, both.stderr]).toEqual([
      0,
      expect.stringContaining('o.safetensors is also an output of the recipe `recipe.yaml`'),
    ])
    expect(both.stderr).toContain('other.yaml:7:34')
    writeFileSync(join(folder, 'other.yaml'), RECIPE.replace('path: o.', 'path: p.'))
    expect((await run('check', 'recipe.yaml', 'other.yaml', 'recipe.yaml')).stderr).toBe('')
  }))

test('what is wrong with a setting of a file is told where it is written', () =>
  inProject(async (run, folder) => {
    const check = async (csv: string, ...more: readonly string[]) => {
      writeFileSync(join(folder, 's.csv'), csv)
      writeFileSync(join(folder, 'recipe.yaml'), RECIPE.replace('o.safetensors', '"o-${keep}.safetensors"'))
      return (await run('check', 'recipe.yaml', '--set-file', 's.csv', ...more)).stderr
    }
    const wrong = await check('keep\n0.5\nhalf\n7\n')
    expect(wrong).toContain('`keep=half` is not a number')
    expect(wrong).toContain('s.csv:3:1')
    expect(wrong).toContain('`keep=7`: `keep` has to be')
    expect(wrong).toContain('s.csv:4:1')
    expect(wrong).not.toContain('--set')
    const unknown = await check('kep\n0.5\n0.7\n')
    expect([unknown.match(/no param `kep`/g)?.length, unknown.includes('s.csv:2:1')]).toEqual([1, true])
    // What the command line sets, the file does not.
    expect(await check('keep\nhalf\n', '--set', 'keep=0.5')).toBe('')
  }))

test('one mistake of many settings is told once, and that of a value where it is given', () =>
  inProject(async (run, folder) => {
    const recipe = RECIPE.replace('params: {', 'params: { from: { type: model, default: a },').replace(
      'safe, b: b',
      '$from, b: b',
    )
    writeFileSync(join(folder, 'recipe.yaml'), recipe)
    const many = await run('check', 'recipe.yaml', '--set', 'keep=0:1:0.25', '--set', 'from=a,b')
    expect(many.stderr.match(/output-of-settings/g)).toHaveLength(1)
    const wrong = await run('check', 'recipe.yaml', '--set', 'from=c')
    expect(wrong.stderr.match(/unknown name `c`\n --> .*/g)).toEqual(['unknown name `c`\n --> --set'])
  }))

test('an empty file is called empty, whatever its name', () =>
  inProject(async (run, folder) => {
    writeFileSync(join(folder, 'empty.pt'), '')
    writeFileSync(join(folder, 'recipe.yaml'), RECIPE.replace('a: a.safetensors', 'a: empty.pt'))
    const { code, stderr } = await run('check', 'recipe.yaml')
    expect([code, stderr]).toEqual([1, expect.stringMatching(/empty\.pt is empty$/m)])
    expect(stderr).not.toContain('safetensors file')
  }))
