import { readFileSync, readdirSync, rmSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { Lock } from '#src/store/lock.js'
import { openModel } from '#src/safetensors/model.js'
import { renderReport } from '#src/view/report/render.js'
import { dataOf } from './support.js'
import { withBuildFixture, shares, type BuildFixture } from './build-fixture.js'

const MODELS = { a: 'a.safetensors', b: 'b.safetensors' }
const KEEPS = ['0.25', '0.5', '0.75']
const pathOf = (keep: string): string => `out/keep-${keep}.safetensors`
const recipe = (step: object, more: object = {}): object => ({
  params: { keep: 0.5 },
  models: MODELS,
  steps: { ...more, x: step },
  outputs: { out: { from: 'x', path: 'out/keep-${keep}.safetensors' } },
})
const LINEAR = recipe({ op: 'merge.blend', a: 'a', b: 'b', keep: '$keep' })
const SET = { keep: KEEPS.join() }

const withModels = (work: (shop: BuildFixture) => Promise<void>): Promise<void> =>
  withBuildFixture(async (shop) => {
    for (const [i, name] of Object.values(MODELS).entries()) await shop.model(name, i)
    await work(shop)
  })
/** Every byte of each output is what a build of that value alone gives. */
const expectAsSingle = async (shop: BuildFixture, text: object): Promise<void> => {
  for (const keep of KEEPS) {
    const [single] = await shop.fresh(text, [pathOf(keep)], { set: { keep } })
    expect(readFileSync(shop.at(pathOf(keep))).equals(single!), keep).toBe(true)
  }
}

test('reports of two settings that call one file by two names each show its own', () =>
  withModels(async (shop) => {
    const text = {
      params: { file: 'a.safetensors' },
      models: { m: '$file' },
      steps: { x: { op: 'report.model', model: 'm' } },
      outputs: { out: { from: 'x', path: 'about-${file}.txt' } },
    }
    const built = await shop.build(text, { render: renderReport, set: { file: 'a.safetensors,./a.safetensors' } })
    expect(built.codes).toEqual([])
    expect(shop.read('about-a.safetensors.txt').toString()).toContain('(a.safetensors)')
    expect(shop.read('about-./a.safetensors.txt').toString()).toContain('(./a.safetensors)')
  }))

describe('several values of a param', () => {
  test.each<[string, object]>([
    ['a blend', LINEAR],
    ['a trim by tensors', recipe({ op: 'merge.ties', base: 'a', models: [{ model: 'b', density: '$keep' }] })],
    [
      'a trim over the whole model',
      recipe({ op: 'merge.ties', base: 'a', models: [{ model: 'b', density: '$keep' }], scope: 'model' }),
    ],
    [
      'a trim over the whole of a model that differs',
      recipe(
        { op: 'merge.ties', base: 'a', models: [{ model: 'y', density: 0.5 }], scope: 'model' },
        { y: { op: 'merge.blend', a: 'b', b: 'a', keep: '$keep' } },
      ),
    ],
    ['a random merge', recipe({ op: 'merge.dare', a: 'a', b: 'b', drop: '$keep' })],
    [
      'a random merge above a shared step',
      recipe(
        { op: 'merge.blend', a: 'y', b: 'b', keep: '$keep' },
        { y: { op: 'merge.dare', a: 'a', b: 'b', drop: 0.5 } },
      ),
    ],
    [
      'a mask by quantile',
      recipe(
        { op: 'merge.blend', a: 'a', b: 'b', mask: 'm' },
        { m: { op: 'mask.magnitude', model: 'a', base: 'b', select: 'above', quantile: '$keep' } },
      ),
    ],
  ])('build of %s what each would build alone', (_, text) =>
    withModels(async (shop) => {
      const swept = await shop.build(text, { set: SET })
      expect(swept.codes).toEqual([])
      expect(readdirSync(shop.at('out')).sort()).toEqual(KEEPS.map((keep) => `keep-${keep}.safetensors`))
      await expectAsSingle(shop, text)
      const data = KEEPS.map((keep) => dataOf(shop.at(pathOf(keep))).toString('hex'))
      expect(new Set(data).size).toBe(3)
    }),
  )

  test('read what they compute with once, and share what they have in common', () =>
    withModels(async (shop) => {
      const one = await shop.build(LINEAR, { force: true })
      rmSync(shop.storeFolder, { recursive: true })
      const three = await shop.build(LINEAR, { set: SET, force: true })
      if (one.result.type === 'failed' || three.result.type === 'failed') throw new Error('failed')
      // What is only copied, the integers, is read for each file.
      expect(three.result.value.readBytes).toBe(one.result.value.readBytes + 2 * 3 * 8)
      expect(three.result.value.writtenBytes).toBe(3 * one.result.value.writtenBytes)
      const shared = await shop.build(
        recipe(
          { op: 'merge.blend', a: 'y', b: 'b', keep: '$keep' },
          { y: { op: 'merge.dare', a: 'a', b: 'b', drop: 0.5 } },
        ),
        { set: SET, force: true },
      )
      expect(shared.plan!.steps.map((s) => s.name)).toEqual(['y', 'x[keep=0.25]', 'x[keep=0.5]', 'x[keep=0.75]'])
      const draws = shared.plan!.jobs.flatMap((j) => j.sweeps?.passes.map((p) => p.draws.length) ?? [])
      expect(new Set(draws)).toEqual(new Set([1]))
    }))

  test('are each told in the lock, and taken over one by one', () =>
    withModels(async (shop) => {
      await shop.build(LINEAR, { set: SET })
      const lock = JSON.parse(readFileSync(shop.at('recipe.lock.json'), 'utf8')) as Lock
      expect(lock.builds.map((b) => [b.params, b.outputs['out']!.path])).toEqual(
        KEEPS.map((keep) => [{ keep: Number(keep) }, pathOf(keep)]),
      )
      expect(new Set(lock.builds.map((b) => b.digest)).size).toBe(3)
      for (const [i, keep] of KEEPS.entries()) {
        const model = await openModel(shop.at(pathOf(keep)))
        expect(model.type === 'ok' && model.value.metadata.get('smelt.lock')).toBe(lock.builds[i]!.digest)
      }
      const again = await shop.build(LINEAR, {
        set: SET,
        start: () => {
          throw new Error('a worker was started')
        },
      })
      expect(again.started).toMatchObject({ reused: 27, tensors: 27 })
      const more = await shop.build(LINEAR, { set: { keep: '0.5,0.6' } })
      expect(more.plan!.outputs.map((o) => [o.label, o.kept !== undefined])).toEqual([
        [pathOf('0.5'), true],
        [pathOf('0.6'), false],
      ])
      expect(shares(more)).toMatchObject({ computed: 8 })
    }))

  test('are one build to `--frozen`: other values are refused', () =>
    withModels(async (shop) => {
      await shop.build(LINEAR, { set: SET })
      expect((await shop.build(LINEAR, { set: SET, frozen: true })).codes).toEqual([])
      const refused = await shop.build(LINEAR, { set: { keep: '0.25,0.5' }, frozen: true })
      expect(refused.codes).toEqual(['lock-differs'])
      expect(refused.result.diagnostics[0]!.message).toContain('settings changed from 3 to 2')
    }))

  test('that would all write one path are refused at its place, with a path that would do', () =>
    withModels(async (shop) => {
      const fixed = { ...LINEAR, outputs: { out: { from: 'x', path: 'out.safetensors' } } }
      const refused = await shop.build(fixed, { set: SET })
      expect(refused.codes[0]).toBe('output-of-settings')
      expect(new Set(refused.codes).size).toBe(1)
      const [problem] = refused.result.diagnostics
      expect(problem).toMatchObject({ severity: 'error', blame: 'input', at: { type: 'text' } })
      expect(problem!.message).toBe('3 settings (keep=0.25, keep=0.5, keep=0.75) would all write out.safetensors')
      expect(problem!.help).toContain('`out-${keep}.safetensors`')
      const partly = {
        ...LINEAR,
        params: { keep: 0.5, raw: false },
        outputs: { out: { from: 'x', path: 'out-${keep}.safetensors', delta: '$raw' } },
      }
      const some = await shop.build(partly, { set: { keep: '0.25,0.5', raw: 'false,true' } })
      const [other] = some.result.diagnostics.filter((d) => d.code === 'output-of-settings')
      expect(other!.message).toBe(
        '2 settings (keep=0.25, raw=false; keep=0.25, raw=true) would all write out-0.25.safetensors',
      )
      expect(other!.help).toContain('`out-${keep}-${raw}.safetensors`')
    }))

  test('of which one is wrong build nothing', () =>
    withModels(async (shop) => {
      const refused = await shop.build(recipe({ op: 'merge.dare', a: 'a', b: 'b', drop: '$keep' }), {
        set: { keep: '0.5,2,x' },
      })
      expect(refused.result.type).toBe('failed')
      expect(refused.codes.length).toBeGreaterThanOrEqual(2)
      expect(readdirSync(shop.folder)).not.toContain('out')
      expect((await shop.build(LINEAR, { set: { keep: '0.5,' } })).codes).toEqual(['param-wrong-type'])
    }))
})
