import fs, { type BigIntStats } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { errorCode } from './io-problem.js'

/**
 * What has to be asked of a file system to tell its files apart; tests pass one that ignores the case of letters. Both
 * throw what the system says.
 */
export interface NamingIo {
  /** What stands at a path, links followed. */
  look(path: string): Pick<BigIntStats, 'dev' | 'ino' | 'isDirectory'>
  list(folder: string): readonly string[]
}

const NODE: NamingIo = { look: (path) => fs.statSync(path, { bigint: true }), list: (folder) => fs.readdirSync(folder) }

const attempt = <T>(work: () => T): T | undefined => {
  try {
    return work()
  } catch (error) {
    if (errorCode(error) === '') throw error
    return undefined
  }
}

const swapCase = (name: string): string => name.replace(/[a-z]/gi, (c) => (c < 'a' ? c.toLowerCase() : c.toUpperCase()))

/** One form of all the spellings that some file system takes for one name. */
const fold = (name: string): string => name.normalize('NFC').toUpperCase().toLowerCase()

/**
 * Gives the names by which a file system knows files. What is there has the number of its inode for a name; where
 * nothing is, the name is the path below
 * the nearest folder that is there, in one case where that folder ignores case. Nothing is written to find that out: a
 * name in the folder (or its own)
 * with its letters in the other case either leads to the same file or does not.
 */
export const namesOnDisk = (io: NamingIo = NODE): ((path: string) => readonly string[]) => {
  const folding = new Map<string, boolean>()
  const idOf = (path: string): { readonly id: string; readonly folder: boolean } | undefined => {
    const found = attempt(() => io.look(path))
    // Some file systems have no inodes, and number everything 0.
    return found === undefined
      ? undefined
      : { id: found.ino === 0n ? path : `${found.dev}:${found.ino}`, folder: found.isDirectory() }
  }
  /** True, false, or undefined where no letters of a name tell. */
  const ignoresCaseOf = (folder: string, name: string, others: ReadonlySet<string>): boolean | undefined => {
    const swapped = swapCase(name)
    if (swapped === name) return undefined
    // Both are listed: they are two files, be they links to one.
    if (others.has(swapped)) return false
    const own = idOf(join(folder, name))
    return own === undefined ? undefined : idOf(join(folder, swapped))?.id === own.id
  }
  const probe = (folder: string): boolean => {
    const names = new Set(attempt(() => io.list(folder)) ?? [])
    for (const name of names) {
      const found = ignoresCaseOf(folder, name, names)
      if (found !== undefined) return found
    }
    const above = dirname(folder)
    return (
      above !== folder &&
      (ignoresCaseOf(above, basename(folder), new Set(attempt(() => io.list(above)) ?? [])) ?? false)
    )
  }
  const ignoresCase = (folder: string, id: string): boolean => {
    const known = folding.get(id) ?? probe(folder)
    folding.set(id, known)
    return known
  }
  return (path) => {
    const target = resolve(path)
    const rest: string[] = [basename(target)]
    let folder = dirname(target)
    let found = idOf(folder)
    while (found?.folder !== true && dirname(folder) !== folder) {
      rest.unshift(basename(folder))
      folder = dirname(folder)
      found = idOf(folder)
    }
    const root = found?.id ?? folder
    const below = ignoresCase(folder, root) ? rest.map(fold) : rest
    const own = idOf(target)
    return [[root, ...below].join('/'), ...(own === undefined ? [] : [own.id])]
  }
}
