import {
  copyFileSync,
  openSync,
  closeSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { describe, expect, test } from 'vitest'
import { openStore } from '#src/store/store.js'
import { readTensors } from '../support/build-run.js'
import type { TensorValues } from '../support/write-safetensors.js'
import { computedBy, withBuildFixture, layersBy, settled, shares, type BuildFixture } from './build-fixture.js'

const MODELS = { a: 'a.safetensors', b: 'b.safetensors', c: 'c.safetensors' }
const KEEP = { default: 0.5, 'layers.1': 0.25 }
const OUT = 'out.safetensors'
const blend = (keep: unknown = KEEP): object => ({
  models: MODELS,
  steps: { x: { op: 'merge.blend', a: 'a', b: 'b', keep } },
  outputs: { out: { from: 'x', path: OUT } },
})
const dare = (step: string, more: object = {}): object => ({
  models: MODELS,
  steps: { [step]: { op: 'merge.dare', a: 'a', b: 'b', drop: 0.5, rescale: true, ...more } },
  outputs: { out: { from: step, path: OUT } },
})
const ALL = 8

const withModels = (work: (shop: BuildFixture) => Promise<void>): Promise<void> =>
  withBuildFixture(async (shop) => {
    for (const [i, name] of Object.values(MODELS).entries()) await shop.model(name, i)
    await work(shop)
  })

/** Everything the system tells of a file, so that a touch shows. */
const traces = (path: string): string => {
  const { ino, mtimeNs, ctimeNs, size } = statSync(path, { bigint: true })
  return [ino, mtimeNs, ctimeNs, size].join()
}
const flip = (path: string, at: number): void => {
  const bytes = readFileSync(path)
  const fd = openSync(path, 'r+')
  writeSync(fd, Uint8Array.of(bytes.at(at)! ^ 1), 0, 1, at < 0 ? bytes.length + at : at)
  closeSync(fd)
}
const neverStart = (): never => {
  throw new Error('a worker was started')
}

describe('an unchanged recipe', () => {
  test('touches no file and starts no worker', () =>
    withModels(async (shop) => {
      const first = await shop.build(blend())
      expect(shares(first)).toEqual({ computed: ALL, reused: 0, copied: 1 })
      const before = [OUT, 'recipe.lock.json'].map((name) => traces(shop.at(name)))
      const again = await shop.build(blend(), { start: neverStart })
      expect(again.codes).toEqual([])
      expect(again.result).toMatchObject({
        type: 'ok',
        value: { readBytes: 0, writtenBytes: 0, outputs: [{ kept: true }] },
      })
      expect([OUT, 'recipe.lock.json'].map((name) => traces(shop.at(name)))).toEqual(before)
      expect(again.events.map((e) => e.type)).toEqual(['run-started', 'output-kept', 'lock-written', 'run-finished'])
      expect(again.started).toMatchObject({ tensors: ALL + 1, reused: ALL + 1, jobs: 0, readBytes: 0, writeBytes: 0 })
      expect(again.events[2]).toMatchObject({ changed: false, changes: [] })
      const digest = first.events.find((e) => e.type === 'output-written')!.digest
      expect(again.events[1]).toMatchObject({ digest, path: OUT, tensors: ALL + 1 })
    }))

  test('is computed anew when it is forced to, to the same bytes and the same lock', () =>
    withModels(async (shop) => {
      await shop.build(blend())
      const [before, inode, lock] = [shop.read(OUT), statSync(shop.at(OUT)).ino, traces(shop.at('recipe.lock.json'))]
      const forced = await shop.build(blend(), { force: true })
      expect(shares(forced)).toEqual({ computed: ALL, reused: 0, copied: 1 })
      expect(shop.read(OUT)).toEqual(before)
      expect(statSync(shop.at(OUT)).ino).not.toBe(inode)
      expect(traces(shop.at('recipe.lock.json'))).toBe(lock)
      expect((await shop.build(blend(), { start: neverStart })).result).toMatchObject({
        value: { outputs: [{ kept: true }] },
      })
    }))

  test('is known without a lock, which is written again', () =>
    withModels(async (shop) => {
      await shop.build(blend())
      const lock = shop.read('recipe.lock.json')
      rmSync(shop.at('recipe.lock.json'))
      await shop.build(blend(), { start: neverStart })
      expect(shop.read('recipe.lock.json')).toEqual(lock)
    }))

  test('is known without its outputs’ thresholds being taken again where a step asks for several over the whole model', () =>
    withModels(async (shop) => {
      const ties = {
        models: MODELS,
        steps: {
          x: {
            op: 'merge.ties',
            base: 'a',
            models: [{ model: 'b', density: { default: 0.5, 'layers.0': 0.25 } }],
            scope: 'model',
          },
        },
        outputs: { out: { from: 'x', path: OUT } },
      }
      await shop.build(ties)
      expect(shares(await shop.build(ties))).toEqual({ computed: 0, reused: ALL + 1, copied: 0 })
    }))
})

describe('a change of the recipe', () => {
  test('of one block’s number computes that block’s tensors and no other', () =>
    withModels(async (shop) => {
      await shop.build(blend())
      const changed = blend({ ...KEEP, 'layers.1': 0.3 })
      const again = await shop.build(changed)
      expect(again.codes).toEqual([])
      expect(computedBy(again)).toEqual(['layers.1.bias', 'layers.1.weight'])
      expect(shares(again)).toEqual({ computed: 2, reused: ALL - 2, copied: 1 })
      expect(again.started).toMatchObject({ reused: ALL - 2, tensors: ALL + 1 })
      expect(shop.read(OUT)).toEqual(await shop.fresh(changed, [OUT]))
      // What was taken over is remembered as if it had been computed.
      expect(shares(await shop.build(changed, { start: neverStart }))).toEqual({
        computed: 0,
        reused: ALL + 1,
        copied: 0,
      })
      const back = await shop.build(blend())
      expect(computedBy(back)).toEqual(['layers.1.bias', 'layers.1.weight'])
      expect(shop.read(OUT)).toEqual(await shop.fresh(blend(), [OUT]))
    }))

  test('of a comment computes nothing, and the file tells the new text', () =>
    withModels(async (shop) => {
      const text = (comment: string): string => `# ${comment}\n${JSON.stringify({ smelt: 1, ...blend() })}\n`
      await shop.build(text('one'))
      const again = await shop.build(text('two, and longer'))
      expect(shares(again)).toEqual({ computed: 0, reused: ALL, copied: 1 })
      expect(shop.read(OUT)).toEqual(await shop.fresh(text('two, and longer'), [OUT]))
    }))

  test('of the names of steps and models that draw nothing computes nothing', () =>
    withModels(async (shop) => {
      await shop.build(blend())
      const renamed = {
        models: { one: MODELS.a, two: MODELS.b },
        steps: { other: { op: 'merge.blend', a: 'one', b: 'two', keep: KEEP } },
        outputs: { result: { from: 'other', path: OUT } },
      }
      const again = await shop.build(renamed)
      expect(shares(again)).toEqual({ computed: 0, reused: ALL, copied: 1 })
      expect(shop.read(OUT)).toEqual(await shop.fresh(renamed, [OUT]))
    }))

  test('of the name of a step that draws computes all it gives, unless it has a seed of its own', () =>
    withModels(async (shop) => {
      await shop.build(dare('x'))
      const first = shop.read(OUT)
      const renamed = await shop.build(dare('y'))
      expect(shares(renamed)).toEqual({ computed: ALL, reused: 0, copied: 1 })
      expect(shop.read(OUT)).toEqual(await shop.fresh(dare('y'), [OUT]))
      expect(shop.read(OUT)).not.toEqual(first)
      await shop.build(dare('x', { seed: 7 }))
      expect(shares(await shop.build(dare('y', { seed: 7 })))).toEqual({ computed: 0, reused: ALL, copied: 1 })
      expect(shop.read(OUT)).toEqual(await shop.fresh(dare('y', { seed: 7 }), [OUT]))
    }))

  test('of the seed computes what draws, and nothing else', () =>
    withModels(async (shop) => {
      const both = (seed: number): object => ({
        seed,
        models: MODELS,
        outputs: { drawn: { from: 'x', path: 'drawn.safetensors' }, plain: { from: 'y', path: 'plain.safetensors' } },
        steps: { x: { op: 'merge.dare', a: 'a', b: 'b', drop: 0.5 }, y: { op: 'merge.blend', a: 'a', b: 'c' } },
      })
      await shop.build(both(1))
      const again = await shop.build(both(2))
      expect(new Set(again.plan!.jobs.flatMap((j) => j.targets.map((t) => t.step)))).toEqual(new Set(['x']))
      expect(shop.read('drawn.safetensors', 'plain.safetensors')).toEqual(
        await shop.fresh(both(2), ['drawn.safetensors', 'plain.safetensors']),
      )
    }))

  test('that leaves thresholds as they are takes no sweep for them', () =>
    withModels(async (shop) => {
      const ties = (lambda: number, scope: string): object => ({
        models: MODELS,
        steps: {
          x: {
            op: 'merge.ties',
            base: 'a',
            models: [
              { model: 'b', density: 0.5 },
              { model: 'c', density: 0.3 },
            ],
            lambda,
            scope,
          },
        },
        outputs: { out: { from: 'x', path: OUT } },
      })
      for (const scope of ['tensor', 'model']) {
        const first = await shop.build(ties(1, scope))
        expect(first.started).toMatchObject({ cached: 0 })
        const again = await shop.build(ties(0.5, scope))
        expect(shares(again)).toMatchObject({ computed: ALL, reused: 0 })
        expect(again.started!.cached).toBe(2 * ALL)
        expect(again.plan!.jobs.map((j) => j.sweeps?.passes.length ?? 0).filter((n) => n > 1)).toEqual([])
        expect(shop.read(OUT)).toEqual(await shop.fresh(ties(0.5, scope), [OUT]))
      }
    }))

  test('that gives a threshold’s tensors more company takes over neither threshold nor tensors', () =>
    withModels(async (shop) => {
      const ties = (density: unknown, more: object = {}): object => ({
        models: MODELS,
        steps: { x: { op: 'merge.ties', base: 'a', models: [{ model: 'b', density }], scope: 'model', ...more } },
        outputs: { out: { from: 'x', path: OUT } },
      })
      await shop.build(ties(0.25, { layers: 'layers.0' }))
      const whole = ties({ default: 0.5, 'layers.0': 0.25 })
      const again = await shop.build(whole)
      expect(shares(again)).toEqual({ computed: ALL, reused: 0, copied: 1 })
      expect(again.started).toMatchObject({ cached: 0 })
      expect(shop.read(OUT)).toEqual(await shop.fresh(whole, [OUT]))
    }))

  test('cuts equal magnitudes where they were cut, also in tensors of equal contents and other names', () =>
    withModels(async (shop) => {
      const ones = (x: number): TensorValues => ({ dtype: 'F32', shape: [6], values: [x, x, x, x, x, x] })
      for (const [name, x] of [
        [MODELS.a, 0],
        [MODELS.b, 1],
      ] as const)
        await shop.model(name, 0, { first: ones(x), second: ones(x), third: ones(x) })
      const ties = (lambda: number): object => ({
        models: { a: MODELS.a, b: MODELS.b },
        steps: { x: { op: 'merge.ties', base: 'a', models: [{ model: 'b', density: 0.5 }], lambda } },
        outputs: { out: { from: 'x', path: OUT } },
      })
      await shop.build(ties(1))
      const again = await shop.build(ties(2))
      expect(again.started).toMatchObject({ cached: 3 })
      expect(shop.read(OUT)).toEqual(await shop.fresh(ties(2), [OUT]))
      expect(Object.values(await readTensors(shop.at(OUT))).map((t) => t.values)).toEqual(
        [0, 1, 2].map(() => [2, 2, 2, 0, 0, 0]),
      )
    }))

  test('takes masks over although equal ones are of different sizes', () =>
    withModels(async (shop) => {
      const mask = (note: string): string =>
        `# ${note}\n${JSON.stringify({ smelt: 1, models: MODELS, steps: { x: { op: 'mask.layers', like: 'a', layers: 'layers.{0,1}' } }, outputs: { out: { from: 'x', path: OUT } } })}\n`
      await shop.build(mask('one'))
      const again = await shop.build(mask('two'))
      expect(again.codes).toEqual([])
      expect(shares(again)).toMatchObject({ computed: 0 })
      expect(shop.read(OUT)).toEqual(await shop.fresh(mask('two'), [OUT]))
    }))

  test('of the dtype computes all floats anew, and the integers stay copies', () =>
    withModels(async (shop) => {
      await shop.build(blend())
      const half = { ...blend(), outputs: { out: { from: 'x', path: OUT, dtype: 'f16' } } }
      const again = await shop.build(half)
      // The weights are f16 already.
      expect(computedBy(again)).toEqual([0, 1, 2, 3].map((i) => `layers.${i}.bias`))
      expect(shop.read(OUT)).toEqual(await shop.fresh(half, [OUT]))
    }))

  test('of the path gives the same bytes there, and what stands under the old path is still known', () =>
    withModels(async (shop) => {
      await shop.build(blend())
      const moved = { ...blend(), outputs: { out: { from: 'x', path: 'deep/er.safetensors' } } }
      await shop.build(moved)
      expect(shop.read('deep/er.safetensors')).toEqual(await shop.fresh(moved, ['deep/er.safetensors']))
      expect((await shop.build(blend(), { start: neverStart })).result).toMatchObject({
        value: { outputs: [{ kept: true }] },
      })
    }))

  test('of the sharding takes tensors over from one shard into another', () =>
    withModels(async (shop) => {
      const sharded = (size: string): object => ({
        ...blend(),
        outputs: { out: { from: 'x', path: OUT, shard_size: size } },
      })
      const names = (n: number): readonly string[] => [
        ...Array.from({ length: n }, (_, i) => `out-0000${i + 1}-of-0000${n}.safetensors`),
        'out.safetensors.index.json',
      ]
      await shop.build(sharded('900B'))
      expect(shop.read(...names(2))).toEqual(await shop.fresh(sharded('900B'), names(2)))
      const other = await shop.build(sharded('1100B'))
      expect(shares(other)).toEqual({ computed: 0, reused: ALL, copied: 1 })
      expect(
        other
          .plan!.jobs.flatMap((j) => j.copies)
          .filter((c) => c.expect !== undefined && c.from?.tensor.file !== c.to.path).length,
      ).toBeGreaterThan(0)
      expect(shop.read(...names(2))).toEqual(await shop.fresh(sharded('1100B'), names(2)))
      expect(shares(await shop.build(sharded('1100B'), { start: neverStart }))).toEqual({
        computed: 0,
        reused: ALL + 1,
        copied: 0,
      })
    }))
})

describe('an input', () => {
  test('that was written anew with equal contents is read once, and everything is taken over', () =>
    withModels(async (shop) => {
      await shop.build(blend())
      await shop.model(MODELS.b, 1)
      const before = traces(shop.at(OUT))
      const again = await shop.build(blend())
      expect(again.result).toMatchObject({ type: 'ok', value: { outputs: [{ kept: true }] } })
      expect(traces(shop.at(OUT))).toBe(before)
      expect(again.workers).toBe(1)
      expect(await shop.build(blend(), { start: neverStart })).toMatchObject({
        codes: [],
        result: { value: { outputs: [{ kept: true }] } },
      })
    }))

  test('of which one tensor changed has that one computed', () =>
    withModels(async (shop) => {
      await shop.build(blend())
      await shop.model(MODELS.b, 1, { ...layersBy(1), 'layers.2.bias': { dtype: 'F32', shape: [24], values: 5 } })
      const again = await shop.build(blend())
      expect(computedBy(again)).toEqual(['layers.2.bias'])
      expect(shares(again)).toEqual({ computed: 1, reused: ALL - 1, copied: 1 })
      expect(shop.read(OUT)).toEqual(await shop.fresh(blend(), [OUT]))
      expect((await shop.build(blend(), { start: neverStart })).codes).toEqual([])
    }))

  test('whose contents nothing is made of changes the lock alone', () =>
    withModels(async (shop) => {
      await shop.build(blend())
      const lock = shop.read('recipe.lock.json')
      await shop.model(MODELS.c, 9)
      const again = await shop.build(blend())
      expect(shares(again)).toMatchObject({ computed: 0 })
      expect(shop.read('recipe.lock.json')).not.toEqual(lock)
      expect(shop.read(OUT)).toEqual(await shop.fresh(blend(), [OUT]))
    }))

  test('that changed in one tensor changes every tensor whose threshold it has a part in', () =>
    withModels(async (shop) => {
      const ties = {
        models: MODELS,
        steps: { x: { op: 'merge.ties', base: 'a', models: [{ model: 'b', density: 0.5 }], scope: 'model' } },
        outputs: { out: { from: 'x', path: OUT } },
      }
      await shop.build(ties)
      await shop.model(MODELS.b, 1, { ...layersBy(1), 'layers.2.bias': { dtype: 'F32', shape: [24], values: 5 } })
      const again = await shop.build(ties)
      expect(shares(again)).toMatchObject({ computed: ALL, reused: 0 })
      expect(again.started).toMatchObject({ cached: 0 })
      expect(shop.read(OUT)).toEqual(await shop.fresh(ties, [OUT]))
    }))
})

describe('an output', () => {
  test.each<[string, (path: string) => void]>([
    ['is gone', (path) => rmSync(path)],
    ['was written by another program', (path) => writeFileSync(path, 'mine')],
    ['was altered in place', (path) => flip(path, -3)],
    [
      'was altered in place and given its old time back',
      (path) => {
        const { atime, mtime } = statSync(path)
        flip(path, -3)
        utimesSync(path, atime, mtime)
      },
    ],
    ['was cut short', (path) => writeFileSync(path, readFileSync(path).subarray(0, -8))],
  ])('that %s is computed again, to the exact bytes', (_, happen) =>
    withModels(async (shop) => {
      await shop.build(blend())
      const before = shop.read(OUT)
      happen(shop.at(OUT))
      const again = await shop.build(blend())
      expect(again.codes).toEqual([])
      expect(shares(again)).toEqual({ computed: ALL, reused: 0, copied: 1 })
      expect(shop.read(OUT)).toEqual(before)
    }),
  )

  test('that was replaced by a copy of itself is computed again, for nothing tells that it is one', () =>
    withModels(async (shop) => {
      await shop.build(blend())
      const before = shop.read(OUT)
      copyFileSync(shop.at(OUT), shop.at('copy'))
      rmSync(shop.at(OUT))
      copyFileSync(shop.at('copy'), shop.at(OUT))
      expect(shares(await shop.build(blend()))).toMatchObject({ computed: ALL })
      expect(shop.read(OUT)).toEqual(before)
    }))

  test('that is gone is taken over from another output that holds the same', () =>
    withModels(async (shop) => {
      const two = {
        ...blend(),
        outputs: { out: { from: 'x', path: OUT }, two: { from: 'x', path: 'two.safetensors', shard_size: '1MB' } },
      }
      await shop.build(two)
      rmSync(shop.at(OUT))
      const again = await shop.build(two)
      expect(shares(again)).toEqual({ computed: 0, reused: 2 * ALL, copied: 2 })
      const files = [OUT, 'two-00001-of-00001.safetensors', 'two.safetensors.index.json']
      expect(shop.read(...files)).toEqual(await shop.fresh(two, files))
    }))

  test('beside one that changes is written anew, since both bear the digest of the build, and computed for nothing', () =>
    withModels(async (shop) => {
      const two = (keep: number): object => ({
        models: MODELS,
        steps: { x: { op: 'merge.blend', a: 'a', b: 'b' }, y: { op: 'merge.blend', a: 'a', b: 'c', keep } },
        outputs: { out: { from: 'x', path: OUT }, two: { from: 'y', path: 'two.safetensors' } },
      })
      await shop.build(two(0.5))
      const again = await shop.build(two(0.75))
      expect(new Set(again.plan!.jobs.flatMap((j) => j.targets.map((t) => t.step)))).toEqual(new Set(['y']))
      expect(shares(again)).toEqual({ computed: ALL, reused: ALL, copied: 2 })
      expect(shop.read(OUT, 'two.safetensors')).toEqual(await shop.fresh(two(0.75), [OUT, 'two.safetensors']))
      expect(again.plan!.steps.map((s) => [s.name, s.neededBy])).toEqual([
        ['x', []],
        ['y', ['two']],
      ])
    }))
})

test('what a build that wrote nothing to the store leaves is no help and no harm', () =>
  withModels(async (shop) => {
    await shop.build(blend())
    openStore(shop.storeFolder).clear()
    const again = await shop.build(blend())
    expect(shares(again)).toEqual({ computed: ALL, reused: 0, copied: 1 })
    await settled(shop.at(OUT))
    expect(shop.read(OUT)).toEqual(await shop.fresh(blend(), [OUT]))
  }))
