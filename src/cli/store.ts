import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Diagnostic } from '../base/diagnostic.js'
import { ok, type Result } from '../base/result.js'
import { parseSize } from '../safetensors/size.js'
import { DEFAULT_LIMIT, openStore, type Store } from '../store/store.js'

const limitOf = (text: string | undefined): Result<number> =>
  text === undefined || text === ''
    ? ok(DEFAULT_LIMIT)
    : text === '0'
      ? ok(0)
      : parseSize(text, { type: 'option', name: 'SMELT_CACHE_SIZE' })

/** What is wrong with the size that the environment gives the store. */
export const storeProblems = (): readonly Diagnostic[] => limitOf(process.env['SMELT_CACHE_SIZE']).diagnostics

/**
 * The user's store: in the folder that SMELT_CACHE names, or `smelt` in the cache folder; SMELT_CACHE_SIZE is the most
 * it keeps.
 */
export const userStore = (): Store => {
  const { SMELT_CACHE: own, SMELT_CACHE_SIZE: size, XDG_CACHE_HOME: caches, LOCALAPPDATA: local } = process.env
  const home =
    caches ??
    (process.platform === 'win32' && local !== undefined
      ? local
      : join(homedir(), process.platform === 'darwin' ? 'Library/Caches' : '.cache'))
  const limit = limitOf(size)
  return openStore(
    own === undefined || own === '' ? join(home, 'smelt') : own,
    limit.type === 'ok' ? limit.value : DEFAULT_LIMIT,
  )
}
