import { homedir } from 'node:os'
import { join } from 'node:path'
import { parseSize } from '../safetensors/size.js'
import { DEFAULT_LIMIT, openStore, type Store } from '../store/store.js'

const limitOf = (text: string | undefined): number => {
  const size = text === undefined ? undefined : parseSize(text, { type: 'option', name: 'SMELT_CACHE_SIZE' })
  return size?.type === 'ok' ? size.value : DEFAULT_LIMIT
}

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
  return openStore(own === undefined || own === '' ? join(home, 'smelt') : own, limitOf(size))
}
