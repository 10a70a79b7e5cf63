import { homedir } from 'node:os'
import { join, resolve, sep } from 'node:path'

/**
 * The absolute path of what a person wrote: relative to a folder or, where it begins with `~/`, to their home folder,
 * as a shell reads it.
 */
export const resolvePath = (folder: string, path: string): string =>
  path === '~' || path.startsWith('~/') || path.startsWith(`~${sep}`)
    ? join(homedir(), path.slice(1))
    : resolve(folder, path)
