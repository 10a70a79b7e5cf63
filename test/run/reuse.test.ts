import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { identityOf } from '#src/safetensors/open.js'
import { openModel } from '#src/safetensors/model.js'
import { openStore, type Store } from '#src/store/store.js'
import { renderReport } from '#src/view/report/render.js'
import { smelt } from '../support/smelt.js'
import type { TensorValues } from '../support/write-safetensors.js'
import { withBuildFixture, layersBy, shares, type BuildFixture } from './build-fixture.js'

const OUT = 'out.safetensors'
const MODELS = { a: 'a.safetensors', b: 'b.safetensors' }
const recipe = (keep: unknown = 0.5): object => ({
  models: MODELS,
  steps: { x: { op: 'merge.blend', a: 'a', b: 'b', keep } },
  outputs: { out: { from: 'x', path: OUT } },
})
const OTHER = { default: 0.5, 'layers.1': 0.25 }
const withModels = (work: (shop: BuildFixture) => Promise<void>): Promise<void> =>
  withBuildFixture(async (shop) => {
    for (const [i, name] of Object.values(MODELS).entries()) await shop.model(name, i)
    await work(shop)
  })
/** Bytes behind the header, which tells the recipe's text. */
const dataAfterHeader = (file: Buffer): Buffer => file.subarray(8 + Number(file.readBigUInt64LE()))
const storeOf = (shop: BuildFixture): Store => openStore(shop.storeFolder)
const entriesOf = (shop: BuildFixture): readonly string[] =>
  (readdirSync(shop.storeFolder, { recursive: true }) as string[])
    .map((name) => join(shop.storeFolder, name))
    .filter((path) => statSync(path).isFile())

/** Flips a bit of a tensor of the output and has the store believe that it was always so. */
const rot = async (shop: BuildFixture, tensor: string): Promise<void> => {
  const path = shop.at(OUT)
  const now = () => identityOf(statSync(path, { bigint: true }))
  const known = storeOf(shop).files.find(path, now())!
  const model = await openModel(path)
  if (model.type === 'failed') throw new Error('no output')
  const { begin } = model.value.tensors.get(tensor)!
  const fd = openSync(path, 'r+')
  writeSync(fd, Uint8Array.of(readFileSync(path)[begin]! ^ 1), 0, 1, begin)
  closeSync(fd)
  storeOf(shop).files.keep(path, { ...known, identity: now() }, Date.now() + 60_000)
}

describe('what is taken over is checked', () => {
  test('bits that flipped unseen are found when they are copied: everything is computed anew, with a warning', () =>
    withModels(async (shop) => {
      await shop.build(recipe())
      await rot(shop, 'layers.2.bias')
      const again = await shop.build(recipe(OTHER))
      expect(again.codes).toEqual(['reuse-broken'])
      expect(again.result).toMatchObject({
        type: 'ok',
        diagnostics: [{ severity: 'warning', at: { path: shop.at(OUT), tensor: 'layers.2.bias' } }],
      })
      expect(again.started).toMatchObject({ reused: 0 })
      expect(shop.read(OUT)).toEqual(await shop.fresh(recipe(OTHER), [OUT]))
      expect(readdirSync(shop.folder).filter((f) => f.startsWith('.'))).toEqual([])
      expect((await shop.build(recipe(OTHER))).codes).toEqual([])
    }))

  test('digests that the store has wrong are found in the same way', () =>
    withModels(async (shop) => {
      await shop.build(recipe())
      const path = shop.at(OUT)
      const identity = identityOf(statSync(path, { bigint: true }))
      const known = storeOf(shop).files.find(path, identity)!
      const [one, two] = ['layers.0.bias', 'layers.3.bias'].map((name) => known.tensors.get(name)!)
      const tensors = new Map([
        ...known.tensors,
        ['layers.0.bias', { ...one!, digest: two!.digest }],
        ['layers.3.bias', { ...two!, begin: one!.begin }],
      ] as const)
      storeOf(shop).files.keep(path, { ...known, tensors }, Date.now() + 60_000)
      const again = await shop.build(recipe(OTHER))
      expect(again.codes).toEqual(['reuse-broken'])
      expect(shop.read(OUT)).toEqual(await shop.fresh(recipe(OTHER), [OUT]))
    }))
})

describe('a damaged store', () => {
  const DAMAGES: Readonly<Record<string, (path: string, i: number) => void>> = {
    'with a bit flipped in every entry': (path, i) => {
      const bytes = readFileSync(path)
      bytes[(i * 97 + 50) % bytes.length]! ^= 4
      writeFileSync(path, bytes)
    },
    'with every entry cut short': (path) => writeFileSync(path, readFileSync(path).subarray(0, 100)),
    'with every entry empty': (path) => writeFileSync(path, ''),
    'with every entry filled with zeros': (path) => writeFileSync(path, Buffer.alloc(statSync(path).size)),
    'with folders in place of entries': (path) => {
      rmSync(path)
      mkdirSync(path)
    },
  }
  test.each(Object.entries(DAMAGES))('%s costs work, and neither bytes nor builds', (_, damage) =>
    withModels(async (shop) => {
      const ties = (lambda: number): object => ({
        models: MODELS,
        steps: { x: { op: 'merge.ties', base: 'a', models: ['b'], lambda } },
        outputs: { out: { from: 'x', path: OUT } },
      })
      await shop.build(ties(1))
      entriesOf(shop).forEach(damage)
      for (const lambda of [1, 0.5]) {
        const again = await shop.build(ties(lambda))
        expect(again.result).toMatchObject({ type: 'ok' })
        expect(again.codes.filter((code) => code !== 'store-unwritable')).toEqual([])
        expect(shop.read(OUT)).toEqual(await shop.fresh(ties(lambda), [OUT]))
      }
    }),
  )

  test('with its entries swapped costs work only', () =>
    withModels(async (shop) => {
      await shop.build(recipe())
      const files = entriesOf(shop).filter((path) => path.endsWith('.json'))
      const texts = files.map((path) => readFileSync(path))
      files.forEach((path, i) => writeFileSync(path, texts[(i + 1) % texts.length]!))
      const again = await shop.build(recipe(OTHER))
      expect(again.codes).toEqual([])
      expect(shares(again)).toMatchObject({ reused: 0 })
      expect(shop.read(OUT)).toEqual(await shop.fresh(recipe(OTHER), [OUT]))
    }))

  test('that cannot be written is a warning, and the build is whole', () =>
    withModels(async (shop) => {
      writeFileSync(shop.storeFolder, 'a file')
      for (const keep of [0.5, OTHER]) {
        const done = await shop.build(recipe(keep))
        expect(done.codes).toEqual(['store-unwritable'])
        expect(done.result).toMatchObject({ type: 'ok', diagnostics: [{ severity: 'warning' }] })
        expect(done.result.diagnostics[0]!.message).toContain(shop.storeFolder)
        expect(shop.read(OUT)).toEqual(await shop.fresh(recipe(keep), [OUT]))
      }
    }))

  test('that keeps next to nothing evicts what it has just kept', () =>
    withModels(async (shop) => {
      const small = openStore(shop.storeFolder, 1500)
      await shop.build(recipe(), { store: small })
      expect(
        storeOf(shop)
          .list()
          .reduce((n, e) => n + e.bytes, 0),
      ).toBeLessThanOrEqual(1500)
      const again = await shop.build(recipe(OTHER), { store: small })
      expect(again.codes).toEqual([])
      expect(shop.read(OUT)).toEqual(await shop.fresh(recipe(OTHER), [OUT]))
    }))
})

test('builds in several processes share a store at the same time', () =>
  withModels(async (shop) => {
    const ties = (lambda: number): object => ({
      models: MODELS,
      steps: { x: { op: 'merge.ties', base: 'a', models: ['b'], lambda } },
      outputs: { out: { from: 'x', path: OUT } },
    })
    const lambdas = [0.25, 0.5, 0.75]
    lambdas.forEach((lambda, i) => writeFileSync(shop.at(`${i}.yaml`), JSON.stringify({ smelt: 1, ...ties(lambda) })))
    for (let round = 0; round < 2; round++) {
      const done = await Promise.all(
        lambdas.map((_, i) =>
          smelt(shop.folder, ['build', `${i}.yaml`, '--out', `out-${i}`, '--workers', '1', '--quiet'], {
            env: { SMELT_CACHE: shop.storeFolder },
          }),
        ),
      )
      expect(done.map(({ code, stderr }) => [code, stderr])).toEqual(lambdas.map(() => [0, '']))
    }
    for (const [i, lambda] of lambdas.entries()) {
      const [found, wanted] = [
        readFileSync(join(shop.folder, `out-${i}`, OUT)),
        (await shop.fresh(ties(lambda), [OUT]))[0]!,
      ]
      expect(dataAfterHeader(found)).toEqual(dataAfterHeader(wanted))
    }
    expect(entriesOf(shop).filter((f) => f.endsWith('.partial'))).toEqual([])
  }))

const floats = (tensors: Readonly<Record<string, TensorValues>>): Readonly<Record<string, TensorValues>> =>
  Object.fromEntries(Object.entries(tensors).filter(([name]) => name !== 'ids'))

describe('a report', () => {
  const withReport = (title: object = {}, extra: object = {}): object => ({
    models: MODELS,
    steps: { x: { op: 'merge.blend', a: 'a', b: 'b' }, r: { op: 'report.diff', a: 'a', b: 'x', ...title } },
    outputs: { ...extra, told: { from: 'r', path: 'told.json' } },
  })

  test.each([
    ['alone', {}],
    ['beside an output', { out: { from: 'x', path: OUT } }],
  ])('%s is left alone when it would be the same, and drawn again when it would not', (_, extra) =>
    withModels(async (shop) => {
      const options = { render: renderReport }
      // A report alone is known again only if it measures all there is: nothing else of its inputs is read.
      for (const [i, name] of Object.values(MODELS).entries()) await shop.model(name, i, floats(layersBy(i)))
      await shop.build(withReport({}, extra), options)
      const before = statSync(shop.at('told.json'), { bigint: true })
      const again = await shop.build(withReport({}, extra), {
        ...options,
        start: () => {
          throw new Error('a worker was started')
        },
      })
      expect(again.codes).toEqual([])
      expect(again.events.filter((e) => e.type === 'report-written')).toEqual([])
      expect(statSync(shop.at('told.json'), { bigint: true })).toMatchObject({
        ino: before.ino,
        mtimeNs: before.mtimeNs,
      })

      await shop.model(MODELS.b, 1, {
        ...floats(layersBy(1)),
        'layers.1.bias': { dtype: 'F32', shape: [24], values: 2 },
      })
      const changed = await shop.build(withReport({}, extra), options)
      expect(changed.events.filter((e) => e.type === 'report-written')).toHaveLength(1)
      expect(shop.read('told.json')).toEqual(await shop.fresh(withReport({}, extra), ['told.json'], options))
      const altered = shop.read('told.json')
      writeFileSync(shop.at('told.json'), '{}')
      await shop.build(withReport({}, extra), options)
      expect(shop.read('told.json')).toEqual(altered)
    }),
  )

  test('is drawn again for every change that it shows: also of names', () =>
    withModels(async (shop) => {
      const options = { render: renderReport }
      const told = (text: object): Promise<readonly Buffer[]> => shop.fresh(text, ['told.json'], options)
      const renamed = {
        models: { first: MODELS.a, b: MODELS.b },
        steps: { x: { op: 'merge.blend', a: 'first', b: 'b' }, r: { op: 'report.diff', a: 'first', b: 'x' } },
        outputs: { told: { from: 'r', path: 'told.json' } },
      }
      const step = {
        models: MODELS,
        steps: { other: { op: 'merge.blend', a: 'a', b: 'b' }, r: { op: 'report.diff', a: 'a', b: 'other' } },
        outputs: { told: { from: 'r', path: 'told.json' } },
      }
      for (const text of [withReport(), renamed, withReport(), step, { ...withReport(), name: 'another' }]) {
        await shop.build(text, options)
        expect(shop.read('told.json')).toEqual(await told(text))
      }
    }))
})
