import { renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { shortDigest } from '../base/digest.js'
import { makeFolder } from '../safetensors/make-folder.js'
import { readRegularSync } from '../safetensors/regular-file.js'

/**
 * Writes a text with its digest in front. Not synced: an entry that a power cut damages fails its digest and is
 * dropped. Throws errors of the file system.
 */
export const writeChecksummed = (path: string, text: string): void => {
  makeFolder(dirname(path))
  const temporary = `${path}.${crypto.randomUUID()}.partial`
  try {
    writeFileSync(temporary, `${shortDigest(text)}\n${text}`)
    renameSync(temporary, path)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
}

/** The text of an entry, which is marked as used; undefined if there is none, or if it is damaged, which removes it. */
export const readChecksummed = (path: string, now: number): string | undefined => {
  let entry: string | undefined
  try {
    entry = readRegularSync(path)
  } catch {
    return undefined
  }
  if (entry === undefined) return undefined
  const end = entry.indexOf('\n')
  const text = entry.slice(end + 1)
  if (end < 0 || entry.slice(0, end) !== shortDigest(text)) {
    rmSync(path, { force: true })
    return undefined
  }
  touch(path, now)
  return text
}

/** Marks an entry as used. */
export const touch = (path: string, now: number): void => {
  try {
    utimesSync(path, now / 1000, now / 1000)
  } catch {
    // A store that can be read and not written still serves.
  }
}
