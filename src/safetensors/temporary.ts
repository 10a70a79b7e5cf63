import { statSync } from 'node:fs'
import { readdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { blake3 } from '../base/digest.js'
import { readRegularSync } from './regular-file.js'
import { isElsewhere, isGone, isRunId } from './run-id.js'
import type { RunId } from './run-id.js'

/** The longest part of a file's name that its temporary name keeps, in bytes; file systems allow 255 in all. */
const KEPT = 120

const [PARTIAL, JOURNAL, BUILDING, PART] = ['.partial', '.journal', 'building', '.part']

/** The name, in the same folder, under which a file is written until it is complete: `.NAME.RUNID.partial`. */
export const temporaryName = (name: string, runId: RunId): string => `${prefixOf(name)}${runId}${PARTIAL}`

const prefixOf = (name: string): string => {
  if (Buffer.byteLength(name) <= KEPT) return `.${name}.`
  return `.${Buffer.from(name)
    .toString('latin1', 0, 40)
    .replace(/[^\w.-]/g, '_')}~${Buffer.from(blake3(name)).toString('hex', 0, 8)}.`
}

/**
 * The name, in the same folder, under which a task of a run on many machines writes its part of a file. It stays until
 * the run is committed or cancelled, whatever became of the task: `.NAME.RUN-TASK.part`.
 */
export const partName = (name: string, run: string, task: string): string => `${prefixOf(name)}${run}-${task}${PART}`

/** Removes what the tasks of a run wrote for `name`. */
export const sweepParts = async (folder: string, name: string, run: string): Promise<void> => {
  const prefix = `${prefixOf(name)}${run}-`
  const entries = await readdir(folder).catch(() => [])
  const own = entries.filter((entry) => entry.startsWith(prefix) && entry.endsWith(PART))
  await Promise.all(own.map((entry) => unlink(join(folder, entry)).catch(() => undefined)))
}

/** The name of the journal beside a temporary file, which lists its finished tensors. */
export const journalName = (temporary: string): string => `${temporary.slice(0, -PARTIAL.length)}${JOURNAL}`

/** The name, beside an output, of the file that says who is writing it. */
export const claimName = (name: string): string => `${prefixOf(name)}${BUILDING}`

/**
 * The temporary files, journals and stale claims of `name`. Temporary files of running processes and of other hosts are
 * not among them.
 */
export const findAbandoned = async (folder: string, name: string): Promise<string[]> => {
  const prefix = prefixOf(name)
  const entries = await readdir(folder).catch(() => [])
  return entries.filter((entry) => {
    if (!entry.startsWith(prefix)) return false
    const rest = entry.slice(prefix.length)
    if (rest === BUILDING) return isStaleClaim(join(folder, entry))
    const ending = [PARTIAL, JOURNAL].find((e) => rest.endsWith(e))
    if (ending !== undefined) return isGone(rest.slice(0, -ending.length))
    return rest.startsWith(`${BUILDING}.`) && isGone(rest.slice(BUILDING.length + 1))
  })
}

/** The age, in ms, from which a claim without an owner is stale: it was never completed, or a power cut emptied it. */
const UNFINISHED = 5000
/**
 * The age, in ms, from which a claim of another host is stale: its owner would have renewed it every few seconds. A
 * container is a host of its own, and a new one after each restart.
 */
const SILENT = 300_000

/** The run that owns a claim; undefined if there is no claim. */
export const readOwner = (claim: string): string | undefined => {
  try {
    return readRegularSync(claim)
  } catch {
    return undefined
  }
}

/** True if the owner of a claim is gone, as far as can be told. */
export const isStaleClaim = (claim: string): boolean => {
  const owner = readOwner(claim)
  if (owner === undefined) return false
  const age = Date.now() - (statSync(claim, { throwIfNoEntry: false })?.mtimeMs ?? 0)
  return isRunId(owner) ? isGone(owner) || (isElsewhere(owner) && age > SILENT) : age > UNFINISHED
}

/** Removes what killed runs left of `name`, except the files in `kept`, and returns the names of the removed files. */
export const sweepTemporaries = async (
  folder: string,
  name: string,
  kept: ReadonlySet<string> = new Set(),
): Promise<string[]> => {
  const stale = (await findAbandoned(folder, name)).filter((entry) => !kept.has(join(folder, entry)))
  const removed = await Promise.all(
    stale.map((entry) =>
      unlink(join(folder, entry)).then(
        () => [entry],
        // Another run may have removed it first; a file that cannot be removed does no harm.
        () => [],
      ),
    ),
  )
  return removed.flat()
}
