import { readdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { outputOfOther } from '../base/catalogue/plan.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { resolvePath } from '../base/resolve-path.js'
import type { Destination } from '../plan/destinations.js'
import { readRegularSync } from '../safetensors/regular-file.js'
import { lockPath, readLock } from '../store/lock.js'

const LOCK = '.lock.json'

/** Folders with more locks than this are not searched. */
const MOST_LOCKS = 200

const locksIn = (folder: string): readonly string[] => {
  try {
    const names = readdirSync(folder).filter((name) => name.endsWith(LOCK))
    return names.length > MOST_LOCKS ? [] : names.sort()
  } catch {
    // Whether another recipe writes there is only worth a warning.
    return []
  }
}

/** True where a file may name one of some paths, so that it is worth to be read as a lock. */
const mayName = (lock: string, names: readonly string[]): boolean => {
  try {
    const text = readRegularSync(lock) ?? ''
    return names.some((name) => text.includes(name))
  } catch {
    return false
  }
}

/**
 * Warns of outputs that another recipe of this folder writes too, as its lock says: whichever is built later replaces
 * what the other made, and nothing else would tell. `out` is the folder that outputs are relative to.
 */
export const warnOfOtherWriters = async (
  recipe: string,
  out: string,
  destinations: readonly Destination[],
): Promise<Diagnostic[]> => {
  const folder = dirname(recipe)
  const own = new Map(destinations.map((d) => [resolvePath(out, d.label), d]))
  const names = [...own.keys()].map((path) => JSON.stringify(basename(path)).slice(1, -1))
  const warnings = new Map<string, Diagnostic>()
  for (const name of locksIn(folder)) {
    const path = join(folder, name)
    if (path === lockPath(recipe) || !mayName(path, names)) continue
    const lock = await readLock(path)
    // What is no lock is told of where it is used.
    if (lock.type === 'failed' || lock.value === undefined) continue
    for (const output of lock.value.builds.flatMap(({ outputs }) => Object.values(outputs))) {
      const place = resolvePath(folder, output.path)
      const same = own.get(place)
      if (same !== undefined && !warnings.has(place))
        warnings.set(place, outputOfOther(same.label, name.slice(0, -LOCK.length), same.at, name))
    }
  }
  return [...warnings.values()]
}
