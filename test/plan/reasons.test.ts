import { rmSync, writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { reasonsOf, type Reason } from '#src/plan/reasons.js'
import { readLock, type Lock } from '#src/store/lock.js'
import { shortReason } from '#src/view/reason-text.js'
import { renderWhy } from '#src/view/why.js'
import { withBuildFixture, layersBy, type Rebuilt, type BuildFixture } from '../run/build-fixture.js'

const recipe = (
  more: {
    readonly keep?: number
    readonly drop?: number
    readonly layers?: string
    readonly extra?: object
    readonly name?: string
  } = {},
): object => ({
  models: { a: 'a.safetensors', b: 'b.safetensors' },
  steps: {
    [more.name ?? 'x']: { op: 'merge.dare', a: 'a', b: 'b', drop: more.drop ?? 0.5, seed: 1 },
    y: {
      op: 'merge.blend',
      a: more.name ?? 'x',
      b: 'b',
      keep: more.keep ?? 0.5,
      ...(more.layers === undefined ? {} : { layers: more.layers }),
    },
    ...more.extra,
  },
  outputs: { out: { from: 'y', path: 'out.safetensors' } },
})
const lockNow = async (shop: BuildFixture): Promise<Lock | undefined> => {
  const lock = await readLock(shop.at('recipe.lock.json'))
  return lock.type === 'ok' ? lock.value : undefined
}
const reasons = ({ plan }: Rebuilt, lock: Lock | undefined): Readonly<Record<string, readonly Reason[]>> =>
  Object.fromEntries(plan!.steps.map((s) => [s.name, reasonsOf(plan!, lock)(s)]))
const inShop = (work: (shop: BuildFixture) => Promise<void>): Promise<void> =>
  withBuildFixture(async (shop) => {
    for (const [i, name] of ['a', 'b'].entries()) await shop.model(`${name}.safetensors`, i)
    await work(shop)
  })

describe('why a step runs', () => {
  test('at first: it was never built before', () =>
    inShop(async (shop) => {
      const first = await shop.build(recipe())
      expect(reasons(first, undefined)).toEqual({ x: [{ type: 'new' }], y: [{ type: 'new' }] })
    }))

  test('it does not: everything is taken over', () =>
    inShop(async (shop) => {
      await shop.build(recipe())
      expect(reasons(await shop.build(recipe()), await lockNow(shop))).toEqual({
        x: [{ type: 'taken-over' }],
        y: [{ type: 'taken-over' }],
      })
    }))

  test('one of its facts, or of a step it uses, is another', () =>
    inShop(async (shop) => {
      await shop.build(recipe())
      const lock = await lockNow(shop)
      const drop = {
        type: 'changed',
        by: 'x',
        changes: [{ of: 'step', name: 'x', fact: 'params.drop', was: 0.5, is: 0.25 }],
      }
      const changed = await shop.build(recipe({ drop: 0.25, keep: 0.75, layers: 'layers.0' }))
      expect(reasons(changed, lock)).toEqual({
        x: [drop],
        y: [
          {
            type: 'changed',
            by: 'y',
            changes: expect.arrayContaining([
              { of: 'step', name: 'y', fact: 'params.keep', was: 0.5, is: 0.75 },
              { of: 'step', name: 'y', fact: 'layers', was: undefined, is: ['layers.0'] },
            ]),
          },
          drop,
        ],
      })
    }))

  test('an input that it is made of is another', () =>
    inShop(async (shop) => {
      await shop.build(recipe())
      const lock = await lockNow(shop)
      await shop.model('b.safetensors', 1, {
        ...layersBy(1),
        'layers.0.bias': { dtype: 'F32', shape: [24], values: 4 },
      })
      expect(reasons(await shop.build(recipe()), lock)).toEqual({
        x: [{ type: 'input', path: 'b.safetensors', known: true }],
        y: [{ type: 'input', path: 'b.safetensors', known: true }],
      })
    }))

  test('it is needed for a step that changed, although nothing behind it did', () =>
    inShop(async (shop) => {
      await shop.build(recipe())
      const lock = await lockNow(shop)
      expect(reasons(await shop.build(recipe({ keep: 0.75 })), lock)).toMatchObject({
        x: [{ type: 'needed', output: 'out' }],
        y: [{ type: 'changed', by: 'y' }],
      })
    }))

  test.each<[string, object, object]>([
    [
      'goes elsewhere',
      { path: 'other.safetensors' },
      { fact: 'path', was: 'out.safetensors', is: 'other.safetensors' },
    ],
    [
      'has other dtypes',
      { path: 'out.safetensors', dtype: { default: 'bf16', 'layers.0': 'same' } },
      { fact: 'dtype', was: undefined, is: ['bf16', ['layers.0', 'same']] },
    ],
    [
      'has other shards',
      { path: 'out.safetensors', shard_size: '500B' },
      { fact: 'shard_size', was: undefined, is: 500 },
    ],
  ])('an output that needs it %s', (_, options, change) =>
    inShop(async (shop) => {
      await shop.build(recipe())
      const lock = await lockNow(shop)
      const reason = { type: 'output', changes: [{ of: 'output', name: 'out', ...change }] }
      expect(reasons(await shop.build({ ...recipe(), outputs: { out: { from: 'y', ...options } } }), lock)).toEqual({
        x: [reason],
        y: [reason],
      })
    }),
  )

  test('nothing changed, and its output is not there, or is not what was written', () =>
    inShop(async (shop) => {
      await shop.build(recipe())
      const lock = await lockNow(shop)
      rmSync(shop.at('out.safetensors'))
      expect(reasons(await shop.build(recipe()), lock)).toEqual({
        x: [{ type: 'not-written' }],
        y: [{ type: 'not-written' }],
      })
      writeFileSync(shop.at('out.safetensors'), 'something else')
      expect(reasons(await shop.build(recipe()), lock)).toEqual({ x: [{ type: 'lost' }], y: [{ type: 'lost' }] })
    }))

  test('nothing changed, and everything is computed by request', () =>
    inShop(async (shop) => {
      await shop.build(recipe())
      const { plan } = await shop.build(recipe(), { force: true })
      expect(plan!.steps.map(reasonsOf(plan!, undefined, true))).toEqual([[{ type: 'new' }], [{ type: 'new' }]])
      const lock = await lockNow(shop)
      expect(plan!.steps.map(reasonsOf(plan!, lock, true))).toEqual([[{ type: 'forced' }], [{ type: 'forced' }]])
    }))

  test('a first build that only copies reuses nothing', () =>
    inShop(async (shop) => {
      const { plan } = await shop.build({
        models: { a: 'a.safetensors' },
        steps: { part: { op: 'model.select', model: 'a', layers: ['layers.0'] } },
        outputs: { out: { from: 'part', path: 'out.safetensors' } },
      })
      expect(reasonsOf(plan!, undefined)(plan!.steps[0]!)).toEqual([{ type: 'copied' }])
    }))

  test('it is new beside steps that are not', () =>
    inShop(async (shop) => {
      await shop.build(recipe())
      const lock = await lockNow(shop)
      const more = {
        models: { a: 'a.safetensors', b: 'b.safetensors' },
        steps: { ...(recipe() as { steps: object }).steps, z: { op: 'model.scale', model: 'y', factor: 2 } },
        outputs: { out: { from: 'y', path: 'out.safetensors' }, two: { from: 'z', path: 'two.safetensors' } },
      }
      const built = await shop.build(more)
      expect(built.codes).toEqual([])
      expect(reasons(built, lock)).toMatchObject({ z: [{ type: 'new' }] })
      expect(built.plan!.steps.map((s) => [s.name, s.neededBy])).toEqual([
        ['x', ['two']],
        ['y', ['two']],
        ['z', ['two']],
      ])
    }))
})

describe('in words', () => {
  const change = (by: string, ...facts: readonly string[]): Reason => ({
    type: 'changed',
    by,
    changes: facts.map((fact) => ({ of: 'step', name: by, fact, was: 1, is: 2 })),
  })

  test.each<[readonly Reason[], string]>([
    [[], ''],
    [[{ type: 'taken-over' }], 'reused from the last build'],
    [[{ type: 'new' }], 'never built before'],
    [[{ type: 'copied' }], 'nothing to compute: its tensors are copied from inputs'],
    [[{ type: 'not-written' }], 'unchanged since the lock was written, but its output has not been built here'],
    [[{ type: 'forced' }], 'unchanged, computed again because of `--force`'],
    [[{ type: 'lost' }], 'unchanged, but its previous result is gone'],
    [[{ type: 'input', path: 'b.st', known: true }], 'input `b.st` changed'],
    [[{ type: 'input', path: 'b.st', known: false }], 'input `b.st` has not been checked yet'],
    [[change('x', 'params.keep')], '`keep` of step `x` changed from 1 to 2'],
    [[change('x', 'params.keep', 'mask')], '`keep` of step `x` changed from 1 to 2, and 1 more'],
    [[{ type: 'needed', output: 'out' }], 'unchanged, but needed for output `out`, which changed'],
    [
      [{ type: 'output', changes: [{ of: 'output', name: 'out', fact: 'dtype', was: 'f16', is: 'bf16' }] }],
      '`dtype` of output `out` changed from f16 to bf16',
    ],
    [
      [{ type: 'output', changes: [{ of: 'output', name: 'out', was: undefined, is: 'x.safetensors' }] }],
      'output `out` is new',
    ],
    [
      [
        {
          type: 'input-facts',
          path: 'b.st',
          changes: [{ of: 'input', name: 'b.st', fact: 'metadata', was: undefined, is: 'x' }],
        },
      ],
      'the metadata of input `b.st` is new',
    ],
    [
      [
        { type: 'taken-over' },
        {
          type: 'input-facts',
          path: 'b.st',
          changes: [{ of: 'input', name: 'b.st', fact: 'sides.c.json', was: 'x', is: undefined }],
        },
      ],
      'reused from the last build',
    ],
    [
      [change('w', 'params.keep', 'mask'), { type: 'input', path: 'b.st', known: true }],
      'step `w` changed, and 2 more',
    ],
  ])('%j', (reasonsGiven, words) => expect(shortReason('x', reasonsGiven)).toBe(words))

  test('one step after the other, change by change', () =>
    inShop(async (shop) => {
      const { plan } = await shop.build(recipe())
      const steps = plan!.steps.map((s, i) => ({
        ...s,
        reason: '',
        numbers: {},
        reasons:
          i === 0
            ? [change('x', 'params.drop', 'mask')]
            : [change('x', 'params.drop'), { type: 'input' as const, path: 'b\u001b[2J.st', known: true }],
      }))
      expect(renderWhy(steps, { color: false, width: 80 })).toBe(`x  merge.dare, for 1 output: out
  \`drop\` of step \`x\` changed from 1 to 2
  \`mask\` of step \`x\` changed from 1 to 2
y  merge.blend, for 1 output: out
  \`drop\` of step \`x\` changed from 1 to 2
  input \`b\\u{1b}[2J.st\` changed
`)
    }))
})
