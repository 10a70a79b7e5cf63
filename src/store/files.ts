import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { shortDigest, type Digest } from '../base/digest.js'
import { isSameFile, type FileIdentity } from '../safetensors/open.js'
import { readChecksummed, writeChecksummed } from './checksummed.js'

/** One tensor of a file that was read or written whole. */
export interface KnownTensor {
  readonly digest: Digest
  /** Byte of the file at which it begins. */
  readonly begin: number
  /** Its fingerprint, if smelt wrote it. */
  readonly fingerprint: string | undefined
}

/** What the cache knows about a file. */
export interface KnownFile {
  readonly identity: FileIdentity
  /**
   * BLAKE3 of everything before the tensor data, or of the whole file if it is not a model; undefined for files that
   * smelt only read.
   */
  readonly header: Digest | undefined
  /** Its fingerprint, if it is not a model. */
  readonly fingerprint: string | undefined
  readonly tensors: ReadonlyMap<string, KnownTensor>
}

/** What the cache knows about files, by path; valid while the file is unchanged. */
export interface Files {
  /** What is known about a file that is unchanged since it was recorded. */
  find(path: string, identity: FileIdentity): KnownFile | undefined
  /**
   * Records a file whose contents are known to be those it had at `since` (ms). A file written so shortly before
   * `since` that another write could have the same time is not recorded, and its old record is dropped. Throws errors
   * of the file system.
   */
  keep(path: string, file: KnownFile, since: number): void
}

/** Clocks of file systems tick at most this many ms apart; of those that keep whole seconds, two seconds. */
const [TICK, COARSE_TICK] = [20, 2000]

/** True if another write after `since` would change the file's time: the opposite of what git calls racy. */
export const isSettled = ({ mtimeNs, ctimeNs }: FileIdentity, since: number): boolean => {
  const last = mtimeNs > ctimeNs ? mtimeNs : ctimeNs
  const tick = last % 1_000_000_000n === 0n ? COARSE_TICK : TICK
  return Number(last / 1_000_000n) + tick < since
}

type Row = readonly [name: string, digest: string, begin: number, fingerprint?: string]
interface Entry {
  readonly path: string
  readonly identity: readonly string[]
  readonly header?: string
  readonly fingerprint?: string
  readonly tensors: readonly Row[]
}

const PREFIX = 'blake3:'
const shorten = (digest: Digest): string => digest.slice(PREFIX.length)
const lengthen = (hex: string): Digest => `${PREFIX}${hex}` as Digest

const encodeIdentity = (i: FileIdentity): readonly string[] => [i.size, i.mtimeNs, i.ctimeNs, i.ino, i.dev].map(String)
const decodeIdentity = ([
  size = '',
  mtimeNs = '',
  ctimeNs = '',
  ino = '',
  dev = '',
]: readonly string[]): FileIdentity => ({
  size: Number(size),
  mtimeNs: BigInt(mtimeNs),
  ctimeNs: BigInt(ctimeNs),
  ino: BigInt(ino),
  dev: BigInt(dev),
})

const decode = (path: string, text: string): KnownFile | undefined => {
  const entry = JSON.parse(text) as Entry
  if (entry.path !== path) return undefined
  return {
    identity: decodeIdentity(entry.identity),
    header: entry.header === undefined ? undefined : lengthen(entry.header),
    fingerprint: entry.fingerprint,
    tensors: new Map(
      entry.tensors.map(([name, digest, begin, fingerprint]) => [
        name,
        { digest: lengthen(digest), begin, fingerprint },
      ]),
    ),
  }
}

/** Opens the records of files in the folder of a cache. */
export const openFiles = (folder: string, now: () => number): Files => {
  const entryOf = (path: string): string => join(folder, 'files', `${shortDigest(path)}.json`)
  return {
    find: (path, identity) => {
      const text = readChecksummed(entryOf(path), now())
      const known = text === undefined ? undefined : decode(path, text)
      return known !== undefined && isSameFile(known.identity, identity) ? known : undefined
    },
    keep: (path, { identity, header, fingerprint, tensors }, since) => {
      if (!isSettled(identity, since)) return rmSync(entryOf(path), { force: true })
      const entry: Entry = {
        path,
        identity: encodeIdentity(identity),
        ...(header === undefined ? {} : { header: shorten(header) }),
        ...(fingerprint === undefined ? {} : { fingerprint }),
        tensors: [...tensors].map(([name, t]): Row =>
          t.fingerprint === undefined
            ? [name, shorten(t.digest), t.begin]
            : [name, shorten(t.digest), t.begin, t.fingerprint],
        ),
      }
      writeChecksummed(entryOf(path), JSON.stringify(entry))
    },
  }
}
