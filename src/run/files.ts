import { existsSync, fsync, statSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { promisify } from 'node:util'
import type { Diagnostic } from '../base/diagnostic.js'
import type { InputFile, PlannedModel } from '../plan/plan.js'
import { ioProblem } from '../safetensors/io-problem.js'
import { identityOf, isSameFile } from '../safetensors/open.js'
import type { OutputFile } from '../safetensors/output.js'

/** The inputs that have changed since their headers were read. */
export const changedInputs = async (plan: {
  readonly models: readonly Pick<PlannedModel, 'files' | 'absent'>[]
}): Promise<string[]> => {
  const files = [...new Map(plan.models.flatMap((m) => m.files).map((f) => [f.path, f] as const)).values()]
  const same = async (file: InputFile): Promise<boolean> => {
    const now = await stat(file.path, { bigint: true }).catch(() => undefined)
    return now !== undefined && isSameFile(identityOf(now), file)
  }
  const kept = await Promise.all(files.map(same))
  const appeared = [...new Set(plan.models.flatMap((m) => m.absent))].filter((path) => existsSync(path))
  return [...files.filter((_, i) => !kept[i]).map((f) => f.path), ...appeared]
}

/** Bytes of the disk that a file takes already; 0 for none. */
export const sizeOnDisk = (path: string | undefined): number =>
  path === undefined ? 0 : 512 * (statSync(path, { throwIfNoEntry: false })?.blocks ?? 0)

/** Syncs all files before the first is renamed: a disk that fails now leaves every old file unchanged. */
export const syncAll = async (files: readonly OutputFile[]): Promise<Diagnostic | undefined> => {
  for (const { fd, finalPath } of files) {
    try {
      await promisify(fsync)(fd)
    } catch (error) {
      return ioProblem(error, finalPath, 'sync')
    }
  }
  return undefined
}
