import { homedir } from 'node:os'
import { join, relative, resolve, sep } from 'node:path'

/**
 * The absolute path of what a person wrote: relative to a folder or, where it begins with `~/`, to their home folder,
 * as a shell reads it.
 */
export const resolvePath = (folder: string, path: string): string =>
  path === '~' || path.startsWith('~/') || path.startsWith(`~${sep}`)
    ? join(homedir(), path.slice(1))
    : resolve(folder, path)

/** An absolute path as it is shown to somebody in a folder: relative to that, where it lies below. */
export const nearPath = (path: string, folder: string): string => {
  const near = relative(folder, path)
  return near === '' || near.startsWith('..') ? path : near
}
