import { expect, test } from 'vitest'
import { problemsOf } from '../recipe/support.js'

const recipe = (step: string): string =>
  [
    'smelt: 1',
    'models: { a: a.safetensors, b: b.safetensors }',
    'steps:',
    `  s: { ${step} }`,
    'outputs: { o: { from: r, path: o.safetensors } }',
    '',
  ]
    .join('\n')
    .replace('outputs', '  r: { op: merge.blend, a: a, b: b, keep: s }\noutputs')

test.each([
  ['op: weights.mbw, like: a, preset: GRAD_W', 'GRAD_V'],
  ['op: weights.rules, like: a, rules: { preset: SMOTHSTEP }', 'SMOOTHSTEP'],
])('an unknown preset is refused with the nearest: %s', (step, nearest) => {
  expect(problemsOf(recipe(step))).toMatchObject([
    { severity: 'error', help: expect.stringContaining(`\`${nearest}\``) },
  ])
})

test.each([
  ['op: mask.magnitude, model: a, base: b, quantile: 1.2', 'quantile'],
  ['op: mask.fill, like: a, p: -1', 'p'],
])('a number out of range is one problem with its bounds: %s', (step) => {
  const problems = problemsOf(recipe(step)).filter((d) => d.code !== 'wrong-kind')
  expect(problems).toHaveLength(1)
  expect(`${problems[0]!.message} ${problems[0]!.help}`).toMatch(/0 (and|to) 1|at (least|most)/)
})
