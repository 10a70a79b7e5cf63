import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Source } from '#src/base/diagnostic.js'
import { ok, type Result } from '#src/base/result.js'
import { parse } from '#src/recipe/parse.js'
import type { Recipe } from '#src/recipe/recipe.js'
import { inFolder, readTensors } from '../support/build-run.js'
import { runHere } from '../support/run-here.js'
import { sd1File } from '../support/tiny-sd1.js'
import { writeSafetensors } from '../support/write-safetensors.js'
import { tell } from './support.js'

type Texts = Readonly<Record<string, string>>

const RAMP = Array.from({ length: 26 }, (_, i) => i / 32)
const FLAT = RAMP.map(() => 0.25)
const fileOf = (lists: Readonly<Record<string, readonly number[]>>): string =>
  `smelt: 1\npresets:\n${Object.entries(lists)
    .map(([name, list]) => `  "${name}": [${list.join(', ')}]\n`)
    .join('')}`

const HEAD = 'smelt: 1\nmodels: { a: a.safetensors, b: b.safetensors }\n'
const OUT = 'outputs: { o: { from: end, path: o.safetensors } }\n'
const BLEND = 'steps:\n  end: { op: merge.blend, a: a, b: b, keep: { preset: MINE } }\n'

const read = (text: string, files: Texts = {}, set: Texts = {}): Result<Recipe> =>
  parse(
    { path: 'recipe.yaml', text: HEAD + text + OUT },
    { set },
    new Map(Object.entries(files).map(([path, content]) => [path, ok<Source>({ path, text: content })])),
  )
const stepsOf = (result: Result<Recipe>): Recipe['steps'] => {
  if (result.type === 'failed') throw new Error(tell(result.diagnostics).join('\n'))
  return result.value.steps
}
/** The block weights that a parameter of the last step has. */
const numbersOf = (result: Result<Recipe>, step = 'end', key = 'keep'): unknown => {
  const raw = stepsOf(result).get(step)!.params[key]
  return raw?.type === 'rules' ? raw.rules.mbw : raw?.type === 'value' ? raw.value : raw
}

describe('presets', () => {
  const files = { 'p.yaml': fileOf({ MINE: RAMP, 'OTHER*2': FLAT, GRAD_V: FLAT }) }

  test('of a file give their numbers to `preset` in rules, with the rules beside it', () => {
    const recipe = read(
      `presets: p.yaml\nsteps:\n  end: { op: merge.blend, a: a, b: b, keep: { preset: MINE, "**.attn2": 0.5 } }\n`,
      files,
    )
    expect(numbersOf(recipe)).toEqual(RAMP)
    expect(stepsOf(recipe).get('end')!.params['keep']).toMatchObject({
      rules: { entries: [{ pattern: { text: '**.attn2' }, value: 0.5 }] },
    })
  })
  test('give their numbers to the blocks of a step', () => {
    const recipe = read(
      'presets: p.yaml\nsteps:\n  w: { op: weights.mbw, like: a, preset: OTHER*2 }\n  end: { op: merge.blend, a: a, b: b, keep: w }\n',
      files,
    )
    expect(numbersOf(recipe, 'w', 'blocks')).toEqual(FLAT)
  })
  test.each([
    ['in a list', 'models: [{ model: a, weight: { preset: MINE } }, { model: b, weight: 1 }]'],
    ['by name', 'models: { a: { preset: MINE }, b: 1 }'],
  ])('give their numbers to models %s', (_, models) => {
    const steps = stepsOf(read(`presets: p.yaml\nsteps:\n  end: { op: merge.linear, ${models} }\n`, files))
    expect(steps.get('end')!.each[0]!['weight']).toMatchObject({ rules: { mbw: RAMP } })
  })
  test('stand inside the recipe, or in several files', () => {
    const inside = `presets: { MINE: [${RAMP.join(', ')}] }\n${BLEND}`
    expect(numbersOf(read(inside))).toEqual(RAMP)
    const several = { 'x.yaml': fileOf({ X: FLAT }), 'sub/p.yaml': files['p.yaml'] }
    expect(numbersOf(read(`presets: [x.yaml, sub/p.yaml]\n${BLEND}`, several))).toEqual(RAMP)
  })
  test('win over those of smelt, and leave the others alone', () => {
    const blend = (name: string): string => `presets: p.yaml\n${BLEND.replace('MINE', name)}`
    expect(numbersOf(read(blend('GRAD_V'), files))).toEqual(FLAT)
    const own = stepsOf(read(blend('GRAD_A'), files)).get('end')!.params['keep']
    expect(own).toMatchObject({ rules: { preset: 'GRAD_A' } })
  })
  test('are chosen by a param', () => {
    const text = `params: { curve: MINE }\npresets: p.yaml\n${BLEND.replace('MINE', '$curve')}`
    expect(numbersOf(read(text, files))).toEqual(RAMP)
    expect(numbersOf(read(text, files, { curve: 'OTHER*2' }))).toEqual(FLAT)
  })
  test('of a part are those that the part names, relative to it', () => {
    const part = `smelt: 1\nparams: { x: { type: model }, y: { type: model } }\npresets: ../p.yaml\nsteps:\n  it: { op: merge.blend, a: x, b: y, keep: { preset: MINE } }\nresults: { model: it }\n`
    const use = 'steps:\n  end: { use: parts/mix.yaml, x: a, y: b }\n'
    const recipe = read(use, { 'parts/mix.yaml': part, ...files })
    expect(numbersOf(recipe, 'end/it')).toEqual(RAMP)
    expect([...(recipe.type === 'ok' ? recipe.value.parts.keys() : [])]).toEqual(['p.yaml', 'parts/mix.yaml'])
    const without = read(`presets: p.yaml\n${use}`, {
      'parts/mix.yaml': part.replace('presets: ../p.yaml\n', ''),
      ...files,
    })
    expect(tell(without.diagnostics)).toEqual(['not-one-of @ 4: MINE'])
  })
  test('do not touch texts elsewhere that are called like them', () => {
    const text = 'presets: { preset: [1] }\nsteps:\n  end: { op: model.rename, model: a, rules: { preset: preset } }\n'
    expect(stepsOf(read(text)).get('end')!.params['rules']).toMatchObject({
      rules: { entries: [{ text: 'preset' }] },
    })
  })
})

describe('what is wrong with presets', () => {
  const mine = { 'p.yaml': fileOf({ MINE: RAMP }) }
  test.each<readonly [string, string, Texts, readonly string[]]>([
    [
      'a name that no file has',
      `presets: p.yaml\n${BLEND.replace('MINE', 'MIEN')}`,
      mine,
      ['unknown-preset @ 5: MIEN'],
    ],
    ['a file that is not there', `presets: q.yaml\n${BLEND}`, mine, ['part-not-read @ 3: q.yaml']],
    ['a file that is no YAML', `presets: p.txt\n${BLEND}`, { 'p.txt': 'MINE\t0,1' }, ['not-presets @ 3: p.txt']],
    ['a recipe', `presets: r.yaml\n${BLEND}`, { 'r.yaml': HEAD + BLEND + OUT }, ['not-presets @ 3: r.yaml']],
    [
      'a list with a word',
      `presets: p.yaml\n${BLEND}`,
      { 'p.yaml': 'smelt: 1\npresets: { MINE: [0, much] }\n' },
      ['wrong-type @ 2: much'],
    ],
    [
      'a key that files of presets do not have',
      `presets: p.yaml\n${BLEND}`,
      { 'p.yaml': 'smelt: 1\npreset: {}\npresets: { MINE: [0, 1] }\n' },
      ['unknown-key @ 2: preset'],
    ],
    [
      'a key that comes twice',
      `presets: p.yaml\n${BLEND}`,
      { 'p.yaml': 'smelt: 1\npresets:\n  MINE: [0]\n  MINE: [1]\n' },
      ['duplicate-key @ 4: MINE'],
    ],
    [
      'a name in two files',
      `presets: [p.yaml, x.yaml]\n${BLEND}`,
      { ...mine, 'x.yaml': fileOf({ MINE: FLAT }) },
      ['preset-twice @ 3: x.yaml'],
    ],
    [
      'a number beyond the range of its key',
      'presets: p.yaml\nsteps: { end: { op: merge.ties, base: a, models: [{ model: b, density: { preset: MINE } }] } }\n',
      { 'p.yaml': fileOf({ MINE: [0, 7] }) },
      ['out-of-range @ 3: 7'],
    ],
    [
      'block weights beside it',
      `presets: p.yaml\n${BLEND.replace('MINE', 'MINE, mbw: [0, 1]')}`,
      mine,
      ['two-block-lists @ 5: mbw'],
    ],
    ['no list', `presets: { MINE: 3 }\n${BLEND}`, {}, ['wrong-type @ 3: 3']],
    ['a number for a path', `presets: 3\n${BLEND}`, {}, ['no-such-form @ 3: 3', 'unknown-preset @ 5: MINE']],
  ])('%s is told at its place', (_, text, files, expected) => {
    expect(tell(read(text, files).diagnostics)).toEqual(expected)
  })
  test('a misspelt name is suggested, those of smelt too', () => {
    const helpOf = (name: string): string | undefined =>
      read(`presets: p.yaml\n${BLEND.replace('MINE', name)}`, mine).diagnostics[0]!.help
    expect(helpOf('MNE')).toContain('`MINE`')
    expect(helpOf('GRAD_X')).toContain('`GRAD_V`')
  })
  test('a mistake in a file says where it is named', () => {
    const found = read(`presets: p.yaml\n${BLEND}`, { 'p.yaml': 'smelt: 2\npresets: { MINE: [0] }\n' }).diagnostics
    expect(found[0]!.related).toMatchObject([{ at: { range: { source: { path: 'recipe.yaml' } } } }])
  })
  test('a file of presets is built', () => {
    expect(tell(parse({ path: 'p.yaml', text: mine['p.yaml'] }).diagnostics)).toEqual(['is-presets @ 2: presets'])
  })
})

/** A folder with two models and some files, to run commands in. */
const inProject = (files: Texts, work: (folder: string) => Promise<void>): Promise<void> =>
  inFolder(async (folder) => {
    for (const [i, name] of ['a', 'b'].entries()) writeSafetensors(join(folder, `${name}.safetensors`), sd1File(i + 1))
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true })
      writeFileSync(join(folder, path), text)
    }
    await work(folder)
  })

test('a preset gives the bytes of its numbers, and the lock covers its file', async () => {
  const files = {
    'parts/presets.yaml': fileOf({ MINE: RAMP }),
    'named.yaml': `${HEAD}presets: parts/presets.yaml\n${BLEND}${OUT}`,
    'plain.yaml': `${HEAD}${BLEND.replace('preset: MINE', `mbw: [${RAMP.join(', ')}]`)}${OUT.replace('o.safe', 'p.safe')}`,
  }
  await inProject(files, async (folder) => {
    const run = (...args: readonly string[]) => runHere(folder, [...args, '--workers', '1'])
    const built = await run('build', 'named.yaml')
    expect([built.code, (await run('build', 'plain.yaml')).code]).toEqual([0, 0])
    expect(await readTensors(join(folder, 'o.safetensors'))).toEqual(await readTensors(join(folder, 'p.safetensors')))
    expect((await run('build', 'named.yaml', '--frozen')).code).toBe(0)
    writeFileSync(join(folder, 'parts/presets.yaml'), fileOf({ MINE: FLAT }))
    const frozen = await run('build', 'named.yaml', '--frozen')
    expect(frozen.code).toBe(4)
    const header = readFileSync(join(folder, 'o.safetensors')).toString('latin1', 8, 4000)
    expect(header).toContain('smelt.parts')
    expect(header).toContain('parts/presets.yaml')
  })
})

test('a list that the architecture does not take is told where the preset is named', async () => {
  const files = { 'p.yaml': fileOf({ MINE: RAMP.slice(0, 20) }), 'r.yaml': `${HEAD}presets: p.yaml\n${BLEND}${OUT}` }
  await inProject(files, async (folder) => {
    const { code, stderr } = await runHere(folder, ['check', 'r.yaml'])
    expect(code).toBe(1)
    expect(stderr).toContain('takes 26 block weights, not 20')
    expect(stderr).toMatch(/r\.yaml:5:\d+/)
  })
})
