import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Source } from '#src/base/diagnostic.js'
import { ok, type Result } from '#src/base/result.js'
import { parse } from '#src/recipe/parse.js'
import type { Recipe } from '#src/recipe/recipe.js'
import { readRecipe } from '#src/run/prepare.js'
import { inFolder, readTensors } from '../support/build-run.js'
import { inlineWorker } from '../support/inline-worker.js'
import { build } from '#src/run/build.js'
import { writeSafetensors } from '../support/write-safetensors.js'

type Texts = Readonly<Record<string, string>>

const HEAD = 'smelt: 1\nmodels: { a: a.safetensors, b: b.safetensors, base: base.safetensors }\n'
const OUT = '\noutputs: { o: { from: end, path: o.safetensors } }\n'
const PART = `smelt: 1
params:
  x: { type: model }
  y: { type: model, description: What is blended in. }
  keep: { type: number, default: 0.5, min: 0, max: 1 }
steps:
  moved: { op: mask.magnitude, model: x, base: y, select: above, quantile: 0.5 }
  blended: { op: merge.dare, a: x, b: y, drop: 0.5, keep: $keep, mask: moved }
results: { model: blended, mask: moved }
`

const read = (steps: string, parts: Texts = {}, set: Texts = {}): Result<Recipe> =>
  parse(
    {
      path: 'recipe.yaml',
      text: HEAD + steps + (steps.includes('end: { use: p.yaml') ? OUT.replace('end', 'end.model') : OUT),
    },
    { set },
    new Map(Object.entries(parts).map(([path, text]) => [path, ok<Source>({ path, text })])),
  )
const problems = (result: Result<Recipe>): readonly string[] =>
  result.diagnostics.map((d) => {
    const { path } = d.at?.type === 'text' ? d.at.range.source : { path: '' }
    const related = d.related.map(({ message }) => message.replaceAll('`', ''))
    return [`${d.code} in ${path}`, ...related].join('; ')
  })
const recipeOf = (result: Result<Recipe>): Recipe => {
  if (result.type === 'failed') throw new Error(JSON.stringify(result.diagnostics, undefined, 1))
  return result.value
}
const inputsOf = (recipe: Recipe, step: string): unknown => {
  const { inputs, mask } = recipe.steps.get(step)!
  return {
    ...Object.fromEntries(Object.entries(inputs).map(([key, n]) => [key, (n as { name: string }).name])),
    ...(mask === undefined ? {} : { mask: mask.name }),
  }
}

describe('a part in a file', () => {
  const parts = { 'parts/protect.yaml': PART }
  const steps =
    'steps:\n  end: { op: merge.blend, a: safe.model, b: b, keep: 0.3, mask: safe.mask }\n  safe: { use: parts/protect.yaml, x: a, y: base, keep: 0.25 }'
  const recipe = recipeOf(read(steps, parts))

  test('gives the recipe its steps, under the name of the step that uses it', () => {
    expect([...recipe.steps.keys()].sort()).toEqual(['end', 'safe/blended', 'safe/moved'])
    expect(inputsOf(recipe, 'safe/blended')).toEqual({ a: 'a', b: 'base', mask: 'safe/moved' })
    expect(inputsOf(recipe, 'end')).toEqual({ a: 'safe/blended', b: 'b', mask: 'safe/moved' })
    expect(recipe.steps.get('safe/blended')!.params['keep']).toMatchObject({ type: 'value', value: 0.25 })
  })
  test('is kept with the recipe', () => {
    expect([...recipe.parts.keys()]).toEqual(['parts/protect.yaml'])
    expect([...recipe.idleUses.keys()]).toEqual([])
  })
  test('is used several times, each with its own params', () => {
    const twice = recipeOf(
      read('steps:\n  one: { use: p.yaml, x: a, y: base }\n  end: { use: p.yaml, x: one.model, y: b, keep: 1 }', {
        'p.yaml': PART.replace(', mask: moved }\n', ' }\n'),
      }),
    )
    expect(inputsOf(twice, 'end/blended')).toMatchObject({ a: 'one/blended', b: 'b' })
    expect(twice.steps.get('one/blended')!.params['keep']).toMatchObject({ value: 0.5 })
    expect(twice.steps.get('end/blended')!.params['keep']).toMatchObject({ value: 1 })
  })
})

describe('parts in parts', () => {
  const inner = PART.replace(', mask: moved }', ' }').replace(
    'results: { model: blended, mask: moved }',
    'results: { out: blended }',
  )
  const outer =
    'smelt: 1\nparams: { m: { type: model }, n: { type: model } }\nsteps:\n  in: { use: ../inner.yaml, x: m, y: n }\n  again: { use: ../inner.yaml, x: in, y: m }\nresults: { out: again.out }\n'

  test('are found beside the part that uses them, and pass names on', () => {
    const recipe = recipeOf(
      read('steps:\n  end: { use: folder/outer.yaml, m: a, n: base }', {
        'folder/outer.yaml': outer,
        'inner.yaml': inner,
      }),
    )
    expect(recipe.outputs.get('o')!.from.name).toBe('end/again/blended')
    expect(inputsOf(recipe, 'end/in/blended')).toEqual({ a: 'a', b: 'base' })
    expect(inputsOf(recipe, 'end/again/blended')).toEqual({ a: 'end/in/blended', b: 'a' })
  })
  test('that use themselves are refused, with the places that led there', () => {
    const result = read('steps:\n  end: { use: one.yaml, m: a, n: b }', {
      'one.yaml': outer.replaceAll('../inner.yaml', 'two.yaml').replaceAll('x: ', 'm: ').replaceAll('y: ', 'n: '),
      'two.yaml': outer.replaceAll('../inner.yaml', 'one.yaml').replaceAll('x: ', 'm: ').replaceAll('y: ', 'n: '),
    })
    expect(problems(result)[0]).toBe(
      'part-cycle in two.yaml; step again uses this part here; step end uses this part here',
    )
  })
  test('that multiply are refused', () => {
    const level = (next: string): string =>
      `smelt: 1\nparams: { m: { type: model } }\nsteps:\n${Array.from({ length: 11 }, (_, i) => `  s${i}: { use: ${next}, m: m }\n`).join('')}results: { out: s0 }\n`
    const last =
      'smelt: 1\nparams: { m: { type: model } }\nsteps: { s: { op: model.scale, model: m, factor: 1 } }\nresults: { out: s }\n'
    const result = read('steps:\n  end: { use: p0.yaml, m: a }', {
      'p0.yaml': level('p1.yaml'),
      'p1.yaml': level('p2.yaml'),
      'p2.yaml': level('p3.yaml'),
      'p3.yaml': last,
    })
    expect(problems(result).some((problem) => problem.startsWith('too-many-uses'))).toBe(true)
  })
})

describe('what is wrong', () => {
  const parts = { 'p.yaml': PART }
  const cases: readonly (readonly [what: string, steps: string, parts: Texts, problems: readonly string[]])[] = [
    ['a param is missing', 'end: { use: p.yaml, x: a }', parts, ['missing-key in recipe.yaml']],
    ['a param is unknown', 'end: { use: p.yaml, x: a, y: b, kep: 1 }', parts, ['unknown-key in recipe.yaml']],
    [
      'a number is out of its range',
      'end: { use: p.yaml, x: a, y: b, keep: 2 }',
      parts,
      ['out-of-range in recipe.yaml'],
    ],
    [
      'a name is of another kind',
      'm: { op: mask.layers, like: a, layers: "*" }\n  end: { use: p.yaml, x: m, y: b }',
      parts,
      ['wrong-kind in recipe.yaml; m is defined here'],
    ],
    ['a name is unknown', 'end: { use: p.yaml, x: nobody, y: b }', parts, ['unknown-name in recipe.yaml']],
    [
      'a result is unknown',
      's: { use: p.yaml, x: a, y: b }\n  end: { op: model.scale, model: s.modl, factor: 1 }',
      parts,
      ['unknown-name in recipe.yaml'],
    ],
    [
      'it is not said which result',
      's: { use: p.yaml, x: a, y: b }\n  end: { op: model.scale, model: s, factor: 1 }',
      parts,
      ['which-result in recipe.yaml'],
    ],
    ['the part is not there', 'end: { use: q.yaml, x: a, y: b }', parts, ['part-not-read in recipe.yaml']],
    ['a step has an operator too', 'end: { use: p.yaml, op: merge.blend }', parts, ['use-and-op in recipe.yaml']],
    ['the path is a number', 'end: { use: 3 }', parts, ['use-path in recipe.yaml']],
    ['a recipe is used', 'end: { use: r.yaml }', { 'r.yaml': `${HEAD}steps: {}${OUT}` }, ['not-a-part in recipe.yaml']],
    [
      'a step of the part is wrong',
      'end: { use: p.yaml, x: a, y: b }',
      { 'p.yaml': PART.replace('quantile: 0.5', 'quantile: 5') },
      ['out-of-range in p.yaml; step end uses this part here'],
    ],
    [
      'a name inside is unknown',
      'end: { use: p.yaml, x: a, y: b }',
      { 'p.yaml': PART.replace('mask: moved }', 'mask: moves }') },
      ['unknown-name in p.yaml; step end uses this part here'],
    ],
    [
      'a result inside is unknown',
      'end: { use: p.yaml, x: a, y: b }',
      { 'p.yaml': PART.replace('model: blended', 'model: blend') },
      ['unknown-name in p.yaml; step end uses this part here'],
    ],
    [
      'a default is out of its range',
      'end: { use: p.yaml, x: a, y: b }',
      { 'p.yaml': PART.replace('default: 0.5', 'default: 5') },
      ['param-default in p.yaml; step end uses this part here'],
    ],
    [
      'steps depend on each other through a part',
      's: { use: p.yaml, x: end, y: b }\n  end: { op: model.scale, model: s.model, factor: 1 }',
      parts,
      ['cycle in recipe.yaml; s/blended uses end', 'cycle in recipe.yaml; s/blended uses s/moved; s/moved uses end'],
    ],
  ]
  test.each(cases)('%s', (_, steps, files, expected) => {
    expect([...problems(read(`steps:\n  ${steps}`, files))].sort()).toEqual([...expected].sort())
  })
  const THROUGH = 'smelt: 1\nparams: { m: { type: model } }\nsteps: {}\nresults: { out: m }\n'
  test.each([
    [
      'a step uses its own result',
      'steps:\n  end: { use: p.yaml, x: end.model, y: b }',
      ['cycle in p.yaml', 'cycle in p.yaml; end/blended uses end/moved'],
    ],
    ['a step stands for itself', 'steps:\n  end: { use: t.yaml, m: end }', ['cycle in recipe.yaml']],
    [
      'two stand for each other',
      'steps:\n  end: { use: t.yaml, m: other }\n  other: { use: t.yaml, m: end.out }',
      ['cycle in recipe.yaml'],
    ],
    [
      'a default names nothing',
      'params: { k: { type: model, default: nope } }\nsteps:\n  end: { op: model.scale, model: k, factor: 1 }',
      ['unknown-name in recipe.yaml'],
    ],
    [
      'a default names itself',
      'params: { k: { type: model, default: k } }\nsteps:\n  end: { op: model.scale, model: k, factor: 1 }',
      ['unknown-name in recipe.yaml'],
    ],
    [
      'a default is of another kind',
      'params: { k: { type: mask, default: a } }\nsteps:\n  end: { op: merge.blend, a: a, b: b, keep: 1, mask: k }',
      ['wrong-kind in recipe.yaml; a is defined here'],
    ],
    ['a part is empty', 'steps:\n  end: { use: e.yaml, x: a }', ['wrong-type in e.yaml; step end uses this part here']],
    [
      'a part has a choice of nothing',
      'steps:\n  end: { use: c.yaml, x: lerp }',
      [
        'unknown-name in c.yaml; step end uses this part here',
        'wrong-length in c.yaml; step end uses this part here',
        'param-choices in c.yaml; step end uses this part here',
      ],
    ],
    [
      '`parts` is a list',
      'parts: []\nsteps:\n  end: { op: model.scale, model: a, factor: 1 }',
      ['wrong-type in recipe.yaml'],
    ],
  ])('%s', (_, text, expected) => {
    const files = {
      'p.yaml': PART,
      't.yaml': THROUGH,
      'e.yaml': '# nothing yet\n',
      'c.yaml': 'smelt: 1\nparams: { x: { type: choice, choices: [] } }\nsteps: {}\nresults: { out: r }\n',
    }
    const found = problems(read(text, files))
    expect([...new Set(found)].sort()).toEqual([...expected].sort())
  })
  test('a param may stand for the result of a part, and a part for its own param', () => {
    const text =
      'params: { k: { type: model, default: t.out } }\nsteps:\n  t: { use: t.yaml, m: a }\n  end: { op: model.scale, model: k, factor: 1 }'
    const recipe = recipeOf(read(text, { 't.yaml': THROUGH }))
    expect(inputsOf(recipe, 'end')).toEqual({ model: 'a' })
    expect([...recipe.idleUses.keys()]).toEqual([])
  })
  test('a part is built', () => {
    expect(problems(parse({ path: 'p.yaml', text: PART }))).toEqual(['is-a-part in p.yaml'])
  })
})

describe('params with types', () => {
  const params = (text: string, steps = 'end: { op: merge.blend, a: $main, b: b, keep: $keep }', set: Texts = {}) =>
    read(`params: ${text}\nsteps:\n  ${steps}`, {}, set)
  const typed = '{ keep: { type: number, default: 0.5, min: 0, max: 1 }, main: { type: model, default: a } }'

  test('are replaced by their defaults', () => {
    expect(recipeOf(params(typed)).params).toEqual({ keep: 0.5, main: 'a' })
    expect(inputsOf(recipeOf(params(typed)), 'end')).toEqual({ a: 'a', b: 'b' })
  })
  test('name models by themselves, and other models when they are set', () => {
    const steps = 'end: { op: merge.blend, a: main, b: b, keep: $keep }'
    expect(inputsOf(recipeOf(params(typed, steps)), 'end')).toEqual({ a: 'a', b: 'b' })
    expect(inputsOf(recipeOf(params(typed, steps, { main: 'base' })), 'end')).toEqual({ a: 'base', b: 'b' })
  })
  test.each([
    ['a number beyond its range', typed, { keep: '2' }, 'param-not-allowed in '],
    [
      'a word that is no choice',
      '{ keep: 0.5, main: { type: choice, choices: [a, b], default: a } }',
      { main: 'base' },
      'param-not-allowed in ',
    ],
    ['no default', '{ keep: { type: number }, main: a }', {}, 'param-default in recipe.yaml'],
    ['a choice of nothing', '{ keep: 0.5, main: { type: choice, default: a } }', {}, 'param-choices in recipe.yaml'],
    [
      'a default of another type',
      '{ keep: { type: number, default: much }, main: a }',
      {},
      'param-default in recipe.yaml',
    ],
    ['a type that is none', '{ keep: { type: float, default: 1 }, main: a }', {}, 'not-one-of in recipe.yaml'],
  ])('are refused with %s', (_, text, set, expected) => {
    expect(problems(params(text, undefined, set))).toContain(expected)
  })
})

test('a part gives the same bytes inside the recipe, in a file, and in a file elsewhere', async () => {
  const inline = PART.replace('smelt: 1\n', '')
    .split('\n')
    .map((line) => `    ${line}`)
    .join('\n')
  const recipes: Readonly<Record<string, Texts>> = {
    inside: {
      'recipe.yaml': `${HEAD}parts:\n  protect:\n${inline}\nsteps:\n  end: { use: protect, x: a, y: base }\noutputs: { o: { from: end.model, path: o.safetensors } }\n`,
    },
    beside: {
      'recipe.yaml': `${HEAD}steps:\n  end: { use: protect.yaml, x: a, y: base }\noutputs: { o: { from: end.model, path: o.safetensors } }\n`,
      'protect.yaml': PART,
    },
    elsewhere: {
      'recipe.yaml': `${HEAD}steps:\n  end: { use: lib/parts/p.yaml, x: a, y: base }\noutputs: { o: { from: end.model, path: o.safetensors } }\n`,
      'lib/parts/p.yaml': PART,
    },
  }
  const results: unknown[] = []
  for (const texts of Object.values(recipes))
    await inFolder(async (folder) => {
      for (const [i, name] of ['a', 'b', 'base'].entries())
        writeSafetensors(join(folder, `${name}.safetensors`), {
          x: { dtype: 'F32', shape: [64], values: Array.from({ length: 64 }, (_, k) => Math.sin(k * (i + 1))) },
        })
      for (const [path, text] of Object.entries(texts)) {
        mkdirSync(dirname(join(folder, path)), { recursive: true })
        writeFileSync(join(folder, path), text)
      }
      const built = await build(join(folder, 'recipe.yaml'), { workers: 1, start: inlineWorker, lock: false })
      expect(built.diagnostics).toEqual([])
      results.push((await readTensors(join(folder, 'o.safetensors')))['x']!.values)
    })
  expect(results[1]).toEqual(results[0])
  expect(results[2]).toEqual(results[0])
})

test('parts are read from files, relative to the file that uses them', async () => {
  await inFolder(async (folder) => {
    mkdirSync(join(folder, 'parts'))
    writeFileSync(join(folder, 'parts/p.yaml'), PART)
    writeFileSync(
      join(folder, 'r.yaml'),
      `${HEAD}steps:\n  end: { use: parts/p.yaml, x: a, y: base }\n  lost: { use: parts/q.yaml }\noutputs: { o: { from: end.model, path: o.safetensors } }\n`,
    )
    const result = await readRecipe(join(folder, 'r.yaml'))
    expect(result.diagnostics.map((d) => d.code)).toEqual(['file-missing'])
  })
})
