import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Lock } from '#src/store/lock.js'
import { inlineWorker } from '../../support/inline-worker.js'
import { codesOf } from '../support.js'
import { withBuildFixture, shares, type BuildFixture } from '../build-fixture.js'
import { pretend } from './pretend.js'

// A WebGPU driver may round as it likes, so that what it computes is nothing for any other build.
const RECIPE = {
  models: { a: 'a.safetensors', b: 'b.safetensors' },
  steps: {
    strong: { op: 'mask.magnitude', model: 'a', base: 'b', quantile: 0.7 },
    x: { op: 'merge.blend', a: 'a', b: 'b', keep: 0.25, mask: 'strong' },
  },
  outputs: { out: { from: 'x', path: 'out.safetensors' } },
}
const withModels = (work: (shop: BuildFixture) => Promise<void>): Promise<void> =>
  withBuildFixture(async (shop) => {
    for (const [i, name] of ['a', 'b'].entries()) await shop.model(`${name}.safetensors`, i)
    await work(shop)
  })
const lockOf = (shop: BuildFixture): Lock => JSON.parse(readFileSync(shop.at('recipe.lock.json'), 'utf8')) as Lock
const devicesOf = (lock: Lock): readonly unknown[] =>
  lock.builds.flatMap((b) => Object.values(b.steps).map((s) => s.device))
/** The files of the store, whose names and lengths tell of every entry. */
const remembered = (shop: BuildFixture): readonly string[] =>
  (existsSync(shop.storeFolder) ? (readdirSync(shop.storeFolder, { recursive: true }) as string[]) : [])
    .map((name) => join(shop.storeFolder, name))
    .filter((path) => statSync(path).isFile())
    .map((path) => `${path} ${statSync(path).size}`)
    .sort()

test('the lock of what WebGPU computed says so at every step, and that of the processor and of CUDA names no device', () =>
  withModels(async (shop) => {
    await shop.build(RECIPE, pretend('webgpu'))
    const webgpu = lockOf(shop)
    expect(devicesOf(webgpu)).toEqual(['webgpu', 'webgpu'])
    await shop.build(RECIPE, pretend('cuda:0'))
    const cuda = lockOf(shop)
    await shop.build(RECIPE, { force: true })
    expect(devicesOf(cuda)).toEqual([undefined, undefined])
    expect(lockOf(shop)).toEqual(cuda)
  }))

test('WebGPU takes nothing over, and leaves nothing to take over', () =>
  withModels(async (shop) => {
    expect(shares(await shop.build(RECIPE, pretend('webgpu')))).toEqual({ computed: 8, reused: 0, copied: 1 })
    // Neither its own output, nor the numbers it was made of.
    expect(shares(await shop.build(RECIPE, pretend('webgpu')))).toEqual({ computed: 8, reused: 0, copied: 1 })
    expect(shares(await shop.build(RECIPE))).toEqual({ computed: 8, reused: 0, copied: 1 })
    const before = remembered(shop)
    expect(before.length).toBeGreaterThan(0)
    expect(shares(await shop.build({ ...RECIPE, seed: 1 }, pretend('webgpu')))).toEqual({
      computed: 8,
      reused: 0,
      copied: 1,
    })
    expect(remembered(shop)).toEqual(before)
  }))

test('what stands where a WebGPU build wrote is computed anew by any other', () =>
  withModels(async (shop) => {
    await shop.build(RECIPE)
    expect((await shop.build(RECIPE)).workers).toBe(0)
    await shop.build(RECIPE, pretend('webgpu'))
    for (const options of [{}, pretend('cuda:0')]) {
      const again = await shop.build(RECIPE, options)
      expect([again.codes, shares(again)]).toEqual([[], { computed: 8, reused: 0, copied: 1 }])
      await shop.build(RECIPE, pretend('webgpu'))
    }
  }))

test('CUDA takes over what the processor made, and the processor what CUDA made', () =>
  withModels(async (shop) => {
    await shop.build(RECIPE, pretend('cuda:0'))
    expect((await shop.build(RECIPE)).workers).toBe(0)
    await shop.build({ ...RECIPE, params: { more: 1 } }, { force: true })
    expect((await shop.build({ ...RECIPE, params: { more: 1 } }, pretend('cuda:0'))).workers).toBe(0)
    expect(shares(await shop.build(RECIPE, pretend('cuda:0'))).computed).toBe(0)
  }))

test.each([
  ['webgpu', 0],
  ['cuda:0', 1],
  ['cpu', 1],
] as const)('of what is done on %s, a journal tells only where any device would go on with it', (device, expected) =>
  withModels(async (shop) => {
    const journals = (): number => readdirSync(shop.folder).filter((name) => name.endsWith('.journal')).length
    const seen: number[] = []
    const done = await shop.build(RECIPE, {
      ...(device === 'cpu' ? {} : pretend(device)),
      listener: ({ type }) => {
        if (type === 'units-finished') seen.push(journals())
      },
    })
    expect([done.codes, seen.at(-1), journals()]).toEqual([[], expected, 0])
  }),
)

test('a frozen build on WebGPU is held to what WebGPU made', () =>
  withModels(async (shop) => {
    await shop.build(RECIPE, pretend('webgpu'))
    expect(codesOf((await shop.build(RECIPE, { ...pretend('webgpu'), frozen: true })).result)).toEqual([])
    expect(codesOf((await shop.build(RECIPE, { frozen: true })).result)).toContain('lock-differs')
    await shop.build(RECIPE)
    expect(codesOf((await shop.build(RECIPE, { ...pretend('webgpu'), frozen: true })).result)).toContain('lock-differs')
  }))

test('a recipe that computes nothing is locked the same whatever device was asked for', () =>
  withModels(async (shop) => {
    const copying = {
      models: RECIPE.models,
      steps: { part: { op: 'model.select', model: 'a', layers: 'layers.*.weight' } },
      outputs: { out: { from: 'part', path: 'out.safetensors' } },
    }
    await shop.build(copying, { start: inlineWorker, device: 'webgpu' })
    expect(devicesOf(lockOf(shop))).toEqual([undefined])
    expect(
      codesOf((await shop.build(copying, { start: inlineWorker, device: 'webgpu', frozen: true })).result),
    ).toEqual([])
  }))
