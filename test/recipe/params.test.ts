import { describe, expect, test } from 'vitest'
import { problemsOf, recipeOf, tell } from './support.js'

const RECIPE = `smelt: 1
params:
  keep: 0.35
  label: plain
  rescale: true
  dir: files
models:
  a: \${dir}/a.safetensors
  b: { path: "\${dir}/\${label}.safetensors" }
steps:
  blend: { op: merge.blend, a: a, b: b, keep: $keep }
  dare: { op: merge.dare, a: blend, b: b, rescale: $rescale }
outputs:
  out: { from: dare, path: "build/\${label}-\${keep}.safetensors" }
`

const keepOf = (set: Record<string, string> = {}): unknown => recipeOf(RECIPE, set).steps.get('blend')!.params['keep']

describe('params', () => {
  test('a `$name` stands for the value, with its type', () => {
    expect(keepOf()).toMatchObject({ type: 'value', value: 0.35 })
    expect(recipeOf(RECIPE).steps.get('dare')!.params['rescale']).toMatchObject({ type: 'value', value: true })
  })

  test('a `${name}` stands inside the paths of models and outputs, in both forms', () => {
    const recipe = recipeOf(RECIPE)
    expect([...recipe.inputs.values()].map((m) => m.path)).toEqual(['files/a.safetensors', 'files/plain.safetensors'])
    expect(recipe.outputs.get('out')!.path).toBe('build/plain-0.35.safetensors')
  })

  test('a `${name}` that is a whole value is the same as `$name`, and inside another text it is text', () => {
    const named = (name: string): string => recipeOf(RECIPE.replace('smelt: 1', `smelt: 1\nname: "${name}"`)).name
    expect(named('${label}')).toBe('plain')
    expect(named('a ${label}')).toBe('a ${label}')
  })

  test('arithmetic over params is a number, in values, rules, lists and paths', () => {
    const text = RECIPE.replace(
      'keep: $keep',
      'keep: { default: "${1 - keep}", "**.bias": "${(keep + 0.15) * 2 / 4}" }',
    ).replace('label}-${keep}', 'label}-${1 - keep}')
    const recipe = recipeOf(text)
    expect(recipe.steps.get('blend')!.params['keep']).toMatchObject({
      type: 'rules',
      rules: { default: 0.65, entries: [{ value: 0.25 }] },
    })
    expect(recipe.outputs.get('out')!.path).toBe('build/plain-0.65.safetensors')
    expect(recipe.computed).toEqual({ '1 - keep': 0.65, '(keep + 0.15) * 2 / 4': 0.25 })
    expect(recipeOf(text, { keep: '0.9' }).computed['1 - keep']).toBe(0.1)
  })

  test.each<[string, string, string]>([
    ['1 -', 'bad-arithmetic', '`${1 -}` expects a number, a param or `(` at its end'],
    ['1 - * keep', 'bad-arithmetic', '`${1 - * keep}` expects a number, a param or `(`, not `*`'],
    ['(1 - keep', 'bad-arithmetic', '`${(1 - keep}` expects `)` at its end'],
    ['keep ** 2', 'bad-arithmetic', '`${keep ** 2}` expects a number, a param or `(`, not `*`'],
    ['keep % 2', 'bad-arithmetic', '`${keep % 2}` expects `+`, `-`, `*`, `/` or the end, not `%`'],
    ['1 - label', 'bad-arithmetic', '`${1 - label}` computes with `label`, which is not a number'],
    ['1 / (keep - 0.35)', 'bad-arithmetic', '`${1 / (keep - 0.35)}` divides by zero or is too large for a number'],
    ['1-keep-0.2', 'bad-arithmetic', 'unknown param `keep-0`'],
    ['1 - keeep', 'unknown-param', 'unknown param `keeep`'],
    [
      `${'('.repeat(100)}1${')'.repeat(100)}`,
      'bad-arithmetic',
      `\`\${${'('.repeat(100)}1${')'.repeat(100)}}\` has too many parentheses or signs inside each other`,
    ],
  ])('an expression that cannot be computed is one error: %s', (expression, code, message) => {
    const problems = problemsOf(RECIPE.replace('keep: $keep', `keep: "\${${expression}}"`))
    expect(problems.map((p) => [p.code, p.message])).toEqual([[code, message]])
  })

  test('an override is read as the type that the recipe gives', () => {
    const recipe = recipeOf(RECIPE, { keep: '1e-1', label: '7', rescale: 'false' })
    expect(recipe.params).toEqual({ keep: 0.1, label: '7', rescale: false, dir: 'files' })
    expect(recipe.outputs.get('out')!.path).toBe('build/7-0.1.safetensors')
  })

  test.each([
    ['keep', 'half'],
    ['keep', ''],
    ['keep', ' '],
    ['keep', 'Infinity'],
    ['keep', 'NaN'],
    ['rescale', '1'],
    ['rescale', 'yes'],
  ])('an override of another type is refused: %s=%s', (name, value) => {
    const [problem, ...more] = problemsOf(RECIPE, { [name]: value })
    expect(problem).toMatchObject({ code: 'param-wrong-type', blame: 'usage', at: { type: 'option', name: '--set' } })
    expect(more).toEqual([])
  })

  test('an override that nothing has is refused with the nearest name', () => {
    const [problem] = problemsOf(RECIPE, { keeep: '1' })
    expect(problem).toMatchObject({ code: 'unknown-override', blame: 'usage', help: 'did you mean `keep`?' })
    expect(problemsOf(RECIPE, { constructor: '1' })[0]).toMatchObject({ code: 'unknown-override' })
  })

  test('an override far from every name is answered with the names there are', () => {
    expect(problemsOf(RECIPE, { temperature: '1' })[0]!.help).toBe(
      'set one of its params: `keep`, `label`, `rescale`, `dir`',
    )
    expect(
      problemsOf('smelt: 1\nmodels: { a: a }\noutputs: { o: { from: a, path: o.safetensors } }\n', { x: '1' })[0]!.help,
    ).toBe('declare it in the recipe: `params: { x: 0.5 }`')
  })

  test('a `$name` that is no param is one problem, in a number, a name and a path', () => {
    const text = RECIPE.replace('$keep', '$kep')
      .replace('op: merge.dare, a: blend', 'op: merge.dare, a: $blend')
      .replace('build/${label}', 'build/${labl}')
    const problems = problemsOf(text)
    expect(tell(problems)).toEqual([
      'unknown-param @ 11: $kep',
      'unknown-param @ 12: $blend',
      'unknown-param @ 14: "build/${labl}-${keep}.safetensors"',
    ])
    expect(problems[0]!.help).toBe('did you mean `keep`?')
  })

  test('a param that is a list is told once, where it is declared', () => {
    const problems = problemsOf(RECIPE.replace('keep: 0.35', 'keep: [0.35]'), { keep: '1' })
    expect(tell(problems)).toEqual(['no-such-form @ 3: [0.35]'])
  })

  test('a param of a wrong type or range is told where it is used', () => {
    expect(
      tell(problemsOf(RECIPE.replace('op: merge.dare,', 'op: merge.dare, drop: $keep,'), { keep: '1.5' })),
    ).toEqual(['out-of-range @ 12: $keep'])
    expect(tell(problemsOf(RECIPE.replace('keep: $keep', 'keep: $rescale')))).toEqual(['no-such-form @ 11: $rescale'])
  })
})
