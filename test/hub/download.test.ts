import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Result } from '#src/base/result.js'
import type { HubAccess } from '#src/hub/access.js'
import { download, type DownloadOrder } from '#src/hub/download.js'
import type { HubReference } from '#src/hub/reference.js'
import type { HubOrder } from '#src/hub/find.js'
import { openRemote, type RemoteModel } from '#src/hub/remote.js'
import { inFolder } from '../support/build-run.js'
import { commitOf } from '../support/hub-cache.js'
import { startHub, type HubServer, type Mishap, type Repository } from '../support/hub-server.js'

const [ONE, TWO] = [commitOf(1), commitOf(2)]
const SHARDS = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'] as const
const LONG = Buffer.alloc(300_000, 'weights of the second shard')
const FILES: Readonly<Record<string, string | Uint8Array>> = {
  'config.json': '{}',
  'model.safetensors.index.json': JSON.stringify({ weight_map: { a: SHARDS[0], b: SHARDS[1] } }),
  [SHARDS[0]]: Buffer.alloc(500, 1),
  [SHARDS[1]]: LONG,
  'pytorch_model.bin': Buffer.alloc(900, 2),
  'tokenizer.json': '{"version": "1.0"}',
  'training.log': 'for nobody',
  '../evil.json': 'outside',
}
const repository = (more: Partial<Repository> = {}): Repository => ({
  commits: { [ONE]: FILES, [TWO]: { 'model.safetensors': Buffer.alloc(200, 3) } },
  refs: { main: ONE, 'v 2/x': TWO },
  ...more,
})

interface Hub {
  readonly server: HubServer
  readonly cache: string
  readonly waits: number[]
  /** Downloads, and gives the commit or the codes of what went wrong. */
  fetch(more?: Partial<DownloadOrder>, access?: Partial<HubAccess>): Promise<Result<string>>
  /** Opens by headers. */
  look(more?: Partial<HubOrder>): Promise<Result<RemoteModel>>
  read(path: string): Buffer
}

const withHub = (
  work: (hub: Hub) => Promise<void>,
  repositories: Readonly<Record<string, Repository>> = { 'org/a': repository() },
): Promise<void> =>
  inFolder(async (root) => {
    const server = await startHub(repositories)
    const cache = join(root, 'hub')
    const waits: number[] = []
    const order = (access: Partial<HubAccess> = {}): HubOrder => ({
      access: {
        cache,
        endpoint: server.endpoint,
        token: { text: '' },
        offline: false,
        wait: (ms) => Promise.resolve(void waits.push(ms)),
        ...access,
      },
      reference: { repository: 'org/a', revision: undefined, files: undefined },
      kind: 'model',
      commit: undefined,
      isSide: (name) => ['config.json', 'tokenizer.json', 'evil.json', 'adapter_config.json'].includes(name),
      at: { type: 'option', name: 'a' },
      short: true,
    })
    try {
      await work({
        server,
        cache,
        waits,
        read: (path) => readFileSync(join(cache, 'models--org--a', path)),
        look: (more) => openRemote({ ...order(), ...more }),
        fetch: (more, access) =>
          download({ ...order(access), listener: { found: () => undefined, arrived: () => undefined }, ...more }),
      })
    } finally {
      await server.close()
    }
  })
const codesOf = (result: Result<unknown>): readonly string[] => result.diagnostics.map((d) => d.code)
const snapshot = (name: string, commit = ONE): string => `snapshots/${commit}/${name}`

describe('a download', () => {
  test('puts what a merge needs into the cache as Hugging Face’s own tools do, and nothing else', () =>
    withHub(async ({ fetch, read, cache, server }) => {
      expect(await fetch()).toEqual({ type: 'ok', value: ONE, diagnostics: [] })
      const folder = join(cache, 'models--org--a')
      expect(readdirSync(join(folder, 'snapshots', ONE)).sort()).toEqual(
        ['config.json', 'model.safetensors.index.json', ...SHARDS, 'tokenizer.json'].sort(),
      )
      for (const name of [...SHARDS, 'config.json']) expect(read(snapshot(name))).toEqual(Buffer.from(FILES[name]!))
      expect(read('refs/main').toString()).toBe(ONE)
      const link = join(folder, snapshot(SHARDS[0]))
      expect(lstatSync(link).isSymbolicLink()).toBe(true)
      expect(readlinkSync(link)).toMatch(/^\.\.\/\.\.\/blobs\/[0-9a-f]{64}$/)
      expect(readdirSync(join(folder, 'blobs')).length).toBe(5)
      expect(existsSync(join(cache, 'evil.json'))).toBe(false)
      expect(server.requests.filter((r) => r.includes('pytorch_model') || r.includes('evil'))).toEqual([])
    }))

  test('asks for nothing that is there already', () =>
    withHub(async ({ fetch, server }) => {
      await fetch()
      server.requests.length = 0
      expect((await fetch({ commit: ONE })).type).toBe('ok')
      expect(server.requests.filter((r) => !r.includes('/tree/'))).toEqual([])
    }))

  test('takes a revision, or the commit that the lock has', () =>
    withHub(async ({ fetch, read, server }) => {
      const reference = { repository: 'org/a', revision: 'v 2/x', files: undefined }
      expect(await fetch({ reference })).toMatchObject({ value: TWO })
      expect(read('refs/v 2/x').toString()).toBe(TWO)
      server.requests.length = 0
      expect(await fetch({ commit: ONE })).toMatchObject({ value: ONE })
      expect(server.requests.some((r) => r.includes('/revision/'))).toBe(false)
      expect(await fetch({ reference: { ...reference, revision: TWO } })).toMatchObject({ value: TWO })
    }))

  test('tells how far it is', () =>
    withHub(async ({ fetch }) => {
      let [files, bytes, arrived] = [0, 0, 0]
      const listener = {
        found: (n: number, size: number) => {
          files += n
          bytes += size
        },
        arrived: (size: number) => {
          arrived += size
        },
      }
      await fetch({ listener })
      expect(files).toBe(5)
      expect(arrived).toBe(bytes)
    }))
})

const ONE_FILE = { 'org/a': { commits: { [ONE]: { 'model.safetensors': LONG } }, refs: { main: ONE } } }
const CUTS: readonly Mishap[] = Array.from({ length: 5 }, () => ({ type: 'cut', after: 0 }))
const rangesOf = ({ requests }: HubServer): readonly string[] =>
  requests.filter((r) => r.startsWith('storage')).map((r) => r.slice('storage '.length))
/** The bytes that an interrupted download left. */
const leftOf = (cache: string): number => {
  const blobs = join(cache, 'models--org--a', 'blobs')
  const [name] = readdirSync(blobs).filter((n) => n.endsWith('.incomplete'))
  return name === undefined ? 0 : statSync(join(blobs, name)).size
}

describe('a connection that is cut', () => {
  test('is taken up where it was cut, for as long as bytes arrive', () =>
    withHub(async ({ fetch, read, server, waits }) => {
      for (let i = 0; i < 8; i++) server.mishaps.push({ type: 'cut', after: 30_000 })
      expect((await fetch()).type).toBe('ok')
      expect(read(snapshot('model.safetensors'))).toEqual(LONG)
      const ranges = rangesOf(server)
      expect(ranges[0]).toBe('whole')
      // How much of what was sent before the cut arrives is up to the system.
      expect(ranges.slice(1).every((r) => /^bytes=\d+-299999$/.test(r))).toBe(true)
      expect(waits.length).toBeGreaterThan(0)
    }, ONE_FILE))

  test('again and again without a byte is an error, and the next build continues', () =>
    withHub(async ({ fetch, read, server, cache }) => {
      server.mishaps.push({ type: 'cut', after: 100_000 }, ...CUTS)
      const broken = await fetch()
      expect(codesOf(broken)).toEqual(['hub-unreachable'])
      expect(broken.diagnostics[0]).toMatchObject({
        blame: 'retry',
        help: expect.stringContaining('continues') as string,
      })
      const left = leftOf(cache)
      expect(left).toBeGreaterThan(0)
      server.requests.length = 0
      server.mishaps.length = 0
      expect((await fetch()).type).toBe('ok')
      expect(rangesOf(server)).toEqual([`bytes=${left}-299999`])
      expect(read(snapshot('model.safetensors'))).toEqual(LONG)
    }, ONE_FILE))

  test('is taken up from a server that knows no ranges', () =>
    withHub(async ({ fetch, read, server }) => {
      server.mishaps.push({ type: 'cut', after: 100_000 }, { type: 'whole' })
      expect((await fetch()).type).toBe('ok')
      expect(read(snapshot('model.safetensors'))).toEqual(LONG)
    }, ONE_FILE))
})

describe('bytes that are not those of the digest', () => {
  test('are downloaded anew where they were added to an older part', () =>
    withHub(async ({ fetch, read, cache, server }) => {
      server.mishaps.push(...CUTS)
      await fetch()
      const blobs = join(cache, 'models--org--a', 'blobs')
      const [part] = readdirSync(blobs)
      writeFileSync(join(blobs, part!), Buffer.alloc(1000, 'of another version'))
      server.mishaps.length = 0
      expect((await fetch()).type).toBe('ok')
      expect(read(snapshot('model.safetensors'))).toEqual(LONG)
      expect(leftOf(cache)).toBe(0)
    }, ONE_FILE))

  test.each<[string, Uint8Array]>([
    ['of the same length', Buffer.alloc(LONG.length, 9)],
    ['that are too many', Buffer.concat([LONG, LONG])],
  ])('%s are an error, and nothing of them stays', (_, content) =>
    withHub(async ({ fetch, cache, server }) => {
      server.mishaps.push({ type: 'other', content })
      const changed = await fetch()
      expect(codesOf(changed)).toEqual(['hub-changed'])
      expect(readdirSync(join(cache, 'models--org--a', 'blobs'))).toEqual([])
      expect(existsSync(join(cache, 'models--org--a', 'refs'))).toBe(false)
      expect((await fetch()).type).toBe('ok')
    }, ONE_FILE),
  )
})

describe('the hub', () => {
  test('is asked again after a while where it is busy, and told where it stays so', () =>
    withHub(async ({ fetch, server, waits }) => {
      server.mishaps.push({ type: 'status', status: 429, retryAfter: '3' }, { type: 'status', status: 503 })
      expect((await fetch()).type).toBe('ok')
      expect(waits).toEqual([3000, 1000])
    }, ONE_FILE))

  test.each<[string, readonly Mishap[], string, RegExp]>([
    ['429 for long', [{ type: 'status', status: 429, retryAfter: '900' }], 'hub-busy', /in 900 seconds/],
    ['429 always', Array.from({ length: 5 }, () => ({ type: 'status', status: 429 })), 'hub-busy', /later/],
    ['500 always', Array.from({ length: 5 }, () => ({ type: 'status', status: 500 })), 'hub-refused', /later/],
  ])('that answers %s is an error that is worth another try', (_, mishaps, code, help) =>
    withHub(async ({ fetch, server }) => {
      server.mishaps.push(...mishaps)
      const { diagnostics } = await fetch()
      expect(diagnostics).toMatchObject([{ code, blame: 'retry', help: expect.stringMatching(help) as string }])
    }, ONE_FILE),
  )

  test('gets the token, and where large files are kept does not', () =>
    withHub(
      async ({ fetch, server, cache }) => {
        expect((await fetch(undefined, { token: { text: 'of me' } })).type).toBe('ok')
        writeFileSync(join(cache, 'token'), 'of me\n')
        expect((await fetch({ commit: ONE }, { token: { file: join(cache, 'token') } })).type).toBe('ok')
        expect(server.leaked).toEqual([])
      },
      { 'org/a': repository({ tokens: ['of me'], access: 'private' }) },
    ))

  test.each<[string, Repository['access'], string, string, RegExp]>([
    ['gated, without a token', 'gated', '', 'hub-gated', /HF_TOKEN/],
    ['gated, with another’s', 'gated', 'hf_other', 'hub-gated', /ask for access/],
    ['private, without a token', 'private', '', 'hub-no-repository', /HF_TOKEN/],
    ['private, with another’s', 'private', 'hf_other', 'hub-no-repository', /cannot read it/],
  ])('refuses a repository that is %s', (_, access, text, code, help) =>
    withHub(
      async ({ fetch }) => {
        const { diagnostics } = await fetch(undefined, { token: { text } })
        expect(diagnostics).toMatchObject([{ code, blame: 'input', help: expect.stringMatching(help) as string }])
      },
      { 'org/a': repository({ tokens: ['hf_me'], access: access! }) },
    ),
  )

  test.each<[string, Partial<HubReference>, string, RegExp]>([
    ['repository', { repository: 'org/b' }, 'hub-no-repository', /check its name/],
    ['revision', { revision: 'v9' }, 'hub-no-revision', /branches/],
    ['commit', { revision: commitOf(9) }, 'hub-no-revision', /branches/],
    ['file', { files: 'model.safetensor' }, 'hub-without-file', /check `files`|model/],
    ['model', { files: 'docs' }, 'hub-without-model', /`files`/],
    ['one model', { files: 'two' }, 'hub-several', /files: two\/x\.safetensors/],
    ['shard', { files: 'half' }, 'hub-without-shards', /another revision/],
  ])('has no such %s', (_, more, code, help) =>
    withHub(
      async ({ fetch }) => {
        const reference = { repository: 'org/a', revision: undefined, files: undefined, ...more }
        const { diagnostics } = await fetch({ reference })
        expect(diagnostics).toMatchObject([{ code, help: expect.stringMatching(help) as string }])
      },
      {
        'org/a': repository({
          commits: {
            [ONE]: {
              ...FILES,
              'docs/a.md': 'x',
              'two/x.safetensors': 'x',
              'two/y.safetensors': 'y',
              'half/model.safetensors.index.json': JSON.stringify({ weight_map: { a: SHARDS[0] } }),
            },
          },
        }),
      },
    ),
  )

  test('that is no hub, or not there, is an error', () =>
    withHub(async ({ fetch, server }) => {
      const odd = await fetch(undefined, { endpoint: `${server.endpoint}/elsewhere` })
      expect(codesOf(odd)).toEqual(['hub-no-repository'])
      await server.close()
      const gone = await fetch()
      expect(gone.diagnostics).toMatchObject([{ code: 'hub-unreachable', blame: 'retry' }])
      expect(gone.diagnostics[0]!.message).toContain('ECONNREFUSED')
      expect((await fetch({ short: true })).diagnostics[0]!.message).toMatch(
        /^there is no file or folder `org\/a` here, and .* no connection to the hub \(.*ECONNREFUSED/,
      )
    }))

  test('is left when the build is stopped', () =>
    withHub(async ({ fetch }) => {
      const stop = new AbortController()
      const listener = { found: () => stop.abort(), arrived: () => undefined }
      expect(codesOf(await fetch({ signal: stop.signal, listener }))).toEqual(['stopped'])
    }))
})

describe('a cache', () => {
  test('that cannot be written is an error', () =>
    withHub(async ({ fetch, cache }) => {
      writeFileSync(cache, 'a file')
      expect(codesOf(await fetch())).toEqual(['not-a-place'])
    }))

  test('takes one file from two downloads at once', () =>
    withHub(async ({ fetch, read }) => {
      const both = await Promise.all([fetch(), fetch()])
      expect(both.map((r) => r.type)).toEqual(['ok', 'ok'])
      expect(read(snapshot('model.safetensors'))).toEqual(LONG)
    }, ONE_FILE))
})

describe('a look at headers', () => {
  /** A file with one tensor of ones per name, and as many bytes of it as numbers. */
  const fileOf = (tensors: Readonly<Record<string, readonly number[]>>): Buffer => {
    let end = 0
    const entries = Object.entries(tensors).map(([name, shape]) => {
      const begin = end
      end += shape.reduce((n, d) => n * d, 1)
      return [name, { dtype: 'U8', shape, data_offsets: [begin, end] }] as const
    })
    const header = Buffer.from(JSON.stringify(Object.fromEntries(entries)))
    const length = Buffer.alloc(8)
    length.writeBigUInt64LE(BigInt(header.length))
    return Buffer.concat([length, header, Buffer.alloc(end, 7)])
  }
  const many = fileOf(Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`layers.${i}.weight`, [1, 100]])))
  const sharded = {
    'config.json': '{}',
    'model.safetensors.index.json': JSON.stringify({ weight_map: { a: SHARDS[0], b: SHARDS[1] } }),
    [SHARDS[0]]: fileOf({ a: [300_000] }),
    [SHARDS[1]]: fileOf({ b: [5, 40_000] }),
  }
  const only = (files: Readonly<Record<string, string | Uint8Array>>): Readonly<Record<string, Repository>> => ({
    'org/a': { commits: { [ONE]: files }, refs: { main: ONE } },
  })

  test('asks for the beginnings of shards, and tells the model as it will be', () =>
    withHub(async ({ look, server, cache }) => {
      const seen = await look()
      expect(seen).toMatchObject({ type: 'ok', diagnostics: [], value: { origin: { commit: ONE } } })
      if (seen.type !== 'ok') return
      expect([...seen.value.file.tensors.values()].map(({ name, shape }) => [name, shape])).toEqual([
        ['a', [300_000]],
        ['b', [5, 40_000]],
      ])
      expect(server.requests.filter((r) => r.startsWith('storage')).sort()).toEqual([
        'storage bytes=0-65535',
        'storage bytes=0-65535',
      ])
      expect(await seen.value.readSides()).toMatchObject({ value: new Map([['config.json', Buffer.from('{}')]]) })
      expect(existsSync(cache)).toBe(false)
    }, only(sharded)))

  test('reads the rest of a long header, over connections that are cut and servers without ranges', () =>
    withHub(
      async ({ look, server }) => {
        server.mishaps.push(
          { type: 'cut', after: 900 },
          { type: 'whole' },
          { type: 'cut', after: 10 },
          { type: 'whole' },
        )
        const seen = await look()
        expect(seen.type === 'ok' && seen.value.file.tensors.size).toBe(2000)
      },
      only({ 'model.safetensors': many }),
    ))

  test('reads the alphas of an adapter, and what PEFT says of it', () =>
    withHub(
      async ({ look, server }) => {
        const seen = await look({ kind: 'adapter' })
        expect(seen).toMatchObject({
          value: { file: { scalars: new Map([['x.alpha', Uint8Array.of(7)]]), config: { lora_alpha: 4 } } },
        })
        expect(server.requests.some((r) => r.endsWith('whole') && r.startsWith('storage'))).toBe(false)
      },
      only({
        'adapter_model.safetensors': fileOf({ big: [400_000], 'x.alpha': [], 'y.down': [90_000] }),
        'adapter_config.json': '{"lora_alpha": 4}',
      }),
    ))

  test.each<[string, Readonly<Record<string, string | Uint8Array>>, string]>([
    ['a checkpoint of PyTorch, whose names are spread over it', { 'pytorch_model.bin': LONG }, 'hub-headers-unread'],
    ['an index that names what is not there', { ...sharded, [SHARDS[1]]: '' }, 'header-too-small'],
    ['a tensor that its shard lacks', { ...sharded, [SHARDS[1]]: fileOf({ c: [90_000] }) }, 'tensor-not-in-shard'],
    ['a file that is none', { 'model.safetensors': LONG }, 'header-too-large'],
  ])('refuses %s', (_, files, code) =>
    withHub(async ({ look }) => {
      const seen = await look()
      expect(seen.type).toBe('failed')
      expect(codesOf(seen)).toContain(code)
    }, only(files)),
  )
})
