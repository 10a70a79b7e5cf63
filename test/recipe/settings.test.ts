import { describe, expect, test } from 'vitest'
import { expandSettings, type ParamChoice } from '#src/recipe/settings.js'

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
