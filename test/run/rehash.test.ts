import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { BuildOptions } from '#src/run/build.js'
import { renderReport } from '#src/view/report/render.js'
import { identityOf } from '#src/safetensors/open.js'
import { openStore } from '#src/store/store.js'
import { computedBy, withBuildFixture, settled, type BuildFixture } from './build-fixture.js'

const INPUT = 'b.safetensors'
const OUT = 'out.safetensors'
const FILES = [OUT, 'sharded-00001-of-00001.safetensors', 'sharded.safetensors.index.json', 'page.txt']
const RECIPE = {
  models: { a: 'a.safetensors', b: INPUT },
  steps: { x: { op: 'merge.blend', a: 'a', b: 'b', keep: 0.5 }, look: { op: 'report.model', model: 'x' } },
  outputs: {
    out: { from: 'x', path: OUT },
    sharded: { from: 'x', path: 'sharded.safetensors', shard_size: '1MB' },
    page: { from: 'look', path: 'page.txt' },
  },
}
const OPTIONS: BuildOptions = { render: renderReport }
const neverStart = (): never => {
  throw new Error('a worker was started')
}

const withModels = (work: (shop: BuildFixture) => Promise<void>): Promise<void> =>
  withBuildFixture(async (shop) => {
    for (const [i, name] of ['a.safetensors', INPUT].entries()) await shop.model(name, i)
    await work(shop)
  })

/**
 * Changes bytes the way a process does that keeps the file mapped: the system tells of it when it writes the pages
 * back, and until then the
 * file looks as it did. Here the store takes the file as it is now for the one that it knows.
 */
const changeUnseen = async (shop: BuildFixture, name: string, at: number): Promise<void> => {
  const path = shop.at(name)
  const files = () => openStore(shop.storeFolder).files
  const known = files().find(path, identityOf(statSync(path, { bigint: true })))!
  const bytes = readFileSync(path)
  bytes[bytes.length + at]! ^= 1
  writeFileSync(path, bytes)
  await settled(path)
  files().keep(path, { ...known, identity: identityOf(statSync(path, { bigint: true })) }, Date.now())
}

describe('an input that changed without a trace', () => {
  test('is not noticed by a build that goes by times, and is by one that reads everything again', () =>
    withModels(async (shop) => {
      await shop.build(RECIPE, OPTIONS)
      const before = shop.read(...FILES)
      await changeUnseen(shop, INPUT, -1)
      expect((await shop.build(RECIPE, { ...OPTIONS, start: neverStart })).result).toMatchObject({
        value: { writtenBytes: 0 },
      })
      const again = await shop.build(RECIPE, { ...OPTIONS, rehash: true })
      expect(again.codes).toEqual([])
      expect(computedBy(again)).toEqual(['layers.3.weight', 'layers.3.weight'])
      expect(shop.read(...FILES)).not.toEqual(before)
      expect(shop.read(...FILES, 'recipe.lock.json')).toEqual(
        await shop.fresh(RECIPE, [...FILES, 'recipe.lock.json'], OPTIONS),
      )
      // What was read is what is remembered from now on.
      expect((await shop.build(RECIPE, { ...OPTIONS, start: neverStart })).result).toMatchObject({
        value: { writtenBytes: 0 },
      })
      const changed = { ...RECIPE, steps: { ...RECIPE.steps, x: { ...RECIPE.steps.x, keep: 0.25 } } }
      await shop.build(changed, OPTIONS)
      expect(shop.read(...FILES)).toEqual(await shop.fresh(changed, FILES, OPTIONS))
    }))

  test('is refused by a frozen build', () =>
    withModels(async (shop) => {
      await shop.build(RECIPE, OPTIONS)
      await changeUnseen(shop, INPUT, -1)
      const refused = await shop.build(RECIPE, { ...OPTIONS, frozen: true })
      expect(refused.codes).toEqual(['lock-differs'])
      expect(refused.result.diagnostics[0]!.message).toMatch(/input `b\.safetensors` changed from blake3:/)
      expect(refused.started).toBeUndefined()
    }))

  test('enters the lock of a build that computes everything', () =>
    withModels(async (shop) => {
      await shop.build(RECIPE, OPTIONS)
      await changeUnseen(shop, INPUT, -1)
      expect((await shop.build(RECIPE, { ...OPTIONS, force: true })).codes).toEqual([])
      expect(shop.read(...FILES, 'recipe.lock.json')).toEqual(
        await shop.fresh(RECIPE, [...FILES, 'recipe.lock.json'], OPTIONS),
      )
    }))
})

describe('a build that reads everything again', () => {
  test('leaves alone what is as it should be', () =>
    withModels(async (shop) => {
      await shop.build(RECIPE, OPTIONS)
      const again = await shop.build(RECIPE, { ...OPTIONS, rehash: true })
      expect(again.result).toMatchObject({
        diagnostics: [],
        value: { writtenBytes: 0, outputs: [{ kept: true }, { kept: true }] },
      })
      expect(again.events.filter((e) => e.type === 'report-written')).toEqual([])
      expect(again.workers).toBe(2)
    }))

  test.each(FILES.map((name) => [name]))('writes %s again when it changed without a trace', (name) =>
    withModels(async (shop) => {
      await shop.build(RECIPE, OPTIONS)
      const before = shop.read(...FILES)
      await changeUnseen(shop, name, -3)
      await shop.build(RECIPE, OPTIONS)
      expect(shop.read(...FILES)).not.toEqual(before)
      const again = await shop.build(RECIPE, { ...OPTIONS, rehash: true })
      expect(again.codes).toEqual([])
      expect(shop.read(...FILES)).toEqual(before)
    }),
  )

  test('needs no store', () =>
    withModels(async (shop) => {
      await shop.build(RECIPE, OPTIONS)
      expect(await shop.fresh(RECIPE, FILES, { ...OPTIONS, rehash: true })).toEqual(shop.read(...FILES))
    }))
})
