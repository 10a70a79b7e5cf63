import { basename, dirname } from 'node:path'
import { ok, type Result } from '../base/result.js'
import { wholeFilesOf } from '../plan/outputs.js'
import type { Plan, PlannedFile } from '../plan/plan.js'
import { preflight } from '../safetensors/space.js'
import { journalName, sweepTemporaries } from '../safetensors/temporary.js'
import { sizeOnDisk } from './files.js'
import { scratchPath } from './scratch.js'

/**
 * Every file to write, in the order they appear under their names: indexes and configs last, since an output is complete
 * only once they stand.
 */
export const filesOf = ({ outputs }: Plan): readonly PlannedFile[] => {
  const written = outputs.filter((o) => o.kept === undefined)
  return [
    ...written.flatMap((o) => o.files),
    ...written.flatMap(wholeFilesOf).map(({ path, bytes }) => ({ path, header: bytes, bytes: bytes.length })),
  ]
}

/** Asks each folder for the room its files need. */
export const findRoom = (plan: Plan, files: readonly PlannedFile[]): Result<void> => {
  const scratch = scratchPath(plan)
  const folders = new Set([...files, ...plan.reports].map((f) => dirname(f.path)))
  if (plan.scratchBytes > 0) folders.add(dirname(scratch))
  for (const folder of folders) {
    const needed = files
      .filter((f) => dirname(f.path) === folder)
      .reduce(
        (n, f) => n + Math.max(0, f.bytes - sizeOnDisk(plan.resumed.get(f.path))),
        dirname(scratch) === folder ? plan.scratchBytes : 0,
      )
    const room = preflight(folder, needed)
    if (room.type === 'failed') return room
  }
  return ok(undefined)
}

/** Clears what dead builds left behind and nothing is taken over of. */
export const clearUp = async (plan: Plan, written: readonly string[]): Promise<void> => {
  const kept = new Set([...plan.resumed.values()].flatMap((path) => [path, journalName(path)]))
  const paths = new Set([
    ...written,
    ...plan.reports.map((r) => r.path),
    ...plan.outputs.flatMap((o) => o.files).map((f) => f.path),
    scratchPath(plan),
  ])
  await Promise.all([...paths].map((path) => sweepTemporaries(dirname(path), basename(path), kept)))
}
