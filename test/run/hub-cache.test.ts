import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { HubAccess } from '#src/hub/access.js'
import { verify } from '#src/run/verify.js'
import type { Lock } from '#src/store/lock.js'
import { readTensors } from '../support/build-run.js'
import { cacheFiles, commitOf, safetensorsBytes } from '../support/hub-cache.js'
import { inlineWorker } from '../support/inline-worker.js'
import { withBuildFixture, type BuildFixture } from './build-fixture.js'

const [ONE, TWO] = [commitOf(1), commitOf(2)]
const offline = (shop: BuildFixture): HubAccess => ({
  cache: join(dirname(shop.folder), 'hub'),
  endpoint: undefined,
  token: { text: '' },
  offline: true,
})
/** Puts a model of one tensor, and what stands beside it, into the cache. */
const put = (shop: BuildFixture, repository: string, commit: string, value: number, ref?: string): string =>
  cacheFiles(
    offline(shop).cache,
    repository,
    commit,
    {
      'model.safetensors': safetensorsBytes(shop.at('scratch'), {
        w: { dtype: 'F32', shape: [4], values: value },
      }),
      'config.json': '{"torch_dtype": "float32"}',
      'tokenizer.json': `"of ${repository}"`,
      'README.md': '---\nlicense: mit\n---\n',
      'training.log': 'not for copies',
    },
    ref,
  )
const blend = (a: unknown, b: unknown, path = 'out.safetensors'): object => ({
  models: { a, b },
  steps: { s: { op: 'merge.blend', a: 'a', b: 'b', keep: 0.5 } },
  outputs: { o: { from: 's', path } },
})
const valueOf = async (shop: BuildFixture, path = 'out.safetensors'): Promise<number> =>
  (await readTensors(shop.at(path)))['w']!.values[0]!
const lockOf = (shop: BuildFixture): Lock => JSON.parse(readFileSync(shop.at('recipe.lock.json'), 'utf8')) as Lock

describe('models that the Hugging Face cache has', () => {
  test('are merged by their names, and the lock records their commits', () =>
    withBuildFixture(async (shop) => {
      put(shop, 'org/a', ONE, 1, 'main')
      put(shop, 'org/b', TWO, 3, 'v1')
      const recipe = blend('org/a', { hub: 'org/b', revision: 'v1' })
      expect((await shop.build(recipe, { hub: offline(shop) })).codes).toEqual([])
      expect(await valueOf(shop)).toBe(2)
      const file = 'model.safetensors'
      expect(lockOf(shop).inputs).toMatchObject({
        'org/a': { hub: { repository: 'org/a', commit: ONE, file } },
        'hub:org/b@v1': { hub: { repository: 'org/b', commit: TWO, file } },
      })
      const again = await shop.build(recipe, { hub: offline(shop), frozen: true })
      expect(again.result).toMatchObject({ value: { outputs: [{ kept: true }] } })
    }))

  test('make folders with their config, tokenizer and licence, and cards that name them', () =>
    withBuildFixture(async (shop) => {
      put(shop, 'org/a', ONE, 1, 'main')
      put(shop, 'org/b', TWO, 3, 'main')
      const built = await shop.build(blend({ hub: 'org/a' }, 'org/b', 'merged/'), { hub: offline(shop) })
      expect(built.codes).toEqual([])
      expect(await valueOf(shop, 'merged')).toBe(2)
      const [tokenizer, card] = shop.read('merged/tokenizer.json', 'merged/README.md').map(String)
      expect(tokenizer).toBe('"of org/a"')
      expect(card).toMatch(/base_model:\n- org\/a\n- org\/b\n[^]*license: mit/)
      expect(card).not.toContain('hub:org/a |')
    }))

  test('are the base that a PEFT adapter names', () =>
    withBuildFixture(async (shop) => {
      const name = 'model.layers.0.self_attn.q_proj.weight'
      for (const [repository, values] of [
        ['org/a', [1, 2, 3, 4]],
        ['org/b', [1, 2, 3, 5]],
      ] as const) {
        const bytes = safetensorsBytes(shop.at('scratch'), { [name]: { dtype: 'F32', shape: [2, 2], values } })
        cacheFiles(offline(shop).cache, repository, ONE, { 'model.safetensors': bytes }, 'main')
      }
      const recipe = {
        models: { a: 'org/a', b: { hub: 'org/b' } },
        steps: { lora: { op: 'adapter.extract', model: 'b', base: 'a', rank: 1, names: 'peft' } },
        outputs: { o: { from: 'lora', path: 'lora/' } },
      }
      expect((await shop.build(recipe, { hub: offline(shop) })).result.type).toBe('ok')
      expect(JSON.parse(String(shop.read('lora/adapter_config.json')[0]))).toMatchObject({
        base_model_name_or_path: 'org/a',
      })
    }))

  test('stay at the commit of the lock when the branch moves on, which is told', () =>
    withBuildFixture(async (shop) => {
      put(shop, 'org/a', ONE, 1, 'main')
      await shop.model('b.safetensors', 0, { w: { dtype: 'F32', shape: [4], values: 3 } })
      const recipe = blend('org/a', 'b.safetensors')
      await shop.build(recipe, { hub: offline(shop) })
      put(shop, 'org/a', TWO, 7, 'main')
      const moved = await shop.build(recipe, { hub: offline(shop) })
      expect(moved.codes).toEqual(['hub-moved'])
      expect(moved.result.type).toBe('ok')
      expect(await valueOf(shop)).toBe(2)
      expect((await shop.build(recipe, { hub: offline(shop), frozen: true })).codes).toEqual([])
      rmSync(shop.at('recipe.lock.json'))
      expect((await shop.build(recipe, { hub: offline(shop), force: true })).codes).toEqual([])
      expect(await valueOf(shop)).toBe(5)
    }))

  test('are compared with the lock by `verify`, at its commit', () =>
    withBuildFixture(async (shop) => {
      const snapshot = put(shop, 'org/a', ONE, 1, 'main')
      await shop.build(blend('org/a', { hub: 'org/a' }), { hub: offline(shop) })
      put(shop, 'org/a', TWO, 7, 'main')
      const check = async (): Promise<readonly string[]> =>
        (
          await verify(shop.at('recipe.yaml'), {
            workers: 1,
            device: 'cpu',
            start: inlineWorker,
            hub: offline(shop),
          })
        ).diagnostics.map((d) => d.code)
      expect(await check()).toEqual([])
      writeFileSync(
        join(snapshot, 'model.safetensors'),
        safetensorsBytes(shop.at('scratch'), { w: { dtype: 'F32', shape: [4], values: 9 } }),
      )
      expect(await check()).toEqual(['not-as-locked', 'not-as-locked'])
    }))
})

describe('a name is of the hub', () => {
  test('only where no file or folder is called so', () =>
    withBuildFixture(async (shop) => {
      put(shop, 'org/a', ONE, 1, 'main')
      mkdirSync(shop.at('org/a'), { recursive: true })
      await shop.model('org/a/model.safetensors', 0, { w: { dtype: 'F32', shape: [4], values: 5 } })
      await shop.build(blend('org/a', { hub: 'org/a' }), { hub: offline(shop) })
      expect(await valueOf(shop)).toBe(3)
      expect(Object.keys(lockOf(shop).inputs)).toEqual(['hub:org/a', 'org/a'])
      // Beside a folder of the organisation, a name is a path with a mistake.
      expect((await shop.build(blend('org/b', { hub: 'org/a' }), { hub: offline(shop) })).codes).toEqual([
        'file-missing',
      ])
    }))

  test.each<[string, unknown, string, RegExp]>([
    ['not in the cache', 'org/none', 'hub-not-cached', /HF_HUB_OFFLINE/],
    ['not in the cache at a tag', { hub: 'org/a', revision: 'v2' }, 'hub-not-cached', /HF_HUB_OFFLINE/],
    ['incomplete', 'org/part', 'hub-incomplete', /HF_HUB_OFFLINE/],
    ['of several models', 'org/two', 'hub-several', /files: x\.safetensors/],
    ['called by its address', { hub: 'https://hub/org/a/tree/main' }, 'not-a-repository', /`hub: org\/a`/],
    ['an address of it', 'https://huggingface.co/org/a', 'address-not-path', /write `org\/a`/],
    [
      'an address of a file',
      'https://hub/org/a/resolve/v2/unet/x.safetensors?download=true',
      'address-not-path',
      /`{ hub: org\/a, revision: v2, files: unet\/x\.safetensors }`/,
    ],
    ['an address of another place', 'https://host/models/1', 'address-not-path', /download the file/],
    ['called with a way out', { hub: 'org/a', files: '../b' }, 'stray-hub-path', /folder/],
    ['of a stray revision', { hub: 'org/a', revision: '../../x' }, 'stray-hub-path', /branch/],
    ['at two places', { hub: 'org/a', path: 'a.safetensors' }, 'input-in-two-places', /keep/],
    ['nowhere', { sha256: '0'.repeat(64) }, 'missing-key', /`hub`/],
    ['a path with a revision', { path: 'a.safetensors', revision: 'main' }, 'missing-partner', /`hub`/],
  ])('and an error where it is %s', (_, input, code, help) =>
    withBuildFixture(async (shop) => {
      put(shop, 'org/a', ONE, 1, 'main')
      const { cache } = offline(shop)
      cacheFiles(cache, 'org/part', ONE, { 'config.json': '{}' }, 'main')
      cacheFiles(cache, 'org/two', ONE, { 'x.safetensors': 'x', 'y.safetensors': 'y' }, 'main')
      const built = await shop.build(blend('org/a', input), { hub: offline(shop) })
      expect(built.codes).toEqual([code])
      expect(built.result.diagnostics[0]!.help).toMatch(help)
    }),
  )

  test('and an error of a frozen build where it was never downloaded', () =>
    withBuildFixture(async (shop) => {
      put(shop, 'org/a', ONE, 1, 'main')
      const recipe = blend('org/a', 'org/a')
      await shop.build(recipe, { hub: offline(shop) })
      rmSync(offline(shop).cache, { recursive: true })
      const frozen = await shop.build(recipe, { hub: { ...offline(shop), offline: false }, frozen: true })
      expect(frozen.codes).toContain('hub-not-cached')
      expect(frozen.result.diagnostics[0]!.help).toMatch(`hf download org/a --revision ${ONE}`)
    }))
})
