import { describe, expect, test } from 'vitest'
import { COMMON, foldName, groupAliases, shortName } from '#src/operators/aliases.js'
import { findOperator, operators } from '#src/operators/index.js'
import { knownAs, namedOperators } from '#src/operators/known-as.js'
import { operatorPage } from '#src/operators/page.js'
import { sharedKeys } from '#src/operators/schema.js'
import { evaluateRecipe } from '../support/evaluate.js'
import { runOf, type PlainFile, type PlainRecipe } from '../support/recipe-run.js'

const all = operators.flatMap((operator) => (operator.aliases ?? []).map((alias) => ({ operator, alias })))

describe('the lists of aliases', () => {
  test.each(all.map(({ operator, alias }) => [operator.id, alias.name, alias] as const))(
    '%s: %s is written as a name, a source, and settings in Markdown',
    (_id, _name, { name, from, settings }) => {
      for (const text of [name, from, settings ?? '–']) expect(text).toMatch(/^\S(?:[^\n`]*\S)?$|^[^\n]*`[^\n]*$/)
      expect(foldName(name)).not.toBe('')
      expect(name).not.toContain('`')
      if (settings === undefined) return
      expect(settings).not.toMatch(/[.;,]$|^\s|\s$/)
      expect(settings.split('`').length % 2).toBe(1)
    },
  )

  test('hold no name of a source twice for an operator, and for several only if settings tell them apart', () => {
    const places = new Map<string, typeof all>()
    for (const entry of all) {
      const key = `${foldName(entry.alias.name)} of ${entry.alias.from}`
      places.set(key, [...(places.get(key) ?? []), entry])
    }
    const unclear = [...places].filter(([, entries]) => {
      const ids = new Set(entries.map(({ operator }) => operator.id))
      const settings = new Set(entries.map(({ alias }) => alias.settings))
      return ids.size < entries.length || (entries.length > 1 && (settings.has(undefined) || settings.size < ids.size))
    })
    expect(unclear.map(([name]) => name)).toEqual([])
  })

  test('spell each source in one way', () => {
    const spellings = new Map<string, Set<string>>()
    for (const { alias } of all) {
      const folded = foldName(alias.from)
      spellings.set(folded, (spellings.get(folded) ?? new Set()).add(alias.from))
    }
    expect([...spellings.values()].filter((of) => of.size > 1)).toEqual([])
  })

  test('set only keys that the operator takes, and of a choice only its words', () => {
    const wrong = all.flatMap(({ operator, alias }) => {
      const each = Object.values(operator.inputs).flatMap((input) =>
        input.type === 'model' && input.many ? Object.keys(input.each) : [],
      )
      const { inputs, params } = operator
      const keys = new Set([...Object.keys(inputs), ...Object.keys(params), ...each, ...sharedKeys(operator)])
      return [...(alias.settings ?? '').matchAll(/`([a-z_]+): ([^`]+)`/g)]
        .filter(([, key, value]) => {
          const spec = params[key!]
          return !keys.has(key!) || (spec?.type === 'choice' && !Object.hasOwn(spec.choices, value!))
        })
        .map(([text]) => `${operator.id}: ${text}`)
    })
    expect(wrong).toEqual([])
  })

  test('name only operators that there are', () => {
    const ids = all.flatMap(
      ({ alias }) => (alias.settings ?? '').match(/(?<!: )\b(?:merge|mask|model|weights|adapter)\.[a-z_]+/g) ?? [],
    )
    expect(ids.length).toBeGreaterThan(0)
    expect(ids.filter((id) => findOperator(id) === undefined)).toEqual([])
  })
})

describe('an operator is found by', () => {
  test.each([
    ['weighted_sum', 'sd-mecha', 'merge.blend', '`keep: 1 − alpha`'],
    ['WEIGHTED-SUM', 'AUTOMATIC1111 web UI', 'merge.blend', '`keep: 1 − multiplier`, `missing: keep`'],
    ['modelmergesimple', 'ComfyUI', 'merge.blend', '`keep: ratio`, `layers: component:diffusion`, `missing: keep`'],
    ['Dare Ties', 'mergekit', 'merge.dare_ties', expect.stringContaining('`rescale: l1`')],
    ['average merging', 'MergeLM', 'merge.linear', '`models` without weights'],
    ['model merger (MBW/DARE)', 'ComfyUI-DareMerge', 'merge.dare', expect.stringContaining('weights.mbw')],
    ['bake', COMMON, 'adapter.apply', undefined],
  ])('%s of %s', (name, from, id, settings) => {
    const found = knownAs(name).filter(({ alias }) => alias.from === from)
    expect(found.map(({ operator, alias }) => [operator.id, alias.settings])).toEqual([[id, settings]])
  })

  test('its own name, with or without its family, in any case', () => {
    for (const name of ['merge.ties', 'ties', 'TIES', 'Merge-Ties'])
      expect(namedOperators(name).map((o) => o.id)).toEqual(['merge.ties'])
    expect(namedOperators('edit').map((o) => o.id)).toEqual(['mask.edit', 'weights.edit'])
  })

  test('nothing that is no name', () => {
    for (const name of ['', '…', 'constructor', '__proto__'])
      expect([...knownAs(name), ...namedOperators(name)]).toEqual([])
  })
})

test('every node of ComfyUI-DareMerge that merges, masks, weighs or reports has an operator', () => {
  const nodes = [
    ...[
      'AdvancedModelMerger',
      'AdvancedDareModelMerger',
      'BlockModelMerger',
      'DareModelMergerBlock',
      'DareModelMergerMBW',
    ],
    ...['DareModelMergerElement', 'DareClipMerger', 'SimpleMasker', 'MagnitudeMasker', 'QuadMasker', 'MaskOperations'],
    ...['MaskEdit', 'GradientOperations', 'GradientEdit', 'BlockGradient', 'ShellGradient', 'AttentionGradient'],
    ...['MBWGradient', 'ModelReporting', 'MaskReporting', 'LoRAReporting', 'GradientReporting', 'NormalizeModel'],
    ...['InjectNoise', 'LoRALoaderTags'],
  ]
  expect(nodes.filter((node) => knownAs(`DM_${node}`).length === 0)).toEqual([])
})

describe('the settings give what the other tool computes:', () => {
  const [alpha, beta] = [0.3, 0.6]
  const [a, b, c] = [
    [1, -2, 0.5],
    [3, 4, -1],
    [-5, 0.25, 8],
  ] as const
  const file = (values: readonly number[]): PlainFile => ({ w: { dtype: 'f32', shape: [values.length], values } })
  const computed = (step: PlainRecipe['steps'][string]): readonly number[] => {
    const run = runOf({ a: file(a), b: file(b), c: file(c) }, { result: step }, {})
    const result = evaluateRecipe(run.recipe, run.files)
    if (result.type !== 'ok') throw new Error('the recipe was refused')
    return result.value['out']!['w']!.values
  }
  const each = (formula: (x: number, y: number, z: number) => number): readonly number[] =>
    a.map((x, i) => formula(x, b[i]!, c[i]!))
  const mix = (x: number, y: number, share: number): number => (1 - share) * x + share * y

  test.each([
    [
      'sum Twice of supermerger',
      {
        op: 'merge.linear',
        models: { a: (1 - alpha) * (1 - beta), b: alpha * (1 - beta), c: beta },
      },
      each((x, y, z) => mix(mix(x, y, alpha), z, beta)),
    ],
    [
      'Triple sum of supermerger',
      { op: 'merge.linear', models: { a: 1 - alpha - beta, b: alpha, c: beta } },
      each((x, y, z) => (1 - alpha - beta) * x + alpha * y + beta * z),
    ],
    [
      'weighted_sum of sd-mecha',
      { op: 'merge.blend', a: 'a', b: 'b', keep: 1 - alpha },
      each((x, y) => mix(x, y, alpha)),
    ],
    [
      'ModelMergeSimple of ComfyUI',
      { op: 'merge.blend', a: 'a', b: 'b', keep: alpha },
      each((x, y) => alpha * x + (1 - alpha) * y),
    ],
    [
      'cosine of ComfyUI-DareMerge',
      { op: 'merge.blend', a: 'a', b: 'b', method: 'cosine', keep: 1 - alpha },
      each((x, y) => (x + y - (x - y) * Math.cos((1 - alpha) * Math.PI)) / 2),
    ],
    [
      'Add difference of AUTOMATIC1111',
      { op: 'merge.add_difference', a: 'a', b: 'b', c: 'c', strength: alpha },
      each((x, y, z) => x + alpha * (y - z)),
    ],
  ])('%s', (_name, step, expected) => {
    const values = computed(step)
    values.forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 5))
  })
})

test('a page lists the other names, those of one source with the same settings together', () => {
  expect(operatorPage(findOperator('merge.linear')!)).toContain(
    [
      '| other name | in | settings |',
      '|---|---|---|',
      '| `linear` | mergekit | – |',
      '| `n_average` | sd-mecha | `models` without weights |',
    ].join('\n'),
  )
  expect(operatorPage(findOperator('weights.shell')!)).toContain(
    '| `DM_ShellGradient`, `Shell Gradient` | ComfyUI-DareMerge | – |',
  )
  expect(operatorPage(findOperator('mask.layers')!)).not.toContain('other name')
})

test('groups keep the order of their first names', () =>
  expect(
    groupAliases([
      { name: 'x', from: 'one' },
      { name: 'y', from: 'two', settings: 's' },
      { name: 'z', from: 'one' },
    ]),
  ).toEqual([
    { from: 'one', names: ['x', 'z'] },
    { from: 'two', settings: 's', names: ['y'] },
  ]))

test('the short name of an id is what follows the family', () => expect(shortName('merge.dare_ties')).toBe('dare_ties'))
