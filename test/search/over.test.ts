import { describe, expect, test } from 'vitest'
import { readDocument } from '#src/document/read.js'
import { setNumbers } from '#src/document/set-scalars.js'
import { readDeclarations, type Declarations } from '#src/recipe/params.js'
import { readOver, valueAt } from '#src/search/over.js'
import { checkScoreCommand, fillCommand, lastNumber } from '#src/search/score.js'

const declare = (params: string): Declarations => {
  const document = readDocument({ path: 'recipe.yaml', text: `params: ${params}\n` })
  if (document.type === 'failed') throw new Error(document.diagnostics[0]!.message)
  return readDeclarations(document.value, false).declarations
}
const PARAMS = declare('{ keep: 0.5, bounded: { type: number, default: 0.2, min: 0, max: 1 }, name: x }')

describe('`--over`', () => {
  test('begins at the value of the recipe, or at the end of the range next to it', () => {
    const read = readOver(['keep=0:1', 'bounded=0.4:1'], PARAMS)
    expect(read.type === 'ok' && read.value).toEqual([
      { name: 'keep', low: 0, high: 1, start: 0.5 },
      { name: 'bounded', low: 0.4, high: 1, start: 0.4 },
    ])
  })

  test.each<[string, string]>([
    ['keep', 'over-malformed'],
    ['keep=0', 'over-malformed'],
    ['keep=0:', 'over-malformed'],
    ['keep=1:0', 'over-malformed'],
    ['keep=0:1:0.1', 'over-malformed'],
    ['kep=0:1', 'unknown-override'],
    ['name=0:1', 'over-not-number'],
    ['bounded=0:2', 'over-beyond'],
  ])('%s is refused', (text, code) => expect(readOver([text], PARAMS).diagnostics.map((d) => d.code)).toEqual([code]))

  test('of one param twice is refused', () => {
    expect(readOver(['keep=0:1', 'keep=0:2'], PARAMS).diagnostics.map((d) => d.code)).toEqual(['over-twice'])
  })

  test.each<[number, number, number, number]>([
    [0, 1, 0.123456, 0.1235],
    [0, 1, 0, 0],
    [0.1, 0.9, 1, 0.9],
    [-1000, 1000, 0.5001234, 0],
    [0, 1e-5, 0.5, 5e-6],
  ])('of %d to %d has few decimals', (low, high, place, value) => {
    expect(valueAt({ name: 'keep', low, high, start: low }, place)).toBe(value)
  })
})

describe('a score', () => {
  test.each<[string, number | undefined]>([
    ['93.5\n', 93.5],
    ['epoch 3: loss 0.25, accuracy 93.5%\n', 93.5],
    ['-1.5e-3', -0.0015],
    ['0.1\nmodel2 done\n', 0.1],
    ['range 0.5-0.75', 0.75],
    ['nan\n', undefined],
    ['accuracy on 500 images: nan #', undefined],
    ['0.5 and then -Inf', undefined],
    ['epoch 3: 1e999', undefined],
    ['scored runs/keep=0.25/out.safetensors', undefined],
    ['0.9 of C:\\\\models\\\\v2.safetensors', 0.9],
    ['{"accuracy":0.75}', 0.75],
    ['', undefined],
  ])('of %j is its last number', (text, score) => expect(lastNumber(text)).toBe(score))

  test('has the paths of outputs as words of the shell', () => {
    const paths = new Map([
      ['one', "it's here/a b.safetensors"],
      ['two', '$(x).safetensors'],
    ])
    expect(fillCommand('score {output} {output:two}', paths, false)).toBe(
      String.raw`score 'it'\''s here/a b.safetensors' '$(x).safetensors'`,
    )
    expect(fillCommand('score {output}', paths, true)).toBe(`score "it's here/a b.safetensors"`)
  })

  test.each<[string, readonly string[], string | undefined]>([
    ['score {output}', ['one'], undefined],
    ['score {output:two}', ['one', 'two'], undefined],
    ['score', ['one'], 'score-without-output'],
    ['score {output}', ['one', 'two'], 'score-ambiguous'],
    ['score {output:three}', ['one'], 'score-unknown-output'],
  ])('by %s over %j', (command, outputs, code) => expect(checkScoreCommand(command, outputs)?.code).toBe(code))
})

describe('numbers written into a document', () => {
  const set = (text: string, paths: readonly (readonly string[])[]) =>
    setNumbers(
      { path: 'recipe.yaml', text },
      paths.map((path, i) => ({ path, value: i + 0.5 })),
    )

  test('change nothing else of it', () => {
    const text = '# top\nparams:\n  keep:   0.1   # mine\n  size: { type: number, default: 3 } # yours\n'
    expect(
      set(text, [
        ['params', 'size', 'default'],
        ['params', 'keep'],
      ]),
    ).toBe('# top\nparams:\n  keep:   1.5   # mine\n  size: { type: number, default: 0.5 } # yours\n')
  })

  test('are not written where there is no number', () => {
    expect(set('params: { keep: x }\n', [['params', 'keep']])).toBeUndefined()
    expect(set('params: {}\n', [['params', 'keep']])).toBeUndefined()
    expect(set('params: {\n', [['params', 'keep']])).toBeUndefined()
  })
})
