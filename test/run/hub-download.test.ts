import { existsSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { HubAccess } from '#src/hub/access.js'
import { createRemotely } from '#src/run/downloads.js'
import { draft } from '#src/run/prepare.js'
import type { Lock } from '#src/store/lock.js'
import { readTensors } from '../support/build-run.js'
import { commitOf, safetensorsBytes } from '../support/hub-cache.js'
import { startHub, type HubServer } from '../support/hub-server.js'
import { withBuildFixture, type BuildFixture } from './build-fixture.js'

const [ONE, TWO] = [commitOf(1), commitOf(2)]

interface Hub {
  readonly shop: BuildFixture
  readonly server: HubServer
  readonly hub: HubAccess
  /** What branches are now. */
  readonly refs: Record<string, string>
}

/** A hub with `org/a`, whose number differs by commit, and an adapter beside it. */
const withHub = (work: (hub: Hub) => Promise<void>): Promise<void> =>
  withBuildFixture(async (shop) => {
    const model = (value: number): Readonly<Record<string, string | Uint8Array>> => ({
      'model.safetensors': safetensorsBytes(shop.at('scratch'), {
        w: { dtype: 'F32', shape: [64], values: value },
      }),
      'config.json': '{"torch_dtype": "float32"}',
      'README.md': '---\nlicense: mit\n---\n',
      'onnx/model.onnx': 'not for merges',
    })
    const refs: Record<string, string> = { main: ONE }
    const server = await startHub({ 'org/a': { commits: { [ONE]: model(1), [TWO]: model(7) }, refs } })
    const hub: HubAccess = {
      cache: join(dirname(shop.folder), 'hub'),
      endpoint: server.endpoint,
      token: { text: '' },
      offline: false,
      wait: () => Promise.resolve(),
    }
    try {
      await shop.model('b.safetensors', 0, { w: { dtype: 'F32', shape: [64], values: 3 } })
      await work({ shop, server, hub, refs })
    } finally {
      await server.close()
    }
  })

const recipe = (a: unknown = 'org/a', path = 'out/'): object => ({
  models: { a, b: 'b.safetensors' },
  steps: { s: { op: 'merge.blend', a: 'a', b: 'b', keep: 0.5 } },
  outputs: { o: { from: 's', path } },
})
const valueOf = async (shop: BuildFixture): Promise<number> => (await readTensors(shop.at('out')))['w']!.values[0]!

describe('a build', () => {
  test('downloads the models of the hub that are missing, and pins their commits', () =>
    withHub(async ({ shop, server, hub }) => {
      const built = await shop.build(recipe(), { hub })
      expect(built.codes).toEqual([])
      expect(await valueOf(shop)).toBe(2)
      expect(shop.read('out/config.json').toString()).toContain('float32')
      const lock = JSON.parse(shop.read('recipe.lock.json').toString()) as Lock
      expect(lock.inputs['org/a']!.hub).toEqual({ repository: 'org/a', commit: ONE, file: 'model.safetensors' })
      expect(built.events.filter((e) => e.type.includes('download'))).toMatchObject([
        { type: 'download-started', repository: 'org/a', files: 3 },
        { type: 'download-finished', repository: 'org/a', ok: true },
      ])
      server.requests.length = 0
      const again = await shop.build(recipe(), { hub })
      expect(again.result).toMatchObject({ value: { outputs: [{ kept: true }] } })
      expect(server.requests).toEqual([])
    }))

  test('takes the commit of the lock, even where the cache is new, until it is told to update', () =>
    withHub(async ({ shop, hub, refs }) => {
      await shop.build(recipe(), { hub })
      refs['main'] = TWO
      rmSync(hub.cache, { recursive: true })
      expect((await shop.build(recipe(), { hub, force: true })).codes).toEqual([])
      expect(await valueOf(shop)).toBe(2)
      expect((await shop.build(recipe(), { hub, update: true })).codes).toEqual([])
      expect(await valueOf(shop)).toBe(5)
      expect((await shop.build(recipe(), { hub })).codes).toEqual([])
      expect(await valueOf(shop)).toBe(5)
    }))

  test('that is frozen, and a plan, download nothing', () =>
    withHub(async ({ shop, server, hub }) => {
      await shop.build(recipe(), { hub })
      rmSync(hub.cache, { recursive: true })
      server.requests.length = 0
      expect((await shop.build(recipe(), { hub, frozen: true })).codes).toEqual(['hub-not-cached'])
      const planned = await draft(shop.at('recipe.yaml'), { hub })
      expect(planned.diagnostics).toMatchObject([
        { code: 'hub-not-cached', help: expect.stringContaining('`smelt build`') as string },
      ])
      expect((await shop.build(recipe(), { hub: { ...hub, offline: true } })).codes).toEqual(['hub-not-cached'])
      expect(server.requests).toEqual([])
    }))

  test('and what it would do is planned from headers alone, which writes nothing', () =>
    withHub(async ({ shop, server, hub }) => {
      shop.write(recipe())
      server.mishaps.push({ type: 'status', status: 503 }, { type: 'cut', after: 20 })
      const planned = await draft(shop.at('recipe.yaml'), { hub, remotely: createRemotely(hub) })
      expect(planned.diagnostics).toEqual([])
      expect(existsSync(hub.cache)).toBe(false)
      await shop.build(recipe(), { hub })
      const after = await draft(shop.at('recipe.yaml'), { hub })
      const shown = (drafted: typeof planned): unknown =>
        drafted.type === 'ok'
          ? drafted.value.draft.outputs.map(({ output }) => [
              output.files.map((f) => f.bytes),
              output.sides.map((side) => [side.path, Buffer.from(side.bytes).toString()]),
            ])
          : drafted
      expect(shown(planned)).toEqual(shown(after))
    }))

  test('downloads a model once for all settings of its params', () =>
    withHub(async ({ shop, server, hub }) => {
      const grid = { ...recipe('org/a', 'out/${keep}.safetensors'), params: { keep: 0.5 } }
      const text = JSON.stringify({ smelt: 1, ...grid }).replace('"keep":0.5}}', '"keep":"$keep"}}')
      expect((await shop.build(text, { hub, set: { keep: '0.2,0.4' } })).codes).toEqual([])
      expect(server.requests.filter((r) => r.startsWith('storage'))).toHaveLength(1)
    }))

  test('says what the hub refuses where the recipe names the model', () =>
    withHub(async ({ shop, hub }) => {
      const { result } = await shop.build(recipe('org/typo'), { hub })
      expect(result.diagnostics).toMatchObject([{ code: 'hub-no-repository', at: { type: 'text' } }])
      expect(result.diagnostics[0]!.message).toContain('no file or folder `org/typo`')
    }))
})
