import { mkdirSync, readdirSync, renameSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { blake3, toDigest } from '#src/base/digest.js'
import type { FileIdentity } from '#src/safetensors/open.js'
import { isSettled, type KnownFile } from '#src/store/files.js'
import { DEFAULT_LIMIT, openStore } from '#src/store/store.js'
import { inFolder } from '../support/build-run.js'

const identity = (more: Partial<FileIdentity> = {}): FileIdentity => ({
  size: 100,
  mtimeNs: 1_000_000_001n,
  ctimeNs: 2_000_000_001n,
  ino: 7n,
  dev: 3n,
  ...more,
})
const digest = (text: string) => toDigest(blake3(text))
const file = (more: Partial<KnownFile> = {}): KnownFile => ({
  identity: identity(),
  header: digest('header'),
  fingerprint: undefined,
  tensors: new Map([
    ['w', { digest: digest('w'), begin: 80, fingerprint: 'ab'.repeat(16) }],
    ['__proto__', { digest: digest('p'), begin: 90, fingerprint: undefined }],
  ]),
  ...more,
})
const LATER = 1e12

describe('what is remembered of a file', () => {
  test('is found as it was, by another process too', () =>
    inFolder(async (folder) => {
      openStore(folder).files.keep('/models/a', file(), LATER)
      expect(openStore(folder).files.find('/models/a', identity())).toEqual(file())
      expect(openStore(folder).files.find('/models/b', identity())).toBeUndefined()
      openStore(folder).files.keep(
        '/models/a',
        file({ header: undefined, fingerprint: 'f', tensors: new Map() }),
        LATER,
      )
      expect(openStore(folder).files.find('/models/a', identity())).toEqual(
        file({ header: undefined, fingerprint: 'f', tensors: new Map() }),
      )
    }))

  test.each(['size', 'mtimeNs', 'ctimeNs', 'ino', 'dev'] as const)('is not believed when its %s is another', (key) =>
    inFolder(async (folder) => {
      openStore(folder).files.keep('/models/a', file(), LATER)
      const other = identity({ [key]: key === 'size' ? 101 : (identity()[key] as bigint) + 1n })
      expect(openStore(folder).files.find('/models/a', other)).toBeUndefined()
    }),
  )

  test('is not believed when its entry was put in the place of another’s', () =>
    inFolder(async (folder) => {
      const store = openStore(folder)
      store.files.keep('/models/a', file(), LATER)
      const [a] = readdirSync(join(folder, 'v1', 'files'))
      store.files.keep('/models/b', file({ tensors: new Map() }), LATER)
      const b = readdirSync(join(folder, 'v1', 'files')).find((name) => name !== a)!
      renameSync(join(folder, 'v1', 'files', a!), join(folder, 'v1', 'files', b))
      expect(store.files.find('/models/b', identity())).toBeUndefined()
    }))

  test.each<[string, Partial<FileIdentity>, number, boolean]>([
    ['just changed', { mtimeNs: 5_000_000_001n, ctimeNs: 1n }, 5000, false],
    ['changed a tick ago', { mtimeNs: 5_000_000_001n, ctimeNs: 1n }, 5020, false],
    ['changed longer ago', { mtimeNs: 5_000_000_001n, ctimeNs: 1n }, 5021, true],
    ['an old time given to it just now', { mtimeNs: 1n, ctimeNs: 5_000_000_001n }, 5010, false],
    ['whole seconds, and one of them passed', { mtimeNs: 5_000_000_000n, ctimeNs: 5_000_000_000n }, 6000, false],
    ['whole seconds, and more than two passed', { mtimeNs: 5_000_000_000n, ctimeNs: 5_000_000_000n }, 7001, true],
    ['a time that is yet to come', { mtimeNs: 9_000_000_001n, ctimeNs: 1n }, 5000, false],
  ])('is kept of a file with %s only if a further change would show', (_, times, since, settled) =>
    inFolder(async (folder) => {
      expect(isSettled(identity(times), since)).toBe(settled)
      openStore(folder).files.keep('/a', file({ identity: identity(times) }), since)
      expect(openStore(folder).files.find('/a', identity(times)) !== undefined).toBe(settled)
    }),
  )
})

describe('the store', () => {
  test('that is not there yet is empty, and looking does not make it', () =>
    inFolder(async (folder) => {
      const store = openStore(join(folder, 'none'))
      expect(store.list()).toEqual([])
      expect(store.files.find('/a', identity())).toBeUndefined()
      expect(store.outcomes.find('x')).toBeUndefined()
      expect([store.outcomes.isEmpty(), store.masks.open()]).toEqual([true, undefined])
      expect([store.collect(), store.clear()]).toEqual([0, 0])
      expect(readdirSync(folder)).toEqual([])
      expect(store.limit).toBe(DEFAULT_LIMIT)
    }))

  test('lists what it holds, the least recently used first', () =>
    inFolder(async (folder) => {
      let now = 1e12
      const store = openStore(folder, DEFAULT_LIMIT, () => now)
      for (const name of ['/a', '/b', '/c']) store.files.keep(name, file(), LATER)
      const entries = store.list().map((e) => e.path)
      for (const [i, path] of ['/b', '/c', '/a'].entries()) {
        now = 1e12 + i * 1000
        store.files.find(path, identity())
      }
      store.outcomes.keep(new Map([['x', { type: 'number', value: 1 }]]))
      expect(store.outcomes.isEmpty()).toBe(false)
      const listed = store.list()
      expect(listed.map((e) => e.kind)).toEqual(['file', 'file', 'file', 'outcomes'])
      expect(listed.map((e) => e.used).slice(0, 3)).toEqual([1e12, 1e12 + 1000, 1e12 + 2000])
      expect(new Set(listed.slice(0, 3).map((e) => e.path))).toEqual(new Set(entries))
      expect(listed.every((e) => e.bytes > 0)).toBe(true)
    }))

  test('evicts the least recently used until the rest is within the limit', () =>
    inFolder(async (folder) => {
      let now = 1e12
      const store = openStore(folder, DEFAULT_LIMIT, () => now)
      const names = Array.from({ length: 10 }, (_, i) => `/${i}`)
      for (const name of names) store.files.keep(name, file(), LATER)
      const { bytes } = store.list()[0]!
      for (const [i, name] of ['/3', ...names.filter((n) => n !== '/3')].entries()) {
        now = 1e12 + i
        store.files.find(name, identity())
      }
      expect(store.collect(4 * bytes + 1)).toBe(6 * bytes)
      expect(names.filter((name) => store.files.find(name, identity()) !== undefined)).toEqual(['/6', '/7', '/8', '/9'])
      expect(store.collect(4 * bytes)).toBe(0)
      expect(store.clear()).toBe(4 * bytes)
      expect(store.list()).toEqual([])
    }))

  test('removes unfinished entries that belong to nobody, and leaves young ones to whoever writes them', () =>
    inFolder(async (folder) => {
      const store = openStore(folder, DEFAULT_LIMIT, () => 1e12)
      mkdirSync(join(folder, 'v1', 'files'), { recursive: true })
      const old = join(folder, 'v1', 'files', 'a.json.1.partial')
      for (const [path, age] of [
        [old, 3_600_001],
        [old.replace('1.partial', '2.partial'), 3_599_000],
      ] as const) {
        writeFileSync(path, 'left')
        utimesSync(path, (1e12 - age) / 1000, (1e12 - age) / 1000)
      }
      expect(store.collect()).toBe(4)
      expect(readdirSync(join(folder, 'v1', 'files'))).toEqual(['a.json.2.partial'])
    }))
})
