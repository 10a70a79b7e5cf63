import { closeSync, openSync, renameSync, rmSync, statSync, truncateSync, writeSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { shortDigest, type Digest } from '../base/digest.js'
import { readRegularSync } from '../safetensors/regular-file.js'
import { findAbandoned, journalName } from '../safetensors/temporary.js'
import type { Unfinished } from '../plan/prior-state.js'

/**
 * Tells, beside an unfinished file, which of its tensors are done: what a later run needs to carry on after a crash.
 * Not synced: digests tell what the disk lost.
 */
export interface Journal {
  /** An output's tensor is whole; `fingerprint` identifies inputs by their files. */
  wrote(fingerprint: string, begin: number, digest: Digest): void
  /** An input's tensor was read; `identity` is that of its bytes in its file. */
  read(identity: string, digest: Digest): void
  /** Writes what was noted since the last time. */
  flush(): void
  remove(): void
}

type Entry = readonly ['w', string, number, Digest] | readonly ['r', string, Digest]

/** Entries that are written together are one line. */
const seal = (entries: readonly Entry[]): string => {
  const text = JSON.stringify(entries)
  return `${shortDigest(text).slice(0, 16)} ${text}\n`
}

const unseal = (line: string): readonly Entry[] => {
  const text = line.slice(17)
  // What a crash tore was never said.
  return line.length > 17 && line.slice(0, 16) === shortDigest(text).slice(0, 16)
    ? (JSON.parse(text) as readonly Entry[])
    : []
}

/**
 * Opens the journal of an unfinished file; that of an adopted file is carried on. Never fails: without a journal there
 * is only nothing to carry on with.
 */
export const openJournal = (temporary: string, adopted: string | undefined): Journal => {
  const path = journalName(temporary)
  let entries: Entry[] = []
  let works = true
  let fd: number | undefined
  const attempt = (work: () => void): void => {
    try {
      if (works) work()
    } catch {
      works = false
    }
  }
  if (adopted !== undefined) {
    attempt(() => {
      renameSync(journalName(adopted), path)
      cutTornEnd(path)
    })
  }
  return {
    wrote: (fingerprint, begin, digest) => void entries.push(['w', fingerprint, begin, digest]),
    read: (identity, digest) => void entries.push(['r', identity, digest]),
    flush: () => {
      if (entries.length === 0) return
      const line = seal(entries)
      entries = []
      attempt(() => {
        fd ??= openSync(path, 'a')
        writeSync(fd, line)
      })
    },
    remove: () => {
      works = true
      attempt(() => {
        if (fd !== undefined) closeSync(fd)
        fd = undefined
        rmSync(path, { force: true })
      })
    },
  }
}

/** Makes a journal end with a whole line: a torn one must not swallow the first of what is appended. */
const cutTornEnd = (path: string): void => {
  const text = readRegularSync(path) ?? ''
  if (!text.endsWith('\n')) truncateSync(path, Buffer.byteLength(text.slice(0, text.lastIndexOf('\n') + 1)))
}

/** What is left of runs that died: their unfinished files by final path, and the digests of inputs they took. */
export interface RunRemains {
  readonly unfinished: ReadonlyMap<string, Unfinished>
  /** By the identity of a tensor's bytes in its file. */
  readonly digests: ReadonlyMap<string, Digest>
}

/** A file to be written, as far as an unfinished one can be compared with it. */
export interface PendingFile {
  readonly path: string
  readonly bytes: number
}

/** Looks for what dead runs left of some files: of each the unfinished one of which most is done. */
export const findRemains = async (files: readonly PendingFile[]): Promise<RunRemains> => {
  const unfinished = new Map<string, Unfinished>()
  const digests = new Map<string, Digest>()
  for (const { path, bytes } of files) {
    const folder = dirname(path)
    for (const name of await findAbandoned(folder, basename(path))) {
      if (!name.endsWith('.partial')) continue
      const temporary = join(folder, name)
      const entries = readJournal(journalName(temporary))
      for (const entry of entries) if (entry[0] === 'r') digests.set(entry[1], entry[2])
      const tensors = new Map(
        entries.flatMap((entry) =>
          entry[0] === 'w' ? [[entry[1], { begin: entry[2], digest: entry[3] }] as const] : [],
        ),
      )
      const usable =
        tensors.size > (unfinished.get(path)?.tensors.size ?? 0) &&
        statSync(temporary, { throwIfNoEntry: false })?.size === bytes
      if (usable) unfinished.set(path, { path: temporary, tensors })
    }
  }
  return { unfinished, digests }
}

const readJournal = (path: string): readonly Entry[] => {
  try {
    const text = readRegularSync(path) ?? ''
    return text.split('\n').flatMap(unseal)
  } catch {
    return []
  }
}
