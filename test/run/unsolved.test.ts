import { join } from 'node:path'
import { expect, test } from 'vitest'
import { inFolder } from '../support/build-run.js'
import { writeSafetensors } from '../support/write-safetensors.js'
import { buildIn, codesOf } from './support.js'

const matrix = (values: readonly number[]) => ({ dtype: 'F32', shape: [2, 2], values }) as const

test.each([
  ['singular', [1, 1, 1, 1]],
  ['not symmetric', [1, 0.5, 0, 1]],
])('a Gram matrix that is %s stops the build, naming the step that solves with it', (problem, gram) =>
  inFolder(async (folder) => {
    for (const name of ['a', 'b'])
      writeSafetensors(join(folder, `${name}.safetensors`), { weight: matrix([1, 2, 3, 4]) })
    writeSafetensors(join(folder, 'gram.safetensors'), { weight: matrix(gram) })
    const models = ['a', 'b'].map((model) => ({ model, statistics: 'gram' }))
    const result = await buildIn(folder, {
      models: { a: 'a.safetensors', b: 'b.safetensors', gram: 'gram.safetensors' },
      steps: {
        average: { op: 'merge.linear', models: ['a', 'b'] },
        regmean: { op: 'merge.regmean', models, alpha: 1 },
      },
      outputs: {
        first: { from: 'average', path: 'first.safetensors' },
        second: { from: 'regmean', path: 'second.safetensors' },
      },
    })
    expect(codesOf(result)).toEqual(['unsolved'])
    expect(result.diagnostics[0]!.message).toContain('step `regmean`')
    expect(result.diagnostics[0]!.message).toContain(problem)
  }),
)
