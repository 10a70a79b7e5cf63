// Folders for the data of a benchmark: asked for room first, and gone when the process ends.
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, statfsSync } from 'node:fs'
import { freemem, tmpdir } from 'node:os'
import { join } from 'node:path'

const TMPFS = 0x01021994
const gigabytes = (bytes) => `${(bytes / 1e9).toFixed(1)} GB`

/** Memory-backed storage where the system has it, else its temporary folder. */
export const memoryFolder = () => (existsSync('/dev/shm') ? '/dev/shm' : tmpdir())

/** Whether files of a folder lie in memory. */
export const isMemory = (folder) => statfsSync(folder).type === TMPFS

/**
 * Makes a folder inside `parent` for `bytes` of files beside programs that take `memory` bytes; throws when there is no
 * room. It is removed at the end of the process.
 */
export const openPlace = (parent, bytes, memory = 2e9) => {
  const { bavail, bsize } = statfsSync(parent)
  if (bavail * bsize < bytes * 1.05)
    throw new Error(
      `${parent} has ${gigabytes(bavail * bsize)} free and the benchmark needs ${gigabytes(bytes * 1.05)}; name another folder`,
    )
  const needed = memory + (isMemory(parent) ? bytes : 0)
  if (freemem() < needed)
    throw new Error(
      `${gigabytes(freemem())} of memory are free and the benchmark needs ${gigabytes(needed)}; name a folder on disk, or close something`,
    )
  const folder = mkdtempSync(join(parent, 'smelt-bench-'))
  process.on('exit', () => closePlace(folder))
  return folder
}

/** Removes a folder and all in it. */
export const closePlace = (folder) => rmSync(folder, { recursive: true, force: true })

/** Bytes of a file, or of all files directly in a folder; 0 where there is nothing. */
export const bytesAt = (path) => {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined) return 0
  return found.isDirectory()
    ? readdirSync(path).reduce((n, name) => n + statSync(join(path, name)).size, 0)
    : found.size
}
