import { mkdirSync, realpathSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { cachedCommit, findCached } from '#src/hub/cached.js'
import { inFolder } from '../support/build-run.js'
import { cacheFiles, commitOf } from '../support/hub-cache.js'

const ONE = commitOf(1)
const reference = (more: object = {}) => ({ repository: 'org/a', revision: undefined, files: undefined, ...more })
const index = (...shards: readonly string[]): string =>
  JSON.stringify({ weight_map: Object.fromEntries(shards.map((shard, i) => [`t${i}`, shard])) })

test('a branch is the commit that its file says, and a commit is itself', () =>
  inFolder(async (cache) => {
    expect(await cachedCommit(cache, reference())).toBeUndefined()
    cacheFiles(cache, 'org/a', ONE, {}, 'main')
    cacheFiles(cache, 'org/a', commitOf(2), {}, 'refs/pr/1')
    expect(await cachedCommit(cache, reference())).toBe(ONE)
    expect(await cachedCommit(cache, reference({ revision: 'refs/pr/1' }))).toBe(commitOf(2))
    expect(await cachedCommit(cache, reference({ revision: commitOf(3) }))).toBe(commitOf(3))
    expect(await cachedCommit(cache, reference({ revision: 'v1' }))).toBeUndefined()
  }))

test('a model is found at its root, in a folder, and by its name', () =>
  inFolder(async (cache) => {
    const snapshot = cacheFiles(cache, 'org/a', ONE, {
      'model.safetensors': 'x',
      'unet/diffusion_pytorch_model.safetensors': 'y',
      'unet/other.safetensors': 'z',
    })
    const find = (files?: string) => findCached(cache, reference({ files }), ONE, 'model')
    expect(await find()).toEqual({
      type: 'found',
      path: join(snapshot, 'model.safetensors'),
      file: 'model.safetensors',
    })
    const file = 'unet/diffusion_pytorch_model.safetensors'
    for (const files of ['unet', 'unet/', file])
      expect(await find(files)).toEqual({ type: 'found', path: join(snapshot, file), file })
    expect(await find('vae')).toEqual({ type: 'partial', missing: ['vae'] })
    expect(await findCached(cache, reference(), commitOf(2), 'model')).toBeUndefined()
  }))

test('shards that are not there are named', () =>
  inFolder(async (cache) => {
    const shards = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors']
    const snapshot = cacheFiles(cache, 'org/a', ONE, {
      'unet/model.safetensors.index.json': index(...shards),
      [`unet/${shards[0]!}`]: 'x',
      [`unet/${shards[1]!}`]: 'y',
    })
    const find = () => findCached(cache, reference({ files: 'unet' }), ONE, 'model')
    expect(await find()).toMatchObject({ type: 'found', file: 'unet/model.safetensors.index.json' })
    rmSync(join(snapshot, 'unet', shards[1]!))
    expect(await find()).toEqual({ type: 'partial', missing: [`unet/${shards[1]!}`] })
  }))

test.each(['model.safetensors', 'model.safetensors.index.json'])('so is %s, if its blob was deleted', (name) =>
  inFolder(async (cache) => {
    const snapshot = cacheFiles(cache, 'org/a', ONE, { [name]: '{}' })
    rmSync(realpathSync(join(snapshot, name)))
    expect(await findCached(cache, reference(), ONE, 'model')).toEqual({ type: 'partial', missing: [name] })
  }),
)

test('a snapshot without a model, and one with several, are told apart', () =>
  inFolder(async (cache) => {
    cacheFiles(cache, 'org/a', ONE, { 'config.json': '{}' })
    expect(await findCached(cache, reference(), ONE, 'model')).toEqual({ type: 'partial', missing: [] })
    cacheFiles(cache, 'org/a', commitOf(2), { 'v/a.safetensors': 'x', 'v/b.safetensors': 'y' })
    expect(await findCached(cache, reference({ files: 'v' }), commitOf(2), 'model')).toEqual({
      type: 'several',
      names: ['v/a.safetensors', 'v/b.safetensors'],
    })
    mkdirSync(join(cache, 'models--org--a', 'snapshots', commitOf(4)))
    expect(await findCached(cache, reference(), commitOf(4), 'model')).toEqual({ type: 'partial', missing: [] })
  }))
