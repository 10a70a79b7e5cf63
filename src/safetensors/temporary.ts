import { readdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { blake3 } from '../base/digest.js'
import { isGone } from './run-id.js'
import type { RunId } from './run-id.js'

/** Longest part of a file's name that its temporary keeps, in bytes; the whole must stay within the 255 that file systems allow. */
const KEPT = 120

/** The name, in the same folder, under which a file is written until it is whole: `.NAME.RUNID.partial`. */
export const temporaryName = (name: string, runId: RunId): string => `${prefixOf(name)}${runId}.partial`

const prefixOf = (name: string): string => {
  if (Buffer.byteLength(name) <= KEPT) return `.${name}.`
  return `.${Buffer.from(name).toString('latin1', 0, 40).replace(/[^\w.-]/g, '_')}~${Buffer.from(blake3(name)).toString('hex', 0, 8)}.`
}

/** Removes the temporaries of `name` whose process is gone, and gives their names; those of living processes and of other hosts stay. */
export const sweepTemporaries = async (folder: string, name: string): Promise<string[]> => {
  const prefix = prefixOf(name)
  const entries = await readdir(folder).catch(() => [])
  const stale = entries.filter((entry) => {
    const runId = entry.startsWith(prefix) && entry.endsWith('.partial') ? entry.slice(prefix.length, -'.partial'.length) : undefined
    return runId !== undefined && isGone(runId)
  })
  const removed = await Promise.all(
    stale.map((entry) =>
      unlink(join(folder, entry)).then(
        () => [entry],
        // Another run may have swept it first, and what cannot be removed does no harm.
        () => [],
      ),
    ),
  )
  return removed.flat()
}
