/**
 * Copies of inputs on the machine itself, made by the first task there that needs them and read by all others: in a
 * folder for each input, a file for each tensor, of its bytes and their digest. A copy appears whole, by a rename.
 *
 * Nothing depends on it: what cannot be copied is read where it is, and what was copied is compared with its digest
 * before the result of a task counts.
 */
import { randomBytes } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { lstat, mkdir, open, readdir, rename, rm, stat, statfs, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { stageWords } from '../base/catalogue/stage.js'
import { createHasher, SEGMENT, shortDigest, tensorDigest, toDigest, type Digest } from '../base/digest.js'
import { errorCode } from '../safetensors/io-problem.js'
import { identityOf, isSameFile, type FileIdentity } from '../safetensors/open.js'
import { READ_ONLY } from '../safetensors/regular-file.js'
import { bytesFor } from '../tensor/dtype.js'
import type { TensorInfo } from '../tensor/info.js'

/** Where the bytes of a tensor are copied to. */
export interface TensorCopy {
  readonly file: string
  readonly begin: number
}

/** What a task had of the copies on its machine, in bytes, and why it had no more. */
export interface Staged {
  readonly copied: number
  readonly found: number
  readonly problem?: string
}

/** The copies that one task uses. */
export interface Stage {
  readonly copyOf: (tensor: TensorInfo) => TensorCopy | undefined
  readonly staged: Staged
  /**
   * Compares each copy with the digest that its bytes had when they were copied; `digestOf` knows that of a tensor which
   * was read whole. Removes those that differ, and tells whether there were none.
   */
  readonly verify: (digestOf: (path: string, tensor: string) => Digest | undefined) => Promise<boolean>
  /** Ends the use of the copies, which stay. */
  readonly close: () => void
}

/** What a stage can be told besides; tests do. */
export interface StageOptions {
  readonly signal?: AbortSignal
  /** Bytes below which a tensor is not worth a file. */
  readonly least?: number
  /** Share of the disk that stays free. */
  readonly reserve?: number
  /** For how long a copy that another task makes may not grow, in ms. */
  readonly patience?: number
}

const [LEAST, RESERVE, PATIENCE] = [1 << 20, 0.05, 30_000]
/** Tensors that are copied at one time, and bytes of one read. */
const [AT_ONCE, PIECE] = [4, 1 << 22]
/** How often a copy that another task makes is looked at, and that of this one is shown to be alive, in ms. */
const [LOOK, SHOW] = [100, 5_000]
/** Copies that no task has used for so long, in ms, are removed: always, or where the room is needed. */
const [OLD, IDLE] = [86_400_000, 600_000]
const DIGEST_BYTES = 32

/** The user of this process; systems without users by number have one. */
const ownId = (): number => process.getuid?.() ?? 0

/** The folder of copies of this user below a folder that others may share. */
export const stageRoot = (folder: string): string => join(folder, `smelt-stage-${ownId()}`)

/** Makes the folder of copies, or checks that nobody else can write to the one that is there; throws if it is not so. */
const makeRoot = async (root: string): Promise<void> => {
  // The folder below which it is has to be there: a disk that is not mounted is not made up for.
  await mkdir(root, { mode: 0o700 }).catch((error: unknown) => {
    if (errorCode(error) !== 'EEXIST') throw error
  })
  const found = await lstat(root)
  const isOwn = found.isDirectory() && found.uid === ownId() && (found.mode & 0o022) === 0
  if (!isOwn) throw new StageProblem(stageWords.foreign(root))
}

class StageProblem extends Error {}

/** Removes copies of inputs that no task has used for so long, the oldest first, until `isEnough`. */
const sweep = async (root: string, idle: number, isEnough: () => Promise<boolean>): Promise<void> => {
  const now = Date.now()
  const found = await Promise.all(
    (await readdir(root)).map(async (name) => {
      const path = join(root, name)
      return { path, used: (await stat(path).catch(() => undefined))?.mtimeMs ?? now }
    }),
  )
  for (const { path, used } of found.sort((x, y) => x.used - y.used)) {
    if (now - used < idle || (await isEnough())) return
    await rm(path, { recursive: true, force: true })
  }
}

/** The digest that was written behind the bytes of a copy, of `bytes` bytes; undefined if there is none. */
const recordedIn = async (path: string, bytes: number): Promise<Digest | undefined> => {
  let file: FileHandle | undefined
  try {
    file = await open(path, READ_ONLY)
    if ((await file.stat()).size !== bytes + DIGEST_BYTES) return undefined
    const digest = new Uint8Array(DIGEST_BYTES)
    const { bytesRead } = await file.read(digest, 0, DIGEST_BYTES, bytes)
    return bytesRead === DIGEST_BYTES ? toDigest(digest) : undefined
  } catch {
    return undefined
  } finally {
    await file?.close()
  }
}

/**
 * Reads the bytes of a tensor in a file, and gives their digest; undefined if they cannot all be read. Throws what `take`
 * does.
 */
const digestIn = async (
  file: FileHandle,
  begin: number,
  { dtype, begin: from, end }: TensorInfo,
  take: (bytes: Uint8Array, at: number) => Promise<void> = () => Promise.resolve(),
): Promise<Digest | undefined> => {
  const [bytes, segment] = [end - from, bytesFor(SEGMENT, dtype)]
  const buffer = new Uint8Array(Math.min(PIECE, segment, bytes))
  const segments: Uint8Array[] = []
  let hasher = createHasher()
  for (let at = 0; at < bytes;) {
    const wanted = Math.min(buffer.length, segment - (at % segment), bytes - at)
    const { bytesRead } = await file.read(buffer, 0, wanted, begin + at).catch(() => ({ bytesRead: 0 }))
    if (bytesRead === 0) return undefined
    const piece = buffer.subarray(0, bytesRead)
    hasher.update(piece)
    await take(piece, at)
    at += bytesRead
    if (at % segment === 0 || at === bytes) {
      segments.push(hasher.digest())
      hasher = createHasher()
    }
  }
  return tensorDigest(segments)
}

const writeAll = async (file: FileHandle, bytes: Uint8Array, at: number): Promise<void> => {
  for (let done = 0; done < bytes.length;)
    done += (await file.write(bytes, done, bytes.length - done, at + done)).bytesWritten
}

const toBytes = (digest: Digest): Uint8Array => Buffer.from(digest.slice(digest.indexOf(':') + 1), 'hex')

/** Copies tensors of inputs to a folder, or finds them there. Never fails: what it cannot have is read where it is. */
export const openStage = async (
  folder: string,
  tensors: readonly TensorInfo[],
  identities: ReadonlyMap<string, FileIdentity>,
  { signal, least = LEAST, reserve = RESERVE, patience = PATIENCE }: StageOptions = {},
): Promise<Stage> => {
  const root = stageRoot(folder)
  const copies = new Map<string, { readonly tensor: TensorInfo; readonly path: string; readonly digest: Digest }>()
  const used = new Set<string>()
  let [copied, found] = [0, 0]
  let problem: string | undefined
  const keyOf = ({ file, name }: TensorInfo): string => `${file}\0${name}`
  const placeOf = ({ file, begin, end, dtype }: TensorInfo): { readonly own: string; readonly path: string } => {
    const { size, mtimeNs, ctimeNs, ino } = identities.get(file)!
    const own = join(root, shortDigest([file, size, mtimeNs, ctimeNs, ino].join('\0')))
    return { own, path: join(own, `${begin}-${end}.${dtype}`) }
  }
  const isStopped = (): boolean => problem !== undefined || signal?.aborted === true

  const have = async (tensor: TensorInfo): Promise<boolean> => {
    const { path } = placeOf(tensor)
    const digest = await recordedIn(path, tensor.end - tensor.begin)
    if (digest !== undefined) copies.set(keyOf(tensor), { tensor, path, digest })
    return digest !== undefined
  }
  const fits = async (bytes: number): Promise<boolean> => {
    const { bavail, blocks, bsize } = await statfs(root)
    return bavail * bsize - bytes >= reserve * blocks * bsize
  }
  const makeRoom = async (bytes: number): Promise<void> => {
    if (await fits(bytes)) return
    await sweep(root, IDLE, () => fits(bytes))
    if (!(await fits(bytes))) throw new StageProblem(stageWords.full(folder))
  }
  /** Copies a tensor; throws what the system says of the stage, and leaves out what cannot be read. */
  const copy = async (tensor: TensorInfo, path: string, show: () => Promise<void>): Promise<void> => {
    const bytes = tensor.end - tensor.begin
    await makeRoom(bytes)
    const from = await open(tensor.file, READ_ONLY).catch(() => undefined)
    if (from === undefined) return
    const whole = `${path}.${randomBytes(6).toString('hex')}.tmp`
    try {
      const to = await open(whole, 'wx', 0o600)
      try {
        const digest = await digestIn(from, tensor.begin, tensor, async (piece, at) => {
          signal?.throwIfAborted()
          await writeAll(to, piece, at)
          await show()
        })
        // Of a file that changes meanwhile, nobody knows what was read.
        const isSame = isSameFile(identityOf(await from.stat({ bigint: true })), identities.get(tensor.file)!)
        if (digest === undefined || !isSame) return
        await writeAll(to, toBytes(digest), bytes)
      } finally {
        await to.close()
      }
      await rename(whole, path)
      copied += bytes
      await have(tensor)
    } finally {
      await from.close()
      await rm(whole, { force: true })
    }
  }
  const findCopy = async (tensor: TensorInfo): Promise<boolean> => {
    const isThere = await have(tensor)
    if (isThere) found += tensor.end - tensor.begin
    return isThere
  }
  /** Has a tensor copied by this task or another one; false while another one is at it. */
  const acquire = async (tensor: TensorInfo): Promise<boolean> => {
    if (await findCopy(tensor)) return true
    const { path } = placeOf(tensor)
    const claim = `${path}.claim`
    try {
      await (await open(claim, 'wx')).close()
    } catch (error) {
      if (errorCode(error) === 'EEXIST') return false
      throw error
    }
    let shown = performance.now()
    try {
      // Another task may have finished it between the look and the claim.
      if (await findCopy(tensor)) return true
      await copy(tensor, path, async () => {
        if (performance.now() - shown < SHOW) return
        shown = performance.now()
        await utimes(claim, new Date(), new Date()).catch(() => undefined)
      })
    } finally {
      await rm(claim, { force: true })
    }
    return true
  }
  /** Waits for a copy that another task makes; makes it itself where that one has given up. */
  const awaitCopy = async (tensor: TensorInfo): Promise<void> => {
    const claim = `${placeOf(tensor).path}.claim`
    let last: { readonly shown: number | undefined; readonly at: number } | undefined
    while (!isStopped() && !(await acquire(tensor))) {
      const shown = (await stat(claim).catch(() => undefined))?.mtimeMs
      if (last === undefined || last.shown !== shown) last = { shown, at: performance.now() }
      else if (performance.now() - last.at > patience) await rm(claim, { force: true })
      await new Promise((done) => setTimeout(done, LOOK))
    }
  }
  /** Does something, unless there is a problem; what goes wrong is one, and nothing more is copied. */
  const attempt = async (deed: () => Promise<void>): Promise<void> => {
    if (isStopped()) return
    try {
      await deed()
    } catch (error) {
      if (signal?.aborted !== true)
        problem ??= error instanceof StageProblem ? error.message : stageWords.refused(folder, errorCode(error))
    }
  }
  /** Does something for each tensor, some at a time. */
  const forEach = async (all: readonly TensorInfo[], one: (tensor: TensorInfo) => Promise<void>): Promise<void> => {
    let next = 0
    const worker = async (): Promise<void> => {
      while (next < all.length) {
        const tensor = all[next++]!
        await attempt(() => one(tensor))
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, worker))
  }

  const wanted = [
    ...new Map(
      tensors
        .filter((t) => t.packed !== true && t.end - t.begin >= least && identities.has(t.file))
        .map((t) => [keyOf(t), t] as const),
    ).values(),
  ]
  const touch = (): Promise<unknown> =>
    Promise.all([...used].map((own) => utimes(own, new Date(), new Date()).catch(() => undefined)))
  const touching = setInterval(() => void touch(), 2 * SHOW)
  touching.unref()
  const busy: TensorInfo[] = []
  await attempt(async () => {
    await makeRoot(root)
    await sweep(root, OLD, () => Promise.resolve(false))
    // Before any room is made: what this task is about to use is not idle.
    for (const tensor of wanted) used.add(placeOf(tensor).own)
    for (const own of used) await mkdir(own, { recursive: true })
    await touch()
  })
  await forEach(wanted, async (tensor) => {
    if (!(await acquire(tensor))) busy.push(tensor)
  })
  await forEach(busy, awaitCopy)
  await touch()
  return {
    copyOf: (tensor) => {
      const at = copies.get(keyOf(tensor))
      return at === undefined ? undefined : { file: at.path, begin: 0 }
    },
    get staged() {
      return { copied, found, ...(problem === undefined ? {} : { problem }) }
    },
    verify: async (digestOf) => {
      let isSound = true
      for (const { tensor, path, digest } of copies.values()) {
        const known = digestOf(tensor.file, tensor.name) ?? (await digestOfCopy(path, tensor))
        if (known === digest) continue
        isSound = false
        await rm(path, { force: true })
      }
      return isSound
    },
    close: () => clearInterval(touching),
  }
}

const digestOfCopy = async (path: string, tensor: TensorInfo): Promise<Digest | undefined> => {
  const file = await open(path, READ_ONLY).catch(() => undefined)
  try {
    return file === undefined ? undefined : await digestIn(file, 0, tensor)
  } finally {
    await file?.close()
  }
}
