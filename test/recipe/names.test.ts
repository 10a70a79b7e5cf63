import { describe, expect, test } from 'vitest'
import { defineOperator } from '#src/operators/define.js'
import { model, number } from '#src/operators/params.js'
import { readDocument } from '#src/document/read.js'
import type { MapValue } from '#src/document/value.js'
import { linkNames, orderSteps } from '#src/recipe/link.js'
import { readStep } from '#src/recipe/step.js'
import { placeText, problemsOf, recipeOf, tell } from './support.js'

const recipe = (steps: string, more = ''): string => `smelt: 1
models: { base: base.safetensors, anime: anime.safetensors }
params: { half: 0.5 }
steps:
${steps
  .trim()
  .split('\n')
  .map((line) => `  ${line}`)
  .join('\n')}
outputs: { out: { from: last, path: out.safetensors } }
${more}`

describe('names', () => {
  test('models, params and steps share one namespace, and both places are told', () => {
    const problems = problemsOf(
      recipe(
        'last: { op: merge.blend, a: base, b: anime }\nanime: { op: model.scale, model: base, factor: 2 }\nhalf: { op: model.scale, model: base, factor: 2 }',
      ),
    )
    expect(tell(problems)).toEqual(['name-twice @ 6: anime', 'name-twice @ 7: half'])
    expect(problems.map((p) => placeText(p.related[0]!.at))).toEqual(['2: anime', '3: half'])
  })

  test('a name that nothing has is told with the nearest that can stand there', () => {
    const [problem] = problemsOf(recipe('last: { op: merge.blend, a: base, b: animee }'))
    expect(tell([problem!])).toEqual(['unknown-name @ 5: animee'])
    expect(problem!.help).toBe('did you mean `anime`?')
  })

  test('a name far from all others is told with those there are', () => {
    const [problem] = problemsOf(recipe('last: { op: merge.blend, a: base, b: zzzzzzzzzzz }'))
    expect(problem!.help).toBe(
      'write the name of a model (`base`, `anime`, `last`), or add `zzzzzzzzzzz` under `models` or `steps`',
    )
  })

  test('a result of a value that has but one is unknown', () => {
    const problems = problemsOf(recipe('last: { op: merge.blend, a: base.1, b: anime }'))
    expect(tell(problems)).toEqual(['unknown-name @ 5: base.1'])
    expect(problems[0]!.help).toBe('did you mean `base`?')
  })

  test('a name with a slash is one of a step, not a file', () => {
    const [problem] = problemsOf(recipe('last: { op: merge.blend, a: anime/model, b: base }'))
    expect(problem!.help).toBe('write `anime`, or `anime.model` if it has an output of that name')
  })

  test('a wrong kind is told with the place it is used at and the place it is defined at', () => {
    const problems = problemsOf(
      recipe(
        'strong: { op: mask.magnitude, model: anime, base: base, quantile: 0.8 }\nlast: { op: merge.blend, a: base, b: strong, mask: anime, keep: anime }',
      ),
    )
    expect(tell(problems)).toEqual(['wrong-kind @ 6: strong', 'wrong-kind @ 6: anime', 'wrong-kind @ 6: anime'])
    expect(problems.map((p) => p.message)).toEqual([
      'expected a model; `strong` is a mask',
      'expected a mask; `anime` is a model',
      'expected a weights step; `anime` is a model',
    ])
    expect(problems.map((p) => placeText(p.related[0]!.at))).toEqual(['5: strong', '2: anime', '2: anime'])
  })

  test('a param is no model', () => {
    expect(problemsOf(recipe('last: { op: merge.blend, a: base, b: half }'))[0]!.message).toBe(
      'expected a model; `half` is a param',
    )
  })

  test('an output of weights is refused', () => {
    const problems = problemsOf(recipe('last: { op: weights.rules, like: base, rules: { default: 1 } }'))
    expect(tell(problems)).toEqual(['wrong-kind @ 6: last'])
    expect(problems[0]!.message).toMatch(/^expected a model, a mask.*; `last` is a weights step$/)
  })

  test('names in lists, in maps of weights, and of own masks are checked like all others', () => {
    const problems = problemsOf(
      recipe(`
one: { op: merge.linear, models: [base, animo] }
two: { op: merge.linear, models: { base: 1, anima: 2 } }
three: { op: merge.dare_linear, base: base, models: [{ model: anime, kept: anime, weight: nomask }] }
last: { op: mask.union, masks: [base, anime] }`),
    )
    expect(tell(problems)).toEqual([
      'unknown-name @ 5: animo',
      'unknown-name @ 6: anima',
      'wrong-kind @ 7: anime',
      'unknown-name @ 7: nomask',
      'wrong-kind @ 8: base',
      'wrong-kind @ 8: anime',
    ])
  })

  test('where a difference of models belongs, anything of another kind is told that', () => {
    const [problem] = problemsOf(
      recipe('m: { op: mask.fill, like: base, value: true }\nlast: { op: model.add, a: base, delta: m }'),
    )
    expect(tell([problem!])).toEqual(['wrong-kind @ 6: m'])
    expect(problem!.message).toBe('expected a difference of two models; `m` is a mask')
    expect(problem!.help).toContain('`model.subtract`')
  })

  test('whoever uses a step of an unknown operator is not blamed', () => {
    const text = recipe(
      'mystery: { op: merge.blendd, a: base, b: anime }\nlast: { op: merge.blend, a: mystery, b: mystery.2, mask: mystery }',
    )
    expect(tell(problemsOf(text))).toEqual(['unknown-choice @ 5: merge.blendd'])
    expect(
      tell(problemsOf(text.replace('mystery:', 'anime:').replaceAll(' mystery', ' base').replace('mystery.2', 'base'))),
    ).toContain('name-twice @ 5: anime')
  })
})

describe('cycles', () => {
  test('a cycle shows every edge', () => {
    const problems = problemsOf(
      recipe(
        'one: { op: merge.blend, a: base, b: two }\ntwo: { op: merge.blend, a: three, b: base }\nthree: { op: merge.linear, models: [anime, one] }\nlast: { op: merge.blend, a: one, b: base }',
      ),
    )
    expect(problems.map((p) => p.message)).toEqual(['circular dependency: one → two → three → one'])
    expect(placeText(problems[0]!.at)).toBe('5: two')
    expect(problems[0]!.related.map((r) => `${placeText(r.at)} (${r.message})`)).toEqual([
      '6: three (`two` uses `three`)',
      '7: one (`three` uses `one`)',
    ])
  })

  test('a step that uses itself is a cycle, told once however often it does', () => {
    expect(problemsOf(recipe('last: { op: merge.blend, a: last, b: last }')).map((p) => p.message)).toEqual([
      'circular dependency: last → last',
    ])
  })

  test('a step with the name of a model is no cycle, since nobody can tell which of the two is meant', () => {
    expect(
      problemsOf(
        recipe('anime: { op: merge.blend, a: anime, b: base }\nlast: { op: merge.blend, a: anime, b: base }'),
      ).map((p) => p.code),
    ).toEqual(['name-twice'])
  })

  test('two cycles through one step are both told, also where no output needs them', () => {
    const problems = problemsOf(
      recipe(`
hub: { op: merge.linear, models: [left, right, left] }
left: { op: merge.blend, a: hub, b: base }
right: { op: merge.blend, a: hub, b: base }
last: { op: merge.blend, a: base, b: anime }`),
    )
    expect(problems.map((p) => p.message)).toEqual([
      'circular dependency: hub → left → hub',
      'circular dependency: hub → right → hub',
    ])
  })
})

describe('steps with several results', () => {
  const parts = {
    ...defineOperator({
      id: 'mask.parts',
      version: 1,
      summary: 'Parts.',
      output: 'mask',
      inputs: { like: model('A model.', 'any') },
      params: { count: number({ description: 'How many.' }) },
      merges: false,
      exact: true,
      draws: false,
      examples: [],
      build: (g) => [g.constant(true), g.constant(false)],
    }),
    results: (params: Readonly<Record<string, unknown>>) => params['count'] as number,
  }
  const link = (use: string, from = 'x') => {
    const text = `models: { a: a.safetensors }\nsteps:\n  quarters: { like: a, count: 4 }\n  x: { like: ${use}, count: 1 }\noutputs: { o: { from: ${from}, path: o.safetensors } }\n`
    const document = readDocument({ path: 'recipe.yaml', text })
    if (document.type === 'failed') throw new Error('not a document')
    const block = (document.value as MapValue).entries.get('steps')!.value as MapValue
    const steps = new Map(
      [...block.entries].map(([name, e]) => [name, readStep(name, e.key, e.value as MapValue, parts)]),
    )
    return {
      problems: linkNames(document.value, {
        isRecipe: true,
        steps,
        uses: new Map(),
        declarations: new Map(),
        results: new Map(),
      }),
      order: orderSteps(steps, [from]).map((s) => s.name),
    }
  }

  test('each result has a name of its own', () => {
    expect(tell(link('a', 'quarters.4').problems)).toEqual([])
    expect(link('a', 'quarters.4').order).toEqual(['quarters'])
  })

  test('a result beyond the last is unknown', () => {
    const { problems } = link('a', 'quarters.5')
    expect(tell(problems)).toEqual(['unknown-name @ 5: quarters.5'])
    expect(problems[0]!.help).toMatch(/^did you mean `quarters\.\d`/)
  })

  test('the step’s own name is not enough', () => {
    const { problems } = link('quarters')
    expect(tell(problems)).toEqual(['which-result @ 4: quarters'])
    expect(problems[0]!.help).toBe('write one of `quarters.1`, `quarters.2`, `quarters.3`, `quarters.4`')
  })

  test('a step with one result is called by its name alone', () => {
    expect(tell(link('a', 'x').problems)).toEqual([])
    expect(tell(link('a', 'x.1').problems)).toEqual(['unknown-name @ 5: x.1'])
  })
})

test('steps are ordered by what they use and otherwise as they are written, without those that nothing needs', () => {
  const { steps } = recipeOf(
    recipe(`
last: { op: merge.blend, a: second, b: first }
first: { op: merge.blend, a: base, b: anime }
unused: { op: merge.blend, a: base, b: anime }
second: { op: merge.blend, a: first, b: anime }`),
  )
  expect(orderSteps(steps, ['last']).map((s) => s.name)).toEqual(['first', 'second', 'last'])
  expect(orderSteps(steps, ['base'])).toEqual([])
})
