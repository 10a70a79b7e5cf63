import { truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeFolder, smelt, steady } from '../support/smelt.js'
import { writeSafetensors } from '../support/write-safetensors.js'

/** A recipe of two models with one step and one output, in which one line is other than it should be. */
const recipe = ({
  models = 'a: a.safetensors, b: b.safetensors',
  steps = 'x: { op: merge.blend, a: a, b: b }',
  outputs = 'o: { from: x, path: o.safetensors }',
}) => `smelt: 1\nmodels: { ${models} }\nsteps: { ${steps} }\noutputs: { ${outputs} }\n`

const FIVE = `smelt: 1
models: { a: a.safetensors, b: b.safetensors }
steps:
  one: { op: merge.blend, a: a, b: two, kep: 0.5 }
  two: { op: merge.blend, a: one, b: b, keep: zero }
  m: { op: mask.fill, like: a, value: true }
  three: { op: merge.blend, a: m, b: b }
outputs: { merged: { from: thre, path: out.safetensors } }
`

/** What is wrong with each recipe, and where: line and column. */
const BAD: Readonly<Record<string, { readonly text: string; readonly code: string; readonly at: string }>> = {
  'unknown-key': {
    text: recipe({ steps: 'x: { op: merge.blend, a: a, b: b, kepp: 1 }' }),
    code: 'unknown-key',
    at: '3:44',
  },
  'wrong-kind': {
    text: recipe({ steps: 'm: { op: mask.fill, like: a, value: true }, x: { op: merge.blend, a: m, b: b }' }),
    code: 'wrong-kind',
    at: '3:79',
  },
  cycle: { text: recipe({ steps: 'x: { op: merge.blend, a: x, b: b }' }), code: 'cycle', at: '3:35' },
  pattern: {
    text: recipe({ steps: 'x: { op: merge.blend, a: a, b: b, layers: "**.nothing" }' }),
    code: 'pattern-selects-nothing',
    at: '3:52',
  },
  'missing-file': { text: recipe({ models: 'a: a.safetensors, b: bb.safetensors' }), code: 'file-missing', at: '2:32' },
  pickle: { text: recipe({ models: 'a: a.safetensors, b: pickle.ckpt' }), code: 'pickle-checkpoint', at: '2:32' },
  truncated: {
    text: recipe({ models: 'a: a.safetensors, b: cut.safetensors' }),
    code: 'metadata-incomplete-buffer',
    at: '2:32',
  },
  shape: { text: recipe({ models: 'a: a.safetensors, b: shape.safetensors' }), code: 'shape-mismatch', at: '3:41' },
  'missing-tensor': {
    text: recipe({ models: 'a: a.safetensors, b: fewer.safetensors' }),
    code: 'missing-tensor',
    at: '3:41',
  },
  range: { text: recipe({ steps: 'x: { op: merge.dare, a: a, b: b, drop: 1.5 }' }), code: 'out-of-range', at: '3:49' },
  alike: {
    text: recipe({
      steps:
        'x: { op: merge.dare, a: a, b: b, base: a, iterations: 2 }, m: { op: mask.fill, like: a, p: 0.5 }, y: { op: merge.dare, a: x, b: b, kept: [m], iterations: 2 }',
      outputs: 'o: { from: y, path: o.safetensors }',
    }),
    code: 'kept-count',
    at: '3:147',
  },
  input: { text: recipe({ outputs: 'o: { from: x, path: ./b.safetensors }' }), code: 'output-is-input', at: '4:32' },
  twice: {
    text: recipe({ outputs: 'o: { from: x, path: o.safetensors }, p: { from: x, path: ./o.safetensors }' }),
    code: 'output-twice',
    at: '4:69',
  },
}

const folder = makeFolder({
  'five.yaml': FIVE,
  'good.yaml': recipe({}),
  ...Object.fromEntries(Object.entries(BAD).map(([name, { text }]) => [`${name}.yaml`, text])),
})

beforeAll(() => {
  const at = (name: string): string => join(folder.path, name)
  const tensors = {
    'x.weight': { dtype: 'F32', shape: [2, 2], values: 1 },
    'x.bias': { dtype: 'F32', shape: [2], values: 1 },
  } as const
  writeSafetensors(at('a.safetensors'), tensors)
  writeSafetensors(at('b.safetensors'), tensors)
  writeSafetensors(at('cut.safetensors'), tensors)
  truncateSync(at('cut.safetensors'), 150)
  writeSafetensors(at('shape.safetensors'), { ...tensors, 'x.weight': { dtype: 'F32', shape: [4], values: 1 } })
  writeSafetensors(at('fewer.safetensors'), { 'x.weight': tensors['x.weight'] })
  writeFileSync(at('pickle.ckpt'), Buffer.from('80027d71002e', 'hex'))
})
afterAll(() => folder.remove())

describe.concurrent('smelt check', () => {
  it('shows every problem of a recipe in order of place, with what to do', async () => {
    const done = await smelt(folder.path, ['check', 'five.yaml'])
    expect(done).toMatchObject({ code: 1, stdout: '' })
    expect(done.stderr).toBe(`error[cycle]: circular dependency: one → two → one
 --> five.yaml:4:36
  |
4 |   one: { op: merge.blend, a: a, b: two, kep: 0.5 }
  |                                    ^^^
note: \`two\` uses \`one\`
 --> five.yaml:5:30
  |
5 |   two: { op: merge.blend, a: one, b: b, keep: zero }
  |                              ^^^
help: change one of these references so that no step needs its own result

error[unknown-key]: \`one\` has no parameter \`kep\`
 --> five.yaml:4:41
  |
4 |   one: { op: merge.blend, a: a, b: two, kep: 0.5 }
  |                                         ^^^
help: did you mean \`keep\`?

error[unknown-name]: unknown name \`zero\`
 --> five.yaml:5:47
  |
5 |   two: { op: merge.blend, a: one, b: b, keep: zero }
  |                                               ^^^^
help: write a number, or the name of a step that yields weights

error[wrong-kind]: expected a model; \`m\` is a mask
 --> five.yaml:7:32
  |
7 |   three: { op: merge.blend, a: m, b: b }
  |                                ^
note: \`m\` is defined here
 --> five.yaml:6:3
  |
6 |   m: { op: mask.fill, like: a, value: true }
  |   ^
help: use the name of a model; \`smelt ops\` shows what each operator yields

error[unknown-name]: unknown name \`thre\`
 --> five.yaml:8:28
  |
8 | outputs: { merged: { from: thre, path: out.safetensors } }
  |                            ^^^^
help: did you mean \`three\`?

5 errors
`)
  })

  it('finds one problem, and only that, in each of many recipes at once', async () => {
    const done = await smelt(folder.path, [
      'check',
      '--json',
      ...Object.keys(BAD).map((name) => `${name}.yaml`),
      'good.yaml',
    ])
    const { recipes } = JSON.parse(done.stdout) as {
      readonly recipes: readonly {
        readonly path: string
        readonly ok: boolean
        readonly diagnostics: readonly {
          readonly code: string
          readonly help?: string
          readonly at: { readonly line: number; readonly column: number }
        }[]
      }[]
    }
    const found = Object.fromEntries(
      recipes.map(({ path, diagnostics }) => [path, diagnostics.map((d) => `${d.code} ${d.at.line}:${d.at.column}`)]),
    )
    expect(found).toEqual({
      ...Object.fromEntries(Object.entries(BAD).map(([name, { code, at }]) => [`${name}.yaml`, [`${code} ${at}`]])),
      'good.yaml': [],
    })
    expect(recipes.flatMap((r) => r.diagnostics).filter((d) => d.help === undefined)).toEqual([])
    expect(recipes.filter((r) => r.ok).map((r) => r.path)).toEqual(['good.yaml'])
    expect(done).toMatchObject({ code: 1, stderr: '' })
  })

  it('says that a sound recipe is, and names a file that is not there', async () => {
    const steps = 'x: { op: merge.blend, a: a, b: b }, r: { op: report.diff, a: a, b: x }'
    const outputs = 'o: { from: x, path: x.safetensors }, p: { from: r, path: p.html }'
    writeFileSync(join(folder.path, 'reported.yaml'), recipe({ steps, outputs }))
    const done = await smelt(folder.path, ['check', 'good.yaml', 'reported.yaml', 'god.yaml'])
    expect(done.code).toBe(1)
    expect(done.stdout).toBe(
      'good.yaml: ok, 2 models, 1 step, 1 output\nreported.yaml: ok, 2 models, 2 steps, 2 outputs\n',
    )
    expect(steady(done.stderr, folder.path)).toBe(
      'error[file-missing]: there is no file HERE/god.yaml\n --> god.yaml\nhelp: did you mean `good.yaml`?\n\n1 error\n',
    )
  })
})
