import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A repository that a server has. */
export interface Repository {
  /** The files of each commit. */
  readonly commits: Readonly<Record<string, Readonly<Record<string, string | Uint8Array>>>>
  /** The commits of branches and tags; tests move them. */
  readonly refs: Record<string, string>
  /** Who sends none of these tokens is refused. */
  readonly tokens?: readonly string[]
  /** `gated` shows the repository to everybody, and its files to some; `private` shows it to nobody else. */
  readonly access?: 'gated' | 'private'
}

/** What a server does to the answer of a request for a file's bytes, once each, in order. */
export type Mishap =
  | { readonly type: 'cut'; readonly after: number }
  | { readonly type: 'status'; readonly status: number; readonly retryAfter?: string }
  | { readonly type: 'other'; readonly content: Uint8Array }
  | { readonly type: 'whole' }

/** A server that speaks as much of the hub’s protocol as downloads need. */
export interface HubServer {
  readonly endpoint: string
  /** Requests so far: method, path and range. */
  readonly requests: string[]
  /** Authorization headers that came to where large files are kept, which they must not. */
  readonly leaked: string[]
  readonly mishaps: Mishap[]
  close(): Promise<void>
}

/** Files of this size and more are kept elsewhere, as large files are. */
const LARGE = 100

const bytesOf = (content: string | Uint8Array): Uint8Array => Buffer.from(content)
const hashOf = (type: 'sha1' | 'sha256', ...parts: readonly (string | Uint8Array)[]): string =>
  parts.reduce((hash, part) => hash.update(part), createHash(type)).digest('hex')

const listen = (server: Server): Promise<string> =>
  new Promise((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)),
  )

const closed = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.closeAllConnections()
    server.close(() => resolve())
  })

/** Starts a hub on the loopback with some repositories, and a second server that has its large files. */
export const startHub = async (repositories: Readonly<Record<string, Repository>>): Promise<HubServer> => {
  const [requests, leaked, mishaps]: [string[], string[], Mishap[]] = [[], [], []]
  const large = new Map<string, Uint8Array>()

  const refuse = (response: ServerResponse, status: number, code: string): void => {
    response.writeHead(status, { 'x-error-code': code, 'content-type': 'application/json' })
    response.end(JSON.stringify({ error: code }))
  }
  const json = (response: ServerResponse, value: unknown, headers: Readonly<Record<string, string>> = {}): void => {
    response.writeHead(200, { 'content-type': 'application/json', ...headers })
    response.end(JSON.stringify(value))
  }
  const send = (request: IncomingMessage, response: ServerResponse, content: Uint8Array): void => {
    const mishap = mishaps.shift()
    if (mishap?.type === 'status') {
      response.writeHead(mishap.status, mishap.retryAfter === undefined ? {} : { 'retry-after': mishap.retryAfter })
      return void response.end()
    }
    const whole = mishap?.type === 'other' ? mishap.content : content
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? []
    const ranged = first !== undefined && mishap?.type !== 'whole'
    const part = ranged ? whole.subarray(Number(first), Number(last) + 1) : whole
    response.writeHead(ranged ? 206 : 200, {
      'content-length': part.length,
      ...(ranged ? { 'content-range': `bytes ${first}-${last}/${whole.length}` } : {}),
    })
    if (mishap?.type !== 'cut') return void response.end(part)
    response.write(part.subarray(0, mishap.after), () => response.destroy())
  }
  const storage = createServer((request, response) => {
    if (request.headers.authorization !== undefined) leaked.push(request.headers.authorization)
    requests.push(`storage ${request.headers.range ?? 'whole'}`)
    send(request, response, large.get(request.url!.slice(1))!)
  })
  const storageUrl = await listen(storage)

  const server = createServer((request, response) => {
    const url = new URL(request.url!, 'http://hub')
    requests.push(`${request.method!} ${decodeURIComponent(url.pathname)}`)
    const [, name, what, rest] =
      /^\/api\/models\/([^/]+\/[^/]+)\/(revision|tree)\/(.+)$/.exec(url.pathname) ??
      /^\/([^/]+\/[^/]+)\/(resolve)\/(.+)$/.exec(url.pathname) ??
      []
    const repository = name === undefined ? undefined : repositories[name]
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1]
    const may = repository?.tokens === undefined || (token !== undefined && repository.tokens.includes(token))
    if (repository === undefined || (!may && repository.access === 'private'))
      return refuse(response, token === undefined ? 401 : 404, 'RepoNotFound')
    const revision = decodeURIComponent(what === 'resolve' ? rest!.slice(0, rest!.indexOf('/')) : rest!)
    const commit = repository.refs[revision] ?? revision
    const files = repository.commits[commit]
    if (files === undefined) return refuse(response, 404, 'RevisionNotFound')
    if (what === 'revision')
      return json(response, { _id: '1', id: name, sha: commit, private: false, gated: false, lastModified: 0 })
    if (what === 'tree') {
      const all = Object.entries(files).map(([path, content]) => {
        const bytes = bytesOf(content)
        const oid = hashOf('sha1', `blob ${bytes.length}\0`, bytes)
        const lfs = { oid: hashOf('sha256', bytes), size: bytes.length, pointerSize: 130 }
        return { type: 'file', path, size: bytes.length, oid, ...(bytes.length < LARGE ? {} : { lfs }) }
      })
      // Two files a page, so that a second is asked for.
      const from = Number(url.searchParams.get('cursor') ?? 0)
      url.searchParams.set('cursor', String(from + 2))
      const next = `<http://${request.headers.host!}${url.pathname}${url.search}>; rel="next"`
      return json(response, all.slice(from, from + 2), from + 2 < all.length ? { link: next } : {})
    }
    if (!may) return refuse(response, token === undefined ? 401 : 403, 'GatedRepo')
    const content = files[decodeURIComponent(rest!.slice(rest!.indexOf('/') + 1))]
    if (content === undefined) return refuse(response, 404, 'EntryNotFound')
    const bytes = bytesOf(content)
    if (bytes.length < LARGE) return send(request, response, bytes)
    const key = hashOf('sha256', bytes)
    large.set(key, bytes)
    response.writeHead(302, { location: `${storageUrl}/${key}` })
    response.end()
  })
  return {
    endpoint: await listen(server),
    requests,
    leaked,
    mishaps,
    close: async () => void (await Promise.all([closed(server), closed(storage)])),
  }
}
