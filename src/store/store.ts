import { readdirSync, rmSync, statSync } from 'node:fs'
import { join, sep } from 'node:path'
import { openFiles, type Files } from './files.js'
import { MASKS, openMasks, type MaskStore } from './masks.js'
import { openOutcomes, type Outcomes } from './outcomes.js'
import { openSpeeds, type StoredSpeeds } from './speed.js'

/** One file of the store. */
export interface StoredEntry {
  /** Relative to the store's folder. */
  readonly path: string
  readonly kind: 'file' | 'mask' | 'outcomes' | 'other'
  readonly bytes: number
  /** When it was last used, in ms. */
  readonly used: number
}

/** The build cache. Nothing in it is needed: whatever is missing or damaged is computed again. */
export interface Store {
  /** Absolute. */
  readonly folder: string
  /** Most bytes it keeps. */
  readonly limit: number
  readonly files: Files
  readonly masks: MaskStore
  readonly outcomes: Outcomes
  readonly speeds: StoredSpeeds
  /** Everything in it, the least recently used first. */
  list(): readonly StoredEntry[]
  /**
   * Removes the least recently used entries until the rest is within the limit, and unfinished entries of killed
   * builds; returns the bytes removed.
   */
  collect(limit?: number): number
  /** Removes everything; returns the bytes removed. */
  clear(): number
}

/** The layout of the folder: raised when an older program would misread it. */
const LAYOUT = 'v1'
/** The default limit, in bytes. */
export const DEFAULT_LIMIT = 1 << 30
/** The part of the limit that one log of outcomes may take. */
const LOG_SHARE = 1 / 16
/** The age, in ms, from which an unfinished entry counts as abandoned. */
const ABANDONED = 3_600_000

const kindOf = (path: string): StoredEntry['kind'] => {
  const [folder = ''] = path.split(sep)
  if (path.endsWith('.partial')) return 'other'
  return folder === 'files' ? 'file' : folder === MASKS ? 'mask' : folder.startsWith('outcomes.') ? 'outcomes' : 'other'
}

/** Opens the cache in a folder, which is created when something is stored. `now` gives ms. */
export const openStore = (folder: string, limit: number = DEFAULT_LIMIT, now: () => number = Date.now): Store => {
  const root = join(folder, LAYOUT)
  const list = (): StoredEntry[] => {
    let names: string[]
    try {
      names = readdirSync(root, { recursive: true }) as string[]
    } catch {
      return []
    }
    return names
      .flatMap((path): StoredEntry[] => {
        // Other builds may remove entries meanwhile.
        const found = statSync(join(root, path), { throwIfNoEntry: false })
        return found?.isFile() === true ? [{ path, kind: kindOf(path), bytes: found.size, used: found.mtimeMs }] : []
      })
      .sort((x, y) => x.used - y.used || (x.path < y.path ? -1 : 1))
  }
  const remove = (entries: readonly StoredEntry[]): number =>
    entries.reduce((n, { path, bytes }) => {
      rmSync(join(root, path), { force: true })
      return n + bytes
    }, 0)
  return {
    folder,
    limit,
    files: openFiles(root, now),
    masks: openMasks(root, now),
    outcomes: openOutcomes(root, limit * LOG_SHARE),
    speeds: openSpeeds(root, now),
    list,
    collect: (most = limit) => {
      const entries = list()
      const abandoned = entries.filter((e) => e.path.endsWith('.partial') && now() - e.used > ABANDONED)
      const rest = entries.filter((e) => !abandoned.includes(e))
      let excess = rest.reduce((n, e) => n + e.bytes, 0) - most
      const evicted = rest.filter((e) => {
        if (excess <= 0) return false
        excess -= e.bytes
        return true
      })
      return remove([...abandoned, ...evicted])
    },
    clear: () => remove(list()),
  }
}
