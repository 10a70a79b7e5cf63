import { describe, expect, test } from 'vitest'
import { readSetFile } from '#src/recipe/set-file.js'
import { expandSettings, type ParamChoice } from '#src/recipe/settings.js'
import { problemsOf, tell } from './support.js'

const TEXT = `smelt: 1
params: { keep: 0.5, fast: true, name: plain, seed_word: x }
models: { a: "\${seed_word}.safetensors" }
outputs: { out: { from: a, path: "build/\${name}-\${keep}.safetensors" } }
`
const expand = (set: Readonly<Record<string, string>>, text = TEXT): readonly ParamChoice[] => {
  const result = expandSettings({ path: 'recipe.yaml', text }, set)
  if (result.type === 'failed') throw new Error(result.diagnostics.map((d) => d.code).join())
  return result.value
}

describe('what `--set` asks for', () => {
  test.each<[string, Readonly<Record<string, string>>]>([
    ['nothing', {}],
    ['one value', { keep: '0.3' }],
    ['a text with a comma that no path is made of', { seed_word: 'x,y' }],
    ['a comma in something that is no param', { other: '1,2' }],
  ])('%s is one setting without a label', (_, set) => expect(expand(set)).toEqual([{ label: '', set }]))

  test('several numbers, or truth values, are as many settings', () => {
    expect(expand({ keep: '0.3,0.5, 0.7' })).toEqual(
      ['0.3', '0.5', '0.7'].map((keep) => ({ label: `keep=${keep}`, set: { keep } })),
    )
    expect(expand({ fast: 'true,false' }).map((c) => c.set['fast'])).toEqual(['true', 'false'])
  })

  test('several texts are, where a path is made of them', () => {
    expect(expand({ name: 'one,two', seed_word: 'x,y' })).toEqual(
      ['one', 'two'].map((name) => ({ label: `name=${name}`, set: { name, seed_word: 'x,y' } })),
    )
  })

  test('several lists are every combination of them', () => {
    expect(expand({ keep: '1,2', fast: 'true,false', seed_word: 'z' }).map((c) => [c.label, c.set])).toEqual([
      ['keep=1, fast=true', { keep: '1', fast: 'true', seed_word: 'z' }],
      ['keep=1, fast=false', { keep: '1', fast: 'false', seed_word: 'z' }],
      ['keep=2, fast=true', { keep: '2', fast: 'true', seed_word: 'z' }],
      ['keep=2, fast=false', { keep: '2', fast: 'false', seed_word: 'z' }],
    ])
  })

  test('a value given twice is built once, and an empty one stays for the parser to refuse', () => {
    expect(expand({ keep: '1,2,1' }).map((c) => c.label)).toEqual(['keep=1', 'keep=2'])
    expect(expand({ keep: '0.1,.1,2,0.10,1e-1' }).map((c) => c.set['keep'])).toEqual(['0.1', '2'])
    expect(expand({ keep: '1,' }).map((c) => c.set['keep'])).toEqual(['1', ''])
  })

  test('more than a hundred settings are refused, with their number', () => {
    const list = (n: number): string => Array.from({ length: n }, (_, i) => i).join()
    expect(expand({ keep: list(100) })).toHaveLength(100)
    const result = expandSettings({ path: 'recipe.yaml', text: TEXT }, { keep: list(51), fast: 'true,false' })
    expect(result.diagnostics.map((d) => [d.code, d.severity])).toEqual([['too-many-settings', 'error']])
    expect(result.diagnostics[0]!.message).toContain('102')
  })

  test('of a recipe that cannot be read is left to whoever reads it next', () => {
    expect(expand({ keep: '1,2' }, 'smelt: [')).toEqual([{ label: '', set: { keep: '1,2' } }])
  })
})

describe('ranges in `--set`', () => {
  const labels = (set: Readonly<Record<string, string>>, text = TEXT): readonly string[] =>
    expand(set, text).map((c) => c.label)

  test('are as many settings as numbers, beside lists', () => {
    expect(labels({ keep: '0:0.3:0.1,0.9' })).toEqual(['keep=0', 'keep=0.1', 'keep=0.2', 'keep=0.3', 'keep=0.9'])
    expect(
      labels({ keep: '0:1:1' }, TEXT.replace('keep: 0.5', 'keep: { type: number, default: 0.5, max: 1 }')),
    ).toEqual(['keep=0', 'keep=1'])
  })

  test('are texts in a param that is one', () => {
    expect(expand({ name: '0:1:1' })).toEqual([{ label: '', set: { name: '0:1:1' } }])
  })

  test.each(['0:1', '0:1:0', '0:1:0.001'])('%s is refused', (keep) => {
    const result = expandSettings({ path: 'recipe.yaml', text: TEXT }, { keep })
    expect(tell(result.diagnostics)).toEqual(['bad-range @ --set'])
  })
})

describe('a grid', () => {
  const grid = (block: string): string => TEXT.replace('models:', `grid: ${block}\nmodels:`)
  const labels = (block: string, set: Readonly<Record<string, string>> = {}): readonly string[] =>
    expand(set, grid(block)).map((c) => c.label)

  test('is every combination of its lists and ranges', () => {
    expect(labels('{ keep: 0:0.2:0.1, fast: [true, false] }')).toEqual([
      'keep=0, fast=true',
      'keep=0, fast=false',
      'keep=0.1, fast=true',
      'keep=0.1, fast=false',
      'keep=0.2, fast=true',
      'keep=0.2, fast=false',
    ])
    expect(labels('{ name: ["one, two", three], keep: [0.1, 0.1, 0.2:0.4:0.1] }')).toHaveLength(8)
  })

  test('gives way to `--set` and to the rows of a file', () => {
    expect(expand({ keep: '0.7' }, grid('{ keep: [0.1, 0.2] }'))).toEqual([{ label: '', set: { keep: '0.7' } }])
    const result = expandSettings({ path: 'r', text: grid('{ keep: [0.1, 0.2], fast: [true, false] }') }, {}, [
      { keep: '0.9' },
    ])
    expect(result.type === 'ok' && result.value.map((c) => c.set)).toEqual([
      { keep: '0.9', fast: 'true' },
      { keep: '0.9', fast: 'false' },
    ])
  })

  test.each<[string, readonly string[]]>([
    ['{ kep: [0.1] }', ['unknown-param @ 3: kep']],
    ['{ keep: 0:1 }', ['bad-range @ 3: 0:1']],
    ['{ keep: [0.1, high] }', ['grid-value @ 3: high']],
    ['{ fast: [1] }', ['grid-value @ 3: 1']],
    ['{ keep: 0.5 }', ['no-such-form @ 3: 0.5']],
  ])('%s is told of in the recipe', (block, told) => expect(tell(problemsOf(grid(block)))).toEqual(told))

  test('has values that the param may have', () => {
    const text = grid('{ keep: 0:1.2:0.4 }').replace('keep: 0.5', 'keep: { type: number, default: 0.5, max: 1 }')
    const [problem] = problemsOf(text)
    expect(tell([problem!])).toEqual(['grid-value @ 3: 0:1.2:0.4'])
    expect(problem!.message).toContain('1.2')
  })

  test('of too many settings is told of where it stands', () => {
    const result = expandSettings({ path: 'r', text: grid('{ keep: 0:1:0.02, fast: [true, false] }') }, {})
    expect(tell(result.diagnostics)).toEqual(['too-many-settings @ 3: { keep: 0:1:0.02, fast: [true, false] }'])
  })
})

describe('a file of settings', () => {
  const rowsOf = (text: string) => readSetFile({ path: 'values.csv', text })

  test('has a setting in each line; an empty value leaves the param as it is', () => {
    const rows = rowsOf('keep, name\n0.1,one\n0.2,\n')
    const read = rows.type === 'ok' ? rows.value : []
    expect(read).toEqual([{ keep: '0.1', name: 'one' }, { keep: '0.2' }])
    const choices = expandSettings({ path: 'r', text: TEXT }, { fast: 'true,false' }, read)
    expect(choices.type === 'ok' && choices.value.map((c) => c.label)).toEqual([
      'keep=0.1, name=one, fast=true',
      'keep=0.1, name=one, fast=false',
      'keep=0.2, fast=true',
      'keep=0.2, fast=false',
    ])
  })

  test('gives way to `--set`, and a setting that comes twice is built once', () => {
    const choices = expandSettings({ path: 'r', text: TEXT }, { keep: '0.5' }, [
      { keep: '0.1', name: 'x' },
      { keep: '0.2', name: 'x' },
    ])
    expect(choices.type === 'ok' && choices.value).toEqual([{ label: 'name=x', set: { keep: '0.5', name: 'x' } }])
  })

  test('names what is no param once, where it first has a value', () => {
    const rows = rowsOf('keap,keep\n,0.1\n1,0.2\n2,0.3\n')
    const choices = expandSettings({ path: 'r', text: TEXT }, {}, rows.type === 'ok' ? rows.value : [])
    expect(tell(choices.diagnostics)).toEqual(['unknown-override @ 3: 1,0.2'])
  })

  test.each<[string, string]>([
    ['', 'bad-set-file @ values.csv'],
    ['keep\n', 'bad-set-file @ values.csv'],
    ['keep,\n1,2\n', 'bad-set-file @ 1: keep,'],
    ['keep,keep\n1,2\n', 'bad-set-file @ 1: keep,keep'],
    ['keep,name\n1\n', 'bad-set-file @ 2: 1'],
    ['keep;name\n0,3;x\n', 'bad-set-file @ 1: keep;name'],
    ['keep\n"1\n', 'bad-set-file @ 2: "'],
  ])('%j is refused', (text, told) => expect(tell(rowsOf(text).diagnostics)).toEqual([told]))
})
