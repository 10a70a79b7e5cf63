import { closeSync, constants, fstatSync, openSync, readFileSync, statSync, type Stats } from 'node:fs'
import { open, stat, type FileHandle } from 'node:fs/promises'
import { fileOversized, notARegularFile, type SpecialKind } from '../base/catalogue/special-files.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { failed, ok, type Result } from '../base/result.js'

const { O_NONBLOCK = 0, O_RDONLY } = constants

/** Flags that open a file for reading and never wait, as opening a FIFO does until somebody writes to it. */
export const READ_ONLY = O_RDONLY | O_NONBLOCK

/** What something is that is not a regular file; undefined for one that is. */
export const specialKind = (
  found: Pick<Stats, 'isBlockDevice' | 'isDirectory' | 'isFIFO' | 'isFile' | 'isSocket'>,
): SpecialKind | undefined => {
  if (found.isFile()) return undefined
  if (found.isDirectory()) return 'folder'
  if (found.isFIFO()) return 'fifo'
  if (found.isSocket()) return 'socket'
  return found.isBlockDevice() ? 'block-device' : 'device'
}

const refuse = (path: string, found: Stats, wanted: string): Diagnostic | undefined => {
  const kind = specialKind(found)
  return kind === undefined ? undefined : notARegularFile(path, kind, wanted)
}

/**
 * Opens a regular file for reading, without ever waiting; `wanted` names what it should be, such as "a recipe". Throws
 * what the system says.
 */
export const openRegular = async (path: string, wanted: string): Promise<Result<FileHandle>> => {
  // A device may act on being opened, so it is looked at before; and after, since something else may stand there by
  // then.
  const before = refuse(path, await stat(path), wanted)
  if (before !== undefined) return failed(before)
  const handle = await open(path, READ_ONLY)
  const after = refuse(path, await handle.stat(), wanted)
  if (after === undefined) return ok(handle)
  await handle.close()
  return failed(after)
}

/** How a small file is read. */
export interface ReadOptions {
  /** What it should be, such as "a recipe". */
  readonly wanted: string
  /** Bytes that no real one exceeds; a larger file is refused unread. */
  readonly most: number
  readonly tooLarge?: (size: number) => Diagnostic
}

/** Reads a regular file whole, once its size is known to be within bounds. Throws what the system says. */
export const readRegular = async (
  path: string,
  { wanted, most, tooLarge = (size) => fileOversized(path, wanted, size, most) }: ReadOptions,
): Promise<Result<Buffer>> => {
  const opened = await openRegular(path, wanted)
  if (opened.type === 'failed') return opened
  const handle = opened.value
  try {
    const { size } = await handle.stat()
    return size > most ? failed(tooLarge(size)) : ok(await handle.readFile())
  } finally {
    await handle.close()
  }
}

/** The text of a regular file; undefined for anything else, which is not even opened. Throws what the system says. */
export const readRegularSync = (path: string): string | undefined => {
  if (!statSync(path).isFile()) return undefined
  const fd = openSync(path, READ_ONLY)
  try {
    return fstatSync(fd).isFile() ? readFileSync(fd, 'utf8') : undefined
  } finally {
    closeSync(fd)
  }
}
