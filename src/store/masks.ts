import { closeSync, openSync, readdirSync, readSync, renameSync, rmSync, statSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { shortDigest, type Digest } from '../base/digest.js'
import { makeFolder } from '../safetensors/make-folder.js'
import { READ_ONLY } from '../safetensors/regular-file.js'
import { touch } from './checksummed.js'

/** One tensor of a cached mask. */
export interface StoredMask {
  /** Absolute path of its file, and the byte at which its bits begin, eight elements a byte, the lowest bit first. */
  readonly path: string
  readonly begin: number
  readonly elements: number
  readonly tensor: string
  /** Digest of the bits, computed over segments like a tensor's. */
  readonly digest: Digest
}

/** A file that is being filled with bits, under a temporary name. */
export interface MaskFile {
  readonly path: string
  readonly temporary: string
  /**
   * Gives the file its final name, with an index of its complete masks by fingerprint. Removes it instead if other
   * files have them all, or if the file system fails: only time is lost.
   */
  finish(masks: ReadonlyMap<string, Omit<StoredMask, 'path'>>): void
  discard(): void
}

/** Masks of earlier builds. */
export interface MaskStore {
  /** All cached masks, by fingerprint; undefined if there are none. A lookup marks the file as used. */
  open(): ((fingerprint: string) => StoredMask | undefined) | undefined
  /** Starts a file for this many bytes of bits. Throws errors of the file system. */
  begin(bytes: number): MaskFile
  /** Removes a damaged file of the cache; ignores paths outside of it. */
  drop(path: string): void
}

/** The bytes that this many bits take. */
export const bytesOfBits = (elements: number): number => Math.ceil(elements / 8)

/** The folder of masks in the cache. */
export const MASKS = 'masks'

/**
 * The bits are followed by the index and, at the very end, its digest and its length in hex. With one file, bits and
 * index are always written and removed together, and a truncated one is noticed at once. The bits are verified when
 * they are used.
 */
const [DIGEST, LENGTH] = [32, 16]

type Row = readonly [fingerprint: string, tensor: string, begin: number, elements: number, digest: string]

const encode = (masks: ReadonlyMap<string, Omit<StoredMask, 'path'>>): Buffer => {
  const text = JSON.stringify(
    [...masks].map(([fingerprint, m]): Row => [fingerprint, m.tensor, m.begin, m.elements, m.digest]),
  )
  return Buffer.from(`${text}${shortDigest(text)}${Buffer.byteLength(text).toString(16).padStart(LENGTH, '0')}`)
}

/** The index of a file; undefined if it is missing or damaged. */
const readRecord = (path: string): readonly Row[] | undefined => {
  const fd = openSync(path, READ_ONLY)
  try {
    const { size } = statSync(path)
    const end = Buffer.alloc(DIGEST + LENGTH)
    if (size < end.length || readSync(fd, end, 0, end.length, size - end.length) !== end.length) return undefined
    const length = Number.parseInt(end.toString('latin1', DIGEST), 16)
    if (!(length <= size - end.length)) return undefined
    const record = Buffer.alloc(length)
    readSync(fd, record, 0, length, size - end.length - length)
    const text = record.toString()
    return shortDigest(text) === end.toString('latin1', 0, DIGEST) ? (JSON.parse(text) as readonly Row[]) : undefined
  } finally {
    closeSync(fd)
  }
}

/** Writes the index after the bits. A short write is noticed, because the digest at the end is missing. */
const writeRecord = (path: string, bytes: number, record: Buffer): void => {
  const fd = openSync(path, 'r+')
  try {
    writeSync(fd, record, 0, record.length, bytes)
  } finally {
    closeSync(fd)
  }
}

/** Opens the masks in the folder of a cache. `now` gives ms. */
export const openMasks = (root: string, now: () => number): MaskStore => {
  const folder = join(root, MASKS)
  const drop = (path: string): void => {
    if (dirname(path) === folder) rmSync(path, { force: true })
  }
  const read = (): ReadonlyMap<string, StoredMask> => {
    const found = new Map<string, StoredMask>()
    for (const name of namesIn(folder)) {
      const path = join(folder, name)
      try {
        const rows = readRecord(path)
        if (rows === undefined) drop(path)
        for (const [fingerprint, tensor, begin, elements, digest] of rows ?? [])
          found.set(fingerprint, { path, begin, elements, tensor, digest: digest as Digest })
      } catch {
        // Another build may have removed it meanwhile; one that cannot be read is useless.
      }
    }
    return found
  }
  return {
    open: () => {
      if (namesIn(folder).length === 0) return undefined
      let masks: ReadonlyMap<string, StoredMask> | undefined
      const used = new Set<string>()
      return (fingerprint) => {
        const found = (masks ??= read()).get(fingerprint)
        if (found !== undefined && !used.has(found.path)) touch(found.path, now())
        if (found !== undefined) used.add(found.path)
        return found
      }
    },
    begin: (bytes) => {
      makeFolder(folder)
      const path = join(folder, crypto.randomUUID())
      const temporary = `${path}${UNFINISHED}`
      closeSync(openSync(temporary, 'wx'))
      const discard = (): void => rmSync(temporary, { force: true })
      return {
        path,
        temporary,
        finish: (masks) => {
          const others = read()
          try {
            if ([...masks.keys()].some((fingerprint) => !others.has(fingerprint))) {
              writeRecord(temporary, bytes, encode(masks))
              renameSync(temporary, path)
            }
          } catch {
            // A full disk is reported where it matters.
          } finally {
            discard()
          }
        },
        discard,
      }
    },
    drop,
  }
}

const UNFINISHED = '.partial'

const namesIn = (folder: string): readonly string[] => {
  try {
    return readdirSync(folder).filter((name) => !name.endsWith(UNFINISHED))
  } catch {
    return []
  }
}
