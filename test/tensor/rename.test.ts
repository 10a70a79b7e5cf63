import { describe, expect, test } from 'vitest'
import { renameTensors, type RenameRule } from '#src/tensor/rename.js'

const rulesOf = (rules: Readonly<Record<string, string>>): readonly RenameRule[] =>
  Object.entries(rules).map(([text, to], i) => ({
    pattern: { text, at: { type: 'option', name: `match ${i + 1}` } },
    to,
    at: { type: 'option', name: `to ${i + 1}` },
  }))

const renamed = (rules: Readonly<Record<string, string>>, ...names: readonly string[]): readonly string[] => {
  const result = renameTensors(rulesOf(rules), names)
  if (result.type === 'failed') throw new Error(result.diagnostics[0]!.message)
  return result.value
}

const problem = (rules: Readonly<Record<string, string>>, ...names: readonly string[]) => {
  const [first] = renameTensors(rulesOf(rules), names).diagnostics
  if (first === undefined) throw new Error('nothing is wrong')
  return { code: first.code, at: first.at?.type === 'option' ? first.at.name : undefined, help: first.help }
}

describe('a pattern', () => {
  test('matches the beginning of a name, and what lies below stays', () => {
    expect(renamed({ encoder: 'vae.encoder' }, 'encoder.conv.weight', 'encoders.conv.weight')).toEqual([
      'vae.encoder.conv.weight',
      'encoders.conv.weight',
    ])
  })

  test('is removed by an empty new name', () => {
    expect(renamed({ 'model.diffusion_model': '' }, 'model.diffusion_model.out.weight', 'betas')).toEqual([
      'out.weight',
      'betas',
    ])
  })

  test.each([
    [{ 'h.*.attn': 'layers.$1.attention' }, 'h.12.attn.q.weight', 'layers.12.attention.q.weight'],
    [{ '*.*': '$2.$1' }, 'a.b.c', 'b.a.c'],
    [{ '**.gamma': '$1.weight' }, 'a.b.norm.gamma', 'a.b.norm.weight'],
    [{ '**.gamma': '$1.weight' }, 'gamma', 'weight'],
    [{ '**.b': 'x.$1' }, 'a.b.b.c', 'x.a.b.c'],
    [{ 'a.**': 'z.$1' }, 'a.b.c', 'z.b.c'],
    [{ 'a.**': '$1.z' }, 'a.b.c', 'b.c.z'],
    [{ '**': 'root.$1' }, 'a.b', 'root.a.b'],
    [{ '**.*.weight': '$2.$1' }, 'a.b.c.weight', 'c.a.b'],
    [{ 'layer_*_?': 'l.$1.$2' }, 'layer_12_a.bias', 'l.12.a.bias'],
    [{ '*_*': '$2_$1' }, 'a_b_c', 'b_c_a'],
    [{ 'conv[0-9]': 'conv.$1' }, 'conv3.weight', 'conv.3.weight'],
    [{ 'attn.@(q|k)_proj': 'attn.to_$1' }, 'attn.k_proj.weight', 'attn.to_k.weight'],
    [{ 'attn.{q,k}_proj': 'attn.qk' }, 'attn.k_proj.weight', 'attn.qk.weight'],
    [{ 'block.{a.b,c}.*': 'x$1' }, 'block.a.b.7.w', 'x7.w'],
    [{ '**.w': 'pre$1.w' }, 'a.b.w', 'prea.b.w'],
  ])('puts what its wildcards matched into the new name: %j', (rules, name, expected) => {
    expect(renamed(rules as unknown as Record<string, string>, name)).toEqual([expected])
  })

  test('with many wildcards takes no longer than its length allows', () => {
    const stars = Array.from({ length: 30 }, () => '*a').join('')
    const deep = Array.from({ length: 30 }, () => '**.a').join('.')
    expect(problem({ [stars]: 'x' }, `${'a'.repeat(60)}b`).code).toBe('renames-nothing')
    expect(problem({ [deep]: 'x' }, `${'a.'.repeat(25)}b`).code).toBe('renames-nothing')
  })
})

test('rules apply in order, each to the names as those before it left them', () => {
  expect(renamed({ a: 'b', 'b.c': 'd' }, 'a.c.weight', 'b.e.weight')).toEqual(['d.weight', 'b.e.weight'])
  expect(problem({ 'b.c': 'd', a: 'b' }, 'a.c.weight')).toMatchObject({ code: 'renames-nothing', at: 'match 1' })
})

test('two names may be alike on the way, and not in the end', () => {
  expect(renamed({ a: 'b', 'b.*.x': 'c.$1.x' }, 'a.1.x', 'b.2.x')).toEqual(['c.1.x', 'c.2.x'])
  expect(problem({ a: 'b' }, 'a.x', 'b.x')).toMatchObject({ code: 'renamed-alike', at: 'to 1' })
})

describe('a rule that matches no name', () => {
  test('is an error at its pattern that suggests the nearest name', () => {
    expect(problem({ encodr: 'x' }, 'encoder.weight')).toMatchObject({
      code: 'renames-nothing',
      at: 'match 1',
      help: expect.stringContaining('`encoder`'),
    })
  })

  test('suggests where the pattern would match further in', () => {
    expect(problem({ 'out.2': 'x' }, 'model.diffusion_model.out.2.weight').help).toContain(
      '`model.diffusion_model.out.2`',
    )
  })

  test('is none if it may match nothing', () => {
    const rule = { pattern: { text: 'nowhere', optional: true }, to: 'x' }
    expect(renameTensors([rule], ['a'])).toMatchObject({ type: 'ok', value: ['a'] })
  })
})

test.each([
  [{ a: '' }, 'bad-new-name', 'to 1'],
  [{ a: 'x.' }, 'bad-new-name', 'to 1'],
  [{ '*b': '$1' }, 'bad-new-name', 'to 1'],
  [{ '*': '$2' }, 'unknown-capture', 'to 1'],
  [{ b: '$1' }, 'unknown-capture', 'to 1'],
  [{ '*': '$0' }, 'unknown-capture', 'to 1'],
  [{ '{*,b}': '$1' }, 'unknown-capture', 'to 1'],
  [{ '!a': 'x' }, 'negated-rename', 'match 1'],
  [{ 'block:in.4': 'x' }, 'rename-by-part', 'match 1'],
  [{ '{}': 'x' }, 'renames-nothing', 'match 1'],
])('a rule that gives no name is an error at its place: %j', (rules, code, at) => {
  expect(problem(rules as unknown as Record<string, string>, 'a', 'b')).toMatchObject({ code, at })
})
