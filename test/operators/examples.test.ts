import { describe, expect, test } from 'vitest'
import { operators } from '#src/operators/index.js'
import { buildRun } from '../support/build-run.js'
import { evaluateRecipe } from '../support/evaluate.js'
import { exampleRun } from '../support/examples.js'
import { compareFile } from '../support/recipe-run.js'

// Reports have no tensors; their examples are run in report.test.ts.
describe.each(
  operators.filter(({ output }) => output !== 'report').map((operator) => [operator.id, operator] as const),
)('%s', (_id, operator) => {
  test('has an example', () => {
    expect(operator.examples.length).toBeGreaterThan(0)
  })

  test.each(operator.examples.map((example, i) => [example.title ?? `${i + 1}`, example] as const))(
    'computes its example in the interpreter: %s',
    (_title, example) => {
      const run = exampleRun(operator, example)
      const result = evaluateRecipe(run.recipe, run.files)
      expect(result.diagnostics).toEqual([])
      if (result.type !== 'ok' || run.expect === 'refusal') throw new Error('the recipe was refused')
      expect(compareFile(run, run.expect['out']!, result.value['out']!)).toEqual([])
    },
  )

  test.each(operator.examples.map((example, i) => [example.title ?? `${i + 1}`, example] as const))(
    'computes its example in ONNX Runtime: %s',
    async (_title, example) => {
      const run = exampleRun(operator, example)
      const result = await buildRun(run)
      expect(result.diagnostics).toEqual([])
      if (result.type !== 'ok' || run.expect === 'refusal') throw new Error('the recipe was refused')
      expect(compareFile(run, run.expect['out']!, result.value)).toEqual([])
    },
  )
})
