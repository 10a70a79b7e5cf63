import { join } from 'node:path'

/** How the hub and the cache of its files are reached. */
export interface HubAccess {
  /** The folder of the Hugging Face cache, which need not exist. */
  readonly cache: string
  /** The hub's address; undefined for the public one. */
  readonly endpoint: string | undefined
  /** An access token, or the file that holds one. */
  readonly token: { readonly text: string } | { readonly file: string }
  /** True where nothing may be asked of a hub. */
  readonly offline: boolean
  /** Waits so many ms before another try; tests pass their own. */
  readonly wait?: (ms: number) => Promise<void>
}

type Environment = Readonly<Record<string, string | undefined>>

const isSet = (value: string | undefined): value is string => value !== undefined && value !== ''

/**
 * What the environment says of the hub, with the names and defaults of Hugging Face's own tools: HF_HUB_CACHE, HF_HOME,
 * HF_ENDPOINT, HF_TOKEN, HF_TOKEN_PATH, HF_HUB_OFFLINE.
 */
export const accessFrom = (env: Environment, home: string): HubAccess => {
  const first = (...names: readonly string[]): string | undefined => names.map((name) => env[name]).find(isSet)
  const expand = (path: string): string => (/^~(?=$|[/\\])/.test(path) ? join(home, path.slice(1)) : path)
  const own = first('HF_HOME')
  const root = expand(own ?? join(first('XDG_CACHE_HOME') ?? join(home, '.cache'), 'huggingface'))
  const text = first('HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN')?.trim()
  return {
    cache: expand(first('HF_HUB_CACHE', 'HUGGINGFACE_HUB_CACHE') ?? join(root, 'hub')),
    endpoint: first('HF_ENDPOINT')?.replace(/\/+$/, ''),
    token: isSet(text) ? { text } : { file: expand(first('HF_TOKEN_PATH') ?? join(root, 'token')) },
    offline: /^(?:1|on|yes|true)$/i.test(first('HF_HUB_OFFLINE', 'TRANSFORMERS_OFFLINE') ?? ''),
  }
}
