import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import { describe, expect, test } from 'vitest'
import { exitCode } from '#src/base/diagnostic.js'
import { build } from '#src/run/build.js'
import { verify } from '#src/run/verify.js'
import type { Lock } from '#src/store/lock.js'
import { openModel } from '#src/safetensors/model.js'
import { inFolder } from '../support/build-run.js'
import { inlineWorker } from '../support/inline-worker.js'
import { writeSafetensors, type TensorValues } from '../support/write-safetensors.js'
import { codesOf, filesIn } from './support.js'
import { withBuildFixture, layersBy, type BuildFixture } from './build-fixture.js'

const RECIPE = {
  params: { keep: 0.5, where: 'out' },
  models: { b: 'models/b.safetensors', a: 'models/a.safetensors' },
  steps: {
    y: { op: 'merge.blend', a: 'x', b: 'b', keep: '$keep' },
    x: { op: 'merge.dare', a: 'a', b: 'b', drop: 0.5 },
  },
  outputs: {
    out: { from: 'y', path: '${where}/merged.safetensors' },
    first: { from: 'x', path: 'first.safetensors', shard_size: '900B' },
  },
}
const LOCK = 'recipe.lock.json'
const withModels = (work: (shop: BuildFixture) => Promise<void>): Promise<void> =>
  withBuildFixture(async (shop) => {
    mkdirSync(shop.at('models'))
    for (const [i, name] of ['a', 'b'].entries()) await shop.model(`models/${name}.safetensors`, i)
    await work(shop)
  })
const lockOf = (shop: BuildFixture): Lock => JSON.parse(readFileSync(shop.at(LOCK), 'utf8')) as Lock
const check = (shop: BuildFixture) => verify(shop.at('recipe.yaml'), { workers: 1, device: 'cpu', start: inlineWorker })
const flip = (path: string, at: number): void => {
  const bytes = readFileSync(path)
  bytes[bytes.length + at]! ^= 1
  writeFileSync(path, bytes)
}
const keysOf = (value: unknown): readonly (readonly string[])[] =>
  typeof value !== 'object' || value === null
    ? []
    : [...(Array.isArray(value) ? [] : [Object.keys(value)]), ...Object.values(value).flatMap(keysOf)]

describe('the lock', () => {
  test('tells inputs, steps and outputs, validates against its published schema, and is sorted', () =>
    withModels(async (shop) => {
      await shop.build(RECIPE)
      const lock = lockOf(shop)
      const schema = JSON.parse(
        readFileSync(new URL('../../schema/lock.schema.json', import.meta.url), 'utf8'),
      ) as object
      const validate = new Ajv({ strict: false }).compile(schema)
      expect([validate(lock), validate.errors]).toEqual([true, null])
      expect(validate({ ...lock, more: 1 })).toBe(false)
      expect(readFileSync(shop.at(LOCK), 'utf8')).toBe(`${JSON.stringify(lock, null, 2)}\n`)
      for (const keys of keysOf(lock)) expect(keys).toEqual([...keys].sort())
      expect(Object.keys(lock.inputs)).toEqual(['models/a.safetensors', 'models/b.safetensors'])
      expect(lock.builds).toHaveLength(1)
      const [build] = lock.builds
      expect(build).toMatchObject({
        params: { keep: 0.5, where: 'out' },
        inputs: { a: 'models/a.safetensors', b: 'models/b.safetensors' },
        steps: {
          x: { op: 'merge.dare', inputs: { a: 'a', b: 'b' }, params: { drop: 0.5 }, stream: [0, 'x'] },
          y: { op: 'merge.blend', inputs: { a: 'x', b: 'b' }, params: { keep: 0.5 } },
        },
        outputs: {
          out: {
            path: 'out/merged.safetensors',
            from: 'y',
            tensors: 9,
            bytes: statSync(shop.at('out/merged.safetensors')).size,
          },
          first: { path: 'first.safetensors', from: 'x', tensors: 9 },
        },
      })
      expect(build!.steps['y']).not.toHaveProperty('stream')
    }))

  test('tells neither times nor places nor machines', () =>
    withModels(async (shop) => {
      await shop.build(RECIPE)
      const text = readFileSync(shop.at(LOCK), 'utf8')
      expect(text).not.toContain(shop.folder)
      expect(text).not.toContain(hostname())
      expect(text).not.toMatch(/"\/|\d{4}-\d\d-\d\d|[12]\d{9,12}/)
    }))

  test('and the outputs are the same bytes in another folder, with other workers and without a store', () =>
    withModels(async (shop) => {
      await shop.build(RECIPE)
      const names = [
        LOCK,
        'out/merged.safetensors',
        'first-00001-of-00002.safetensors',
        'first-00002-of-00002.safetensors',
        'first.safetensors.index.json',
      ]
      await inFolder(async (folder) => {
        cpSync(shop.at('models'), join(folder, 'models'), { recursive: true })
        cpSync(shop.at('recipe.yaml'), join(folder, 'recipe.yaml'))
        const done = await build(join(folder, 'recipe.yaml'), { workers: 3, cutting: { chunk: 64, block: 128 } })
        expect(codesOf(done)).toEqual([])
        for (const name of names) expect(readFileSync(join(folder, name)), name).toEqual(readFileSync(shop.at(name)))
      })
    }))

  test('is borne by every file of the outputs as the digest of the build', () =>
    withModels(async (shop) => {
      await shop.build(RECIPE)
      const { digest } = lockOf(shop).builds[0]!
      for (const name of [
        'out/merged.safetensors',
        'first-00001-of-00002.safetensors',
        'first-00002-of-00002.safetensors',
      ]) {
        const model = await openModel(shop.at(name))
        expect(model.type === 'ok' && model.value.metadata.get('smelt.lock'), name).toBe(digest)
      }
    }))

  test('has the sha256 of what is pinned, and of all when asked to', () =>
    withModels(async (shop) => {
      await shop.build(RECIPE, { sha256: true })
      const all = lockOf(shop)
      const sha256 = all.inputs['models/a.safetensors']!.sha256!
      expect(sha256).toMatch(/^[0-9a-f]{64}$/)
      expect(all.inputs['models/b.safetensors']).toHaveProperty('sha256')
      await shop.build({
        ...RECIPE,
        models: { ...RECIPE.models, a: { path: 'models/a.safetensors', sha256: sha256.toUpperCase() } },
      })
      expect(lockOf(shop).inputs).toMatchObject({ 'models/a.safetensors': { sha256 } })
      expect(lockOf(shop).inputs['models/b.safetensors']).not.toHaveProperty('sha256')
    }))

  test('that is none is replaced by a new one, with a warning', () =>
    withModels(async (shop) => {
      await shop.build(RECIPE)
      const good = readFileSync(shop.at(LOCK))
      for (const bad of [
        '',
        'not json',
        '{}',
        '[]',
        '{"lock":2}',
        good.toString().slice(0, -40),
        good.toString().replace('blake3:', 'sha9:'),
      ]) {
        writeFileSync(shop.at(LOCK), bad)
        const again = await shop.build(RECIPE)
        expect(again.codes, bad.slice(0, 20)).toEqual(['lock-invalid'])
        expect(readFileSync(shop.at(LOCK))).toEqual(good)
      }
    }))

  test('is left out when it is not wanted, and by recipes that write reports only', () =>
    withModels(async (shop) => {
      await shop.build(RECIPE, { lock: false })
      expect(existsSync(shop.at(LOCK))).toBe(false)
    }))

  test('whose place is taken by a folder lets no output appear', () =>
    withModels(async (shop) => {
      mkdirSync(shop.at(LOCK))
      const refused = await shop.build(RECIPE)
      expect(refused.codes).toEqual(['output-is-folder'])
      expect(refused.result.diagnostics[0]!.message).toContain(LOCK)
      expect(filesIn(shop.folder).filter((f) => f.endsWith('.safetensors') && !f.startsWith('models'))).toEqual([])
    }))
})

describe('a frozen build', () => {
  test('of what is locked passes, gives the same bytes, and leaves the lock alone', () =>
    withModels(async (shop) => {
      const names = ['out/merged.safetensors', 'first-00001-of-00002.safetensors']
      await shop.build(RECIPE)
      const [before, lock] = [shop.read(...names), statSync(shop.at(LOCK), { bigint: true })]
      for (const name of names) rmSync(shop.at(name))
      const frozen = await shop.build(RECIPE, { frozen: true })
      expect(frozen.codes).toEqual([])
      expect(shop.read(...names)).toEqual(before)
      expect(statSync(shop.at(LOCK), { bigint: true })).toMatchObject({ ino: lock.ino, mtimeNs: lock.mtimeNs })
      const again = await shop.build(RECIPE, { frozen: true })
      expect(again.result).toMatchObject({ type: 'ok', diagnostics: [], value: { writtenBytes: 0 } })
    }))

  const other: Readonly<Record<string, TensorValues>> = {
    ...layersBy(1),
    'layers.0.bias': { dtype: 'F32', shape: [24], values: 3 },
  }
  test.each<
    [
      string,
      (shop: BuildFixture) => object | string | Promise<object | string>,
      Readonly<Record<string, string>>,
      readonly string[],
    ]
  >([
    [
      'a changed number',
      () => ({ ...RECIPE, steps: { ...RECIPE.steps, x: { ...RECIPE.steps.x, drop: 0.25 } } }),
      {},
      ['the text of the recipe changed', '`drop` of step `x` changed from 0.5 to 0.25'],
    ],
    [
      'a changed text',
      () => `${JSON.stringify({ smelt: 1, ...RECIPE })}\n# and a comment`,
      {},
      ['the text of the recipe changed'],
    ],
    [
      'another param',
      () => RECIPE,
      { keep: '0.75' },
      ['param `keep` changed from 0.5 to 0.75', '`keep` of step `y` changed from 0.5 to 0.75'],
    ],
    [
      'other contents of an input',
      async (shop) => {
        await shop.model('models/b.safetensors', 1, other)
        return RECIPE
      },
      {},
      [expect.stringMatching(/^input `models\/b\.safetensors` changed from blake3:\w{8}… to blake3:\w{8}…$/) as string],
    ],
    [
      'no lock',
      (shop) => {
        rmSync(shop.at(LOCK))
        return RECIPE
      },
      {},
      [expect.stringContaining('there is no lock') as string],
    ],
    [
      'a broken lock',
      (shop) => {
        writeFileSync(shop.at(LOCK), '{"lock":1}')
        return RECIPE
      },
      {},
      [expect.stringContaining('is not a lock file this version of smelt can read') as string],
    ],
  ])('with %s is refused before anything is computed', (_, change, set, messages) =>
    withModels(async (shop) => {
      await shop.build(RECIPE)
      const before = filesIn(shop.folder).filter((f) => f !== LOCK)
      const bytes = shop.read('out/merged.safetensors')
      const recipe = await change(shop)
      const refused = await shop.build(recipe, { frozen: true, set })
      expect(refused.result.type).toBe('failed')
      expect(refused.result.diagnostics.map((d) => d.message.replace(/^the lock does not match: /, ''))).toEqual(
        messages,
      )
      expect(exitCode(refused.result.diagnostics)).toBe(4)
      expect(refused.started).toBeUndefined()
      expect(filesIn(shop.folder).filter((f) => f !== LOCK)).toEqual(before)
      expect(shop.read('out/merged.safetensors')).toEqual(bytes)
    }),
  )

  test('whose lock tells other bytes than come out writes nothing', () =>
    withModels(async (shop) => {
      await shop.build(RECIPE)
      const lock = lockOf(shop)
      const digest = `blake3:${'0'.repeat(64)}`
      writeFileSync(
        shop.at(LOCK),
        JSON.stringify({
          ...lock,
          builds: [
            {
              ...lock.builds[0]!,
              outputs: { ...lock.builds[0]!.outputs, out: { ...lock.builds[0]!.outputs['out']!, digest } },
            },
          ],
        }),
      )
      rmSync(shop.at('out/merged.safetensors'))
      const refused = await shop.build(RECIPE, { frozen: true })
      expect(refused.codes).toEqual(['lock-differs'])
      expect(refused.result.diagnostics[0]!.message).toMatch(/output `out` changed from blake3:00000000… to blake3:/)
      expect(filesIn(shop.at('out'))).toEqual([])
    }))
})

describe('verifying', () => {
  test('finds everything as locked, and reads every byte', () =>
    withModels(async (shop) => {
      await shop.build(RECIPE)
      const done = await check(shop)
      if (done.type === 'failed') throw new Error(codesOf(done).join())
      expect(done.value.files.map((f) => [f.type, f.path])).toEqual([
        ['input', 'models/a.safetensors'],
        ['input', 'models/b.safetensors'],
        ['output', 'first.safetensors'],
        ['output', 'out/merged.safetensors'],
      ])
      expect(done.value.bytes).toBe(4 * done.value.files[0]!.bytes)
    }))

  test.each([
    ['an input', 'models/a.safetensors'],
    ['an output', 'out/merged.safetensors'],
    ['a shard', 'first-00002-of-00002.safetensors'],
  ])('finds a bit that flipped in %s', (_, name) =>
    withModels(async (shop) => {
      await shop.build(RECIPE)
      flip(shop.at(name), -5)
      const found = await check(shop)
      expect(codesOf(found)).toEqual(['not-as-locked'])
      expect(found.diagnostics[0]!.message).toMatch(/ has content blake3:\w+, but the lock says blake3:\w+$/)
      expect(exitCode(found.diagnostics)).toBe(4)
    }),
  )

  test('tells all that is wrong at once: a missing file too', () =>
    withModels(async (shop) => {
      await shop.build(RECIPE, { sha256: true })
      flip(shop.at('models/a.safetensors'), -5)
      rmSync(shop.at('out/merged.safetensors'))
      const found = await check(shop)
      expect(codesOf(found)).toEqual(
        ['input-missing', 'not-as-locked', 'not-as-locked'].map((code, i) => (i === 0 ? codesOf(found)[0] : code)),
      )
      expect(found.diagnostics[0]!.message).toContain('merged.safetensors')
      expect(found.diagnostics[2]!.message).toMatch(/has sha256 /)
      expect(exitCode(found.diagnostics)).toBe(4)
    }))

  test('accepts an input that was sharded anew', () =>
    withModels(async (shop) => {
      await shop.build(RECIPE)
      const tensors = Object.entries(layersBy(0))
      const shards = ['one.safetensors', 'two.safetensors'].map((name, i) => ({
        name,
        own: tensors.filter((_, j) => j % 2 === i),
      }))
      for (const { name, own } of shards) writeSafetensors(shop.at(`models/${name}`), Object.fromEntries(own))
      const weight_map = Object.fromEntries(shards.flatMap(({ name, own }) => own.map(([tensor]) => [tensor, name])))
      writeFileSync(shop.at('models/s.safetensors.index.json'), JSON.stringify({ weight_map }))
      rmSync(shop.at('models/a.safetensors'))
      const lock = readFileSync(shop.at(LOCK), 'utf8').replaceAll(
        'models/a.safetensors',
        'models/s.safetensors.index.json',
      )
      writeFileSync(shop.at(LOCK), lock)
      const done = await check(shop)
      expect(codesOf(done)).toEqual([])
    }))

  test('needs a lock, and one that can be read', () =>
    withModels(async (shop) => {
      await shop.build(RECIPE, { lock: false })
      const found = await check(shop)
      expect(codesOf(found)).toEqual(['lock-missing'])
      expect(exitCode(found.diagnostics)).toBe(4)
      writeFileSync(shop.at(LOCK), '{}')
      expect(codesOf(await check(shop))).toEqual(['lock-invalid'])
    }))
})
