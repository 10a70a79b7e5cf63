import { readFile } from 'node:fs/promises'
import type { HubAccess } from './access.js'
import { staysInside } from './reference.js'

/** A file of a repository, as the hub lists it. */
export interface RemoteFile {
  /** In the repository, with `/`. */
  readonly path: string
  readonly bytes: number
  /** Its digest, in hex: sha256 for large files, the sha1 of a git blob for others. Names its blob in the cache. */
  readonly digest: { readonly type: 'sha256' | 'git'; readonly hex: string }
}

/** Why the hub gave no answer, or not the one that was asked for. */
export type HubFailure =
  | {
      readonly type: 'refused'
      readonly status: number
      /** What the hub calls the reason, such as `GatedRepo`. */
      readonly code: string
      /** Seconds that it asks to wait for. */
      readonly wait: number | undefined
      /** True where a token was sent. */
      readonly known: boolean
    }
  | { readonly type: 'unreachable'; readonly reason: string }
  /** Its answer is not what the protocol says. */
  | { readonly type: 'odd'; readonly reason: string }
  | { readonly type: 'stopped' }

/** An answer of the hub. */
export type Answer<T> = { readonly type: 'ok'; readonly value: T } | HubFailure

/** Questions to a hub. */
export interface HubClient {
  /** The commit that a revision is now. */
  commitOf(repository: string, revision: string): Promise<Answer<string>>
  /** All files of a commit. */
  list(repository: string, commit: string): Promise<Answer<readonly RemoteFile[]>>
  /** Reads a file from a position on, to its end unless another is given, piece by piece, until `take` gives false. */
  read(
    repository: string,
    commit: string,
    file: RemoteFile,
    begin: number,
    take: (piece: Uint8Array) => Promise<boolean>,
    end?: number,
  ): Promise<Answer<void>>
}

/** Tries of one question, and the longest that the hub may ask to wait for, in seconds. */
const [TRIES, LONGEST_WAIT] = [5, 60]
/** Answers that may be others a moment later. */
const PASSING: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504])

/** How long to wait before the next try, in ms: twice as long each time. */
export const backoff = (tried: number): number => 500 * 2 ** tried

/** A failure on its way through the library, which passes errors on. */
interface Failing {
  failure: HubFailure | undefined
  /** Status of the last answer. */
  status: number
}

const secondsOf = (header: string | null): number | undefined => {
  if (header === null) return undefined
  const seconds = Number(header)
  const until = Number.isFinite(seconds) ? seconds : (Date.parse(header) - Date.now()) / 1000
  return Number.isFinite(until) ? Math.max(0, Math.ceil(until)) : undefined
}

const reasonOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  const { cause, message } = error as { readonly cause?: { readonly code?: string; readonly message?: string } } & Error
  return cause?.code ?? cause?.message ?? message
}

const tokenOf = async ({ token }: HubAccess): Promise<string | undefined> => {
  const text = 'text' in token ? token.text : await readFile(token.file, 'utf8').catch(() => '')
  return text.trim() === '' ? undefined : text.trim()
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/**
 * Opens a hub. Its library is loaded here, since few builds need it. It knows the hub's addresses and answers; trying
 * again, waiting, and the token, which it takes from the public hub alone, are ours.
 */
export const openHub = async (access: HubAccess, signal?: AbortSignal): Promise<HubClient> => {
  const { HUB_URL, downloadFile, listFiles, modelInfo } = await import('@huggingface/hub')
  const hubUrl = access.endpoint ?? HUB_URL
  const wait = access.wait ?? pause
  const token = await tokenOf(access)

  const once = async (
    failing: Failing,
    input: Parameters<typeof fetch>[0],
    init: Parameters<typeof fetch>[1],
  ): Promise<Response | undefined> => {
    const url = new URL(input instanceof Request ? input.url : input)
    const headers = new Headers(init?.headers)
    // Elsewhere, as where the hub keeps its large files, the token is nobody’s business.
    const known = token !== undefined && url.origin === new URL(hubUrl).origin
    if (known) headers.set('authorization', `Bearer ${token}`)
    try {
      const response = await fetch(url, { ...init, headers, ...(signal === undefined ? {} : { signal }) })
      failing.status = response.status
      if (response.ok) return response
      await response.body?.cancel()
      failing.failure = {
        type: 'refused',
        status: response.status,
        code: response.headers.get('x-error-code') ?? '',
        wait: secondsOf(response.headers.get('retry-after')),
        known,
      }
    } catch (error) {
      failing.failure =
        signal?.aborted === true ? { type: 'stopped' } : { type: 'unreachable', reason: reasonOf(error) }
    }
    return undefined
  }
  const fetchFor =
    (failing: Failing): typeof fetch =>
    async (input, init) => {
      for (let tried = 0; ; tried++) {
        failing.failure = undefined
        const response = await once(failing, input, init)
        if (response !== undefined) return response
        const failure = failing.failure as HubFailure | undefined
        const asked = failure?.type === 'refused' ? failure.wait : undefined
        const passes = failure?.type === 'unreachable' || (failure?.type === 'refused' && PASSING.has(failure.status))
        if (!passes || tried + 1 >= TRIES || (asked ?? 0) > LONGEST_WAIT) throw new Error('no answer of the hub')
        await wait(asked === undefined ? backoff(tried) : asked * 1000)
      }
    }
  const ask = async <T>(question: (of: { hubUrl: string; fetch: typeof fetch }, failing: Failing) => Promise<T>) => {
    const failing: Failing = { failure: undefined, status: 0 }
    try {
      return { type: 'ok', value: await question({ hubUrl, fetch: fetchFor(failing) }, failing) } as const
    } catch (error) {
      if (signal?.aborted === true) return { type: 'stopped' } as const
      if (failing.failure !== undefined) return failing.failure
      return { type: 'odd', reason: error instanceof Error ? error.message : String(error) } as const
    }
  }
  return {
    commitOf: (repository, revision) =>
      ask(async (of) => {
        const { sha } = await modelInfo({ ...of, name: repository, revision, additionalFields: ['sha'] })
        return sha
      }),
    list: (repository, commit) =>
      ask(async (of) => {
        const files: RemoteFile[] = []
        const listing = listFiles({
          ...of,
          repo: { type: 'model', name: repository },
          revision: commit,
          recursive: true,
        })
        for await (const { type, path, size, oid = '', lfs } of listing) {
          // A path that leads out of the repository is no file of it, whatever the hub says.
          if (type !== 'file' || !staysInside(path)) continue
          const digest =
            lfs === undefined ? ({ type: 'git', hex: oid } as const) : ({ type: 'sha256', hex: lfs.oid } as const)
          files.push({ path, bytes: lfs?.size ?? size, digest })
        }
        return files
      }),
    read: (repository, commit, { path, bytes, digest }, begin, take, end = bytes) =>
      ask(async (of, failing) => {
        const url = `${hubUrl}/${repository}/resolve/${commit}/${path.split('/').map(encodeURIComponent).join('/')}`
        // Large files also come in chunks by another protocol, which can neither be resumed nor checked as they come.
        const blob = await downloadFile({
          ...of,
          repo: { type: 'model', name: repository },
          path,
          xet: false,
          downloadInfo: { url, size: bytes, etag: digest.hex },
        })
        const stream = begin === 0 && end === bytes ? blob!.stream() : blob!.slice(begin, end).stream()
        let skip: number | undefined
        try {
          for await (const piece of stream as unknown as AsyncIterable<Uint8Array>) {
            // A server that knows no ranges sends the file from its beginning.
            skip ??= begin > 0 && failing.status === 200 ? begin : 0
            const rest = piece.subarray(Math.min(skip, piece.length))
            skip -= piece.length - rest.length
            if (rest.length > 0 && !(await take(rest))) break
          }
        } catch (error) {
          failing.failure ??= { type: 'unreachable', reason: reasonOf(error) }
          throw error
        }
      }),
  }
}
