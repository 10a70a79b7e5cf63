import type { Result } from '../base/result.js'
import type { HubAccess } from '../hub/access.js'
import type { HubOrder } from '../hub/find.js'
import type { HubReference } from '../hub/reference.js'
import type { RemoteModel } from '../hub/remote.js'
import { CARD, isBeside } from '../plan/model-folder.js'
import type { Input } from '../recipe/recipe.js'
import type { Listener } from './events.js'

/** Downloads what an input needs, and gives the commit. */
export type Download = (
  input: Input,
  reference: HubReference,
  /** The commit to take; what the revision is now unless given. */
  commit: string | undefined,
) => Promise<Result<string>>

/** Bytes between two events, so that a model of many gigabytes has some thousand of them. */
const STEP = 1 << 22

/** Opens an input by the headers that a hub has of it, at a commit; what the revision is now unless given. */
export type OpenRemotely = (
  input: Input,
  reference: HubReference,
  commit: string | undefined,
) => Promise<Result<RemoteModel>>

const ADAPTER_SIDES: ReadonlySet<string> = new Set(['adapter_config.json', CARD])

/** What is asked of a hub for an input. */
const orderOf = (
  access: HubAccess,
  input: Input,
  reference: HubReference,
  commit: string | undefined,
  signal: AbortSignal | undefined,
): HubOrder => ({
  access,
  reference,
  kind: input.kind,
  commit,
  isSide: input.kind === 'adapter' ? (name) => ADAPTER_SIDES.has(name) : isBeside,
  at: input.at,
  short: input.hub === undefined,
  signal,
})

/** Opens inputs by their headers, and downloads nothing. */
export const createRemotely =
  (access: HubAccess, signal?: AbortSignal): OpenRemotely =>
  async (input, reference, commit) => {
    const { openRemote } = await import('../hub/remote.js')
    return openRemote(orderOf(access, input, reference, commit, signal))
  }

/** Downloads from a hub, and tells listeners of all downloads together. */
export const createDownloads = (access: HubAccess, listener?: Listener, signal?: AbortSignal): Download => {
  let [total, done, told] = [0, 0, 0]
  return async (input, reference, commit) => {
    const { repository } = reference
    const { download } = await import('../hub/download.js')
    let began = false
    const result = await download({
      ...orderOf(access, input, reference, commit, signal),
      listener: {
        found: (files, bytes) => {
          total += bytes
          began = true
          listener?.({ type: 'download-started', repository, files, bytes })
        },
        arrived: (bytes) => {
          done += bytes
          if (done - told < STEP) return
          told = done
          listener?.({ type: 'bytes-downloaded', repository, bytes: done, total })
        },
      },
    })
    if (began) listener?.({ type: 'download-finished', repository, ok: result.type === 'ok', bytes: done, total })
    return result
  }
}
