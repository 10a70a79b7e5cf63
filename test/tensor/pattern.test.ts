import seedrandom from 'seedrandom'
import { expect, test } from 'vitest'
import { resolvePerLayer, selectLayers, type PatternContext } from '#src/tensor/pattern.js'
import { readTable } from '../architectures/tables.js'
import { growthOf } from '../support/calls.js'

const select = (
  patterns: readonly string[],
  names: readonly string[],
  context: PatternContext = {},
): readonly string[] => {
  const result = selectLayers(
    patterns.map((text) => ({ text })),
    names,
    context,
  )
  return result.type === 'ok' ? [...result.value] : result.diagnostics.map((d) => d.code)
}

const codes = (text: string, names: readonly string[] = ['a.b']) =>
  selectLayers([{ text }], names, {}).diagnostics.map((d) => d.code)

const WITH_PARTS: PatternContext = {
  architecture: 'SD1',
  diffusionPrefix: 'in',
  parts: {
    block: new Map([['in.1', ['in.1.attn1.to_q.weight']]]),
    group: new Map([['attn', ['in.1.attn1.to_q.weight']]]),
    component: new Map([
      ['unet', ['in.0.weight']],
      ['clip_l', ['out.weight']],
      ['clip', ['out.weight']],
      ['vae', ['in.10.attn2.to_q.weight']],
    ]),
  },
}

const NAMES = [
  'in.0.weight',
  'in.1.attn1.to_q.weight',
  'in.1.attn2.to_q.weight',
  'in.1.attn2.to_out.0.bias',
  'in.10.attn2.to_q.weight',
  'out.weight',
]

test.each([
  ['in.1', [1, 2, 3]],
  ['in.1.attn2', [2, 3]],
  ['**.attn2', [2, 3, 4]],
  ['**.to_q', [1, 2, 4]],
  ['**.to_q.weight', [1, 2, 4]],
  ['**.attn2.**', [2, 3, 4]],
  ['*', [0, 1, 2, 3, 4, 5]],
  ['**', [0, 1, 2, 3, 4, 5]],
  ['*.weight', [5]],
  ['in.*.weight', [0]],
  ['in.**.weight', [0, 1, 2, 4]],
  ['in.{0,10}', [0, 4]],
  ['in.{0..1}', [0, 1, 2, 3]],
  ['{in.0,out}.weight', [0, 5]],
  ['in.[0-9]', [0, 1, 2, 3]],
  ['in.??', [4]],
  ['in.+([0-9]).attn2', [2, 3, 4]],
  ['in.1.attn@(1|3)', [1]],
  ['!(in).weight', [5]],
  ['in.1.attn*', [1, 2, 3]],
  ['**.attn2.to_out.0', [3]],
])('`%s` selects what the dialect says', (pattern, indices) => {
  expect(select([pattern], NAMES)).toEqual(indices.map((index) => NAMES[index]))
})

test.each(['attn2', 'weight', 'in.1.attn', 'n.1', 'in.1*.attn2.nothing', 'in.{b,c}'])(
  '`%s` selects nothing, and that is a problem',
  (pattern) => {
    expect(select([pattern], NAMES)).toEqual(['pattern-selects-nothing'])
  },
)

test('a list is read in order, and each tensor is selected once, in the order of the model', () => {
  expect(select(['out', 'in.1', '**.attn2', '!in.1', 'in.1.attn1'], NAMES)).toEqual([NAMES[1], NAMES[4], NAMES[5]])
  expect(select(['!**.attn2'], NAMES)).toEqual([NAMES[0], NAMES[1], NAMES[5]])
  expect(select(['!**.attn2', 'in.10'], NAMES)).toEqual([NAMES[0], NAMES[1], NAMES[4], NAMES[5]])
  expect(select([], NAMES)).toEqual([])
})

test('every problem of a list is told at once, at its own place', () => {
  const at = (name: string) => ({ type: 'option', name }) as const
  const result = selectLayers([{ text: 'x', at: at('1') }, { text: 'in.0' }, { text: '!y', at: at('2') }], NAMES, {})
  expect(result.diagnostics.map((d) => [d.code, d.at])).toEqual([
    ['pattern-selects-nothing', at('1')],
    ['pattern-selects-nothing', at('2')],
  ])
  expect(result.diagnostics[1]?.message).toBe('`!y` selects no tensor')
})

test('an optional pattern may select nothing', () => {
  expect(selectLayers([{ text: 'x', optional: true }, { text: 'out' }], NAMES, {})).toMatchObject({
    type: 'ok',
    value: new Set(['out.weight']),
  })
})

test.each([
  ['**.atn2', 'Did you mean `**.attn2`?'],
  ['in.10.attn2.to_k', 'Did you mean `in.10.attn2.to_q`?'],
  ['in.3', 'Did you mean `in.0` or `in.1` or `in`?'],
  ['blok:in.4', 'Did you mean `block:in.4`?'],
  ['attn2', 'Did you mean `**.attn2`?'],
  ['!atn2', 'Did you mean `**.attn2`?'],
  ['in.*.to_q', 'Did you mean `in.**.to_q`?'],
  ['**to_q', 'Did you mean `**.*to_q`?'],
  ['in.01', 'Did you mean `in.1`?'],
  ['entirely_elsewhere', 'The names begin with `in`, `out`; `smelt inspect` lists them.'],
])('the help for `%s` names what is near', (text, help) => {
  expect(selectLayers([{ text }], NAMES, {}).diagnostics[0]?.help).toBe(
    `${help} If it may select nothing, write \`{ match: "${text}", optional: true }\`.`,
  )
})

test('the help for a pattern of the command line says nothing of recipes', () => {
  const [problem] = selectLayers([{ text: 'attn2', at: { type: 'option', name: 'attn2' } }], NAMES, {}).diagnostics
  expect(problem?.help).toBe('Did you mean `**.attn2`?')
})

const ODD = [
  'a..b',
  '.a',
  'a.',
  '__proto__',
  'constructor.weight',
  'x/y.z',
  '/.w',
  '../q.r',
  '{0,1}.w',
  '[0].w',
  'with space.w',
  'naïve.重み',
  '#c.w',
  '!n.w',
  'a\nb.w',
  '',
]

test('`*` and `**` select every name, however odd', () => {
  expect(select(['*'], ODD)).toEqual(ODD)
  expect(select(['**'], ODD)).toEqual(ODD)
})

test.each([
  ['a..b', ['a..b']],
  ['a.*.b', ['a..b']],
  ['*.a', ['.a']],
  ['__proto__', ['__proto__']],
  ['constructor', ['constructor.weight']],
  ['x/y', ['x/y.z']],
  ['x*y.z', ['x/y.z']],
  ['*/*.?', ['x/y.z', '/.w']],
  ['\\{0,1\\}', ['{0,1}.w']],
  ['[{]*', ['{0,1}.w']],
  ['\\[0\\]', ['[0].w']],
  ['with space.w', ['with space.w']],
  ['na?ve.重*', ['naïve.重み']],
  ['#c', ['#c.w']],
  ['\\!n', ['!n.w']],
  ['a?b', ['a\nb.w']],
])('`%s` selects an odd name', (pattern, expected) => expect(select([pattern], ODD)).toEqual(expected))

test('the diffusion prefix is tried only when a pattern selects nothing', () => {
  const names = ['net.out.weight', 'net.net.weight', 'out.weight']
  expect(select(['out'], names, { diffusionPrefix: 'net' })).toEqual(['out.weight'])
  expect(select(['diffusion_model.out'], names, { diffusionPrefix: 'net' })).toEqual(['net.out.weight'])
  expect(select(['net'], names, { diffusionPrefix: 'net' })).toEqual(['net.out.weight', 'net.net.weight'])
  expect(select(['diffusion_model.out'], names, { diffusionPrefix: '' })).toEqual(['out.weight'])
  expect(select(['!**.net'], names, { diffusionPrefix: 'net' })).toEqual(['out.weight'])
  expect(select(['diffusion_model.out'], names)).toEqual(['pattern-selects-nothing'])
})

test('ids of parts are selected by the same dialect', () => {
  const parts = {
    block: new Map([
      ['in.1', ['a']],
      ['in.10', ['b']],
      ['mid', ['c', 'gone']],
    ]),
    group: new Map(),
    component: new Map(),
  }
  const context = { architecture: 'Test', parts }
  expect(select(['block:in.1'], ['a', 'b', 'c'], context)).toEqual(['a'])
  expect(select(['block:in'], ['a', 'b', 'c'], context)).toEqual(['a', 'b'])
  expect(select(['!block:in.{1,10}'], ['a', 'b', 'c'], context)).toEqual(['c'])
  expect(select(['block:mid'], ['a'], context)).toEqual(['pattern-selects-nothing'])
  expect(select(['block:mib'], ['a'], context)).toEqual(['unknown-block'])
  expect(select(['group:attn'], ['a'], context)).toEqual(['unknown-group'])
  expect(select(['component:unet'], ['a'])).toEqual(['pattern-needs-architecture'])
  expect(selectLayers([{ text: 'block:mib', optional: true }], ['a'], context).type).toBe('ok')
})

test('patterns larger than anyone needs are refused', () => {
  expect(codes('')).toEqual(['empty-pattern'])
  expect(codes('!')).toEqual(['empty-pattern'])
  for (const braces of ['{,}', '!{,}', '{,,}', '{,}{,}', '{,{,}}']) expect(codes(braces)).toEqual(['empty-pattern'])
  expect(select(['component:{,}'], NAMES, WITH_PARTS)).toEqual(['empty-pattern'])
  expect(codes('a'.repeat(4097))).toEqual(['pattern-too-long'])
  expect(codes('{0..512}')).toEqual(['pattern-too-many-alternatives'])
  expect(codes('{a,b}'.repeat(20))).toEqual(['pattern-too-many-alternatives'])
  expect(codes('*('.repeat(65) + ')'.repeat(65))).toEqual(['pattern-too-many-extglobs'])
  expect(select(['{0..511}'], ['511.w'])).toEqual(['511.w'])
})

test.each([
  ['twenty globstars', `${'**.a.'.repeat(20)}b`],
  ['nested extglobs', `${'*('.repeat(64)}a${')'.repeat(64)}.b`],
  ['many stars', `${'*a'.repeat(2000)}.b`],
  ['many braces', `${'{a,b}'.repeat(9)}`],
])('%s end, with work that grows with the names', async (_, pattern) => {
  const names = Array.from({ length: 100 }, (_name, n) => `${'a.'.repeat(60)}c${n}`)
  expect(codes(pattern, names)).toEqual(['pattern-selects-nothing'])
  expect(
    await growthOf(
      () => codes(pattern, names.slice(50)),
      () => codes(pattern, names),
    ),
  ).toBeLessThan(2.5)
})

test('fifty patterns over the 2,515 tensors of SDXL take twice the work of half of either', async () => {
  const names = [...readTable('sdxl').keys()]
  const patterns = Array.from({ length: 10 }, (_, n) => [
    { text: `**.transformer_blocks.${n}.attn2` },
    { text: `model.diffusion_model.input_blocks.${n % 9}` },
    { text: `model.diffusion_model.{in,out}put_blocks.[${n % 9}-9].**.weight` },
    { text: `!**.to_[qk].weight` },
    { text: `conditioner.**.layers.${n}.mlp.fc?` },
  ]).flat()
  const selectAll = () => expect(selectLayers(patterns, names, {}).type).toBe('ok')
  expect(await growthOf(() => selectLayers(patterns.slice(25), names, {}), selectAll)).toBeLessThan(2.5)
  expect(
    await growthOf(
      () =>
        selectLayers(
          patterns,
          names.filter((_, i) => i % 2 === 0),
          {},
        ),
      selectAll,
    ),
  ).toBeLessThan(2.5)
})

test('the other names of components are understood, and a short wrong name gets no wild guess', () => {
  const help = (text: string): string | undefined => selectLayers([{ text }], NAMES, WITH_PARTS).diagnostics[0]?.help
  expect(help('component:te')).toBe(
    'write `component:clip`, which is what smelt calls `te`; this model has `unet`, `clip_l`, `clip`, `vae`',
  )
  expect(help('component:DiT')).toBe('it has `unet`, `clip_l`, `clip`, `vae`')
  expect(help('component:transformer')).toMatch(/^write `component:unet`/)
  expect(help('component:vea')).toBe('did you mean `vae`?')
  expect(help('component:x')).toBe('it has `unet`, `clip_l`, `clip`, `vae`')
})

test('no text of a pattern is more than select, or be refused', () => {
  const contexts: readonly PatternContext[] = [{}, WITH_PARTS, { diffusionPrefix: '' }]
  const names = [...NAMES, '{,}', '', '..', 'a/b', '[x', '!y']
  const refused = new Set<string>()
  const attempt = (text: string): void => {
    for (const context of contexts) {
      for (const optional of [false, true]) {
        const pattern = { text, optional }
        for (const { type, diagnostics } of [
          selectLayers([pattern], names, context),
          resolvePerLayer({ rules: [{ pattern, value: 1 }] }, names, context),
        ]) {
          if (type === 'failed') refused.add(diagnostics[0]!.code)
        }
      }
    }
  }
  const signs = ['{', '}', ',', '.', '*', 'a', '!', '[', ']', '(', ')', '|', '+']
  let texts = ['']
  for (let length = 0; length < 3; length++) {
    texts = texts.flatMap((text) => signs.slice(0, length < 2 ? signs.length : 5).map((sign) => text + sign))
    texts.forEach(attempt)
  }
  const words = [
    ...signs,
    '?',
    '@',
    '^',
    '-',
    '/',
    '\\',
    '**',
    'block:',
    '!(',
    '[:alpha:]',
    '{1..9}',
    '\u0000',
    '\ud800',
    '\u2028',
    '😀',
  ]
  const random = seedrandom('patterns')
  for (let n = 0; n < 1000; n++)
    attempt(Array.from({ length: 5 + (random.int32() % 8) }, () => words[Math.floor(random() * words.length)]).join(''))
  for (const word of words) for (const length of [64, 1000, 4096]) attempt(word.repeat(length).slice(0, length))
  for (const [open, close] of [
    ['{a,', '}'],
    ['{', '}'],
    ['[a', ''],
    ['*(a|', ')'],
    ['{{a,b},', ''],
  ] as const)
    for (const n of [60, 1000]) attempt(open.repeat(n) + close.repeat(n))
  expect([...refused].sort()).toEqual([
    'empty-pattern',
    'pattern-needs-architecture',
    'pattern-selects-nothing',
    'pattern-too-long',
    'pattern-too-many-alternatives',
    'pattern-too-many-extglobs',
    'unknown-block',
  ])
})

const numbers = (rules: Record<string, number>, fallback?: number) => {
  const list = Object.entries(rules).map(([text, value]) => ({ pattern: { text }, value }))
  const result = resolvePerLayer({ ...(fallback === undefined ? {} : { default: fallback }), rules: list }, NAMES, {})
  return result.type === 'ok' ? [...result.value] : result.diagnostics.map((d) => d.code)
}

test('later rules win over earlier ones, and every rule over the default', () => {
  expect(numbers({ 'in.1': 1, '**.attn2': 0.25 }, 0.5)).toEqual(
    NAMES.map((name, index) => [name, [0.5, 1, 0.25, 0.25, 0.25, 0.5][index]]),
  )
})

test('without a default a tensor that no rule reaches has no number', () => {
  expect(numbers({ out: 0 })).toEqual([['out.weight', 0]])
  expect(numbers({ '!in': 2 })).toEqual([['out.weight', 2]])
  expect(numbers({ nowhere: 1, in: 1 })).toEqual(['pattern-selects-nothing'])
})
