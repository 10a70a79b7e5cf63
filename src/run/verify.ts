import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { digestNotAsLocked, factsNotAsLocked, lockMissing, sha256NotAsLocked } from '../base/catalogue/store.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { blake3, toDigest, type Digest } from '../base/digest.js'
import { resolvePath } from '../base/resolve-path.js'
import { append } from '../base/lists.js'
import { failed, ok, type Result } from '../base/result.js'
import { digestMetadata, digestModel } from '../plan/make-lock.js'
import { CONFIG, isBeside, withoutOtherCode } from '../plan/model-folder.js'
import { accessFrom, type HubAccess } from '../hub/access.js'
import { snapshotFolder } from '../hub/cached.js'
import { openAdapterFile, openCheckpoint } from '../pytorch/open.js'
import type { Model } from '../safetensors/model.js'
import { compareAside, compareSides, describeChange } from '../store/compare-locks.js'
import { lockPath, readLock, type Lock, type LockedInput, type LockedOutput } from '../store/lock.js'
import { digestTensors, type DigestedTensors } from './digest-tensors.js'
import type { RunOptions } from './options.js'
import { sha256Of } from './sha256.js'

/** One file that was compared with the lock. */
export interface Verified {
  readonly type: 'input' | 'output'
  /** As the recipe has it. */
  readonly path: string
  readonly bytes: number
  readonly tensors: number
  readonly digest: string
  /** Names of the files beside it that were compared, too. */
  readonly sides: readonly string[]
}

/** What of a lock is true. */
export interface Verification {
  readonly files: readonly Verified[]
  /** Bytes read. */
  readonly bytes: number
  readonly seconds: number
}

interface Item {
  readonly type: 'input' | 'output'
  readonly path: string
  readonly locked: LockedInput | LockedOutput
  readonly model: Model
}

const itemsOf = ({ inputs, builds }: Lock) => [
  ...Object.entries(inputs).map(([path, locked]) => ({ type: 'input' as const, path, locked })),
  ...builds
    .flatMap((b) => Object.values(b.outputs))
    .map((locked) => ({ type: 'output' as const, path: locked.path, locked })),
]

/** Opens what an item names; a sharded output is found by its index. */
const openItem = async (path: string): Promise<Result<Model>> => {
  const index = `${path.replace(/(\.safetensors)?(\.index\.json)?$/, '')}.safetensors.index.json`
  const model = await openCheckpoint(!existsSync(path) && existsSync(index) ? index : path)
  if (model.type === 'ok') return model
  const adapter = await openAdapterFile(path)
  return adapter.type === 'ok' ? adapter : model
}

const metadataOf = (model: Model): Pick<LockedInput, 'metadata'> => {
  const metadata = digestMetadata(model)
  return metadata === undefined ? {} : { metadata }
}

/** Where an item is: what is of a hub in its cache, at the commit of the lock. */
const placeOf = (
  { type, path, locked }: Omit<Item, 'model'>,
  { folder, out, hub = accessFrom({}, homedir()) }: { folder: string; out?: string; hub?: HubAccess },
): string => {
  const origin = 'hub' in locked ? locked.hub : undefined
  if (origin !== undefined)
    return join(snapshotFolder(hub.cache, origin.repository, origin.commit), ...origin.file.split('/'))
  return resolvePath(type === 'output' && out !== undefined ? resolvePath('', out) : folder, path)
}

/**
 * The digests of what a folder has of the files that the lock names; of a model that goes in also of others that would
 * be read.
 */
const sidesOf = async (
  model: Model,
  { sides = {} }: LockedInput | LockedOutput,
  type: Item['type'],
): Promise<Readonly<Record<string, Digest>>> => {
  const found = new Map<string, Uint8Array>()
  const others =
    type === 'input' && sides[CONFIG] !== undefined ? (await readdir(dirname(model.path))).filter(isBeside) : []
  for (const name of new Set([...Object.keys(sides), ...others])) {
    const bytes = await readFile(join(dirname(model.path), name)).catch(() => undefined)
    if (bytes !== undefined) found.set(name, bytes)
  }
  const own = type === 'input' ? withoutOtherCode(found) : found
  return Object.fromEntries([...own].map(([name, bytes]) => [name, toDigest(blake3(bytes))]))
}

/**
 * Reads every input and output that the lock of a recipe names, and compares their contents with it. Outputs are looked
 * for below `out`, the recipe's folder unless given.
 */
export const verify = async (
  recipe: string,
  options: RunOptions & { readonly out?: string; readonly hub?: HubAccess },
  heard?: DigestedTensors,
): Promise<Result<Verification>> => {
  const began = performance.now()
  const path = lockPath(resolve(recipe))
  const lock = await readLock(path)
  if (lock.type === 'failed') return lock
  if (lock.value === undefined) return failed(lockMissing(path))
  const problems: Diagnostic[] = []
  const items: Item[] = []
  for (const item of itemsOf(lock.value)) {
    const opened = await openItem(placeOf(item, { ...options, folder: dirname(path) }))
    if (opened.type === 'ok') items.push({ ...item, model: opened.value })
    else
      append(
        problems,
        opened.diagnostics.map((d): Diagnostic => ({ ...d, blame: 'lock' })),
      )
  }
  const digests = await digestTensors(
    items.flatMap((i) => [...i.model.tensors.values()]).filter((t) => t.begin < t.end),
    options,
    heard,
  )
  if (digests.type === 'failed') return failed(...problems, ...digests.diagnostics)
  const files: Verified[] = []
  for (const { type, path: name, locked, model } of items) {
    const digest = digestModel(model, digests.value)
    if (digest !== locked.digest) problems.push(digestNotAsLocked(name, digest, locked.digest, type))
    const pinned = 'sha256' in locked ? locked.sha256 : undefined
    const sha256 = pinned === undefined ? undefined : await sha256Of(model.path)
    if (sha256 !== undefined && typeof sha256 !== 'string') problems.push(sha256)
    else if (sha256 !== undefined && sha256 !== pinned) problems.push(sha256NotAsLocked(name, sha256, pinned!, type))
    const beside = await sidesOf(model, locked, type)
    const changes =
      'from' in locked
        ? compareSides('output', name, locked.sides, beside)
        : lock.value.lock === 1
          ? []
          : compareAside(name, locked, { ...metadataOf(model), sides: beside })
    append(
      problems,
      changes.map((change) => factsNotAsLocked(name, describeChange(change))),
    )
    files.push({
      type,
      path: name,
      bytes: model.bytes,
      tensors: model.tensors.size,
      digest,
      sides: Object.keys(beside),
    })
  }
  const bytes = files.reduce((n, f) => n + f.bytes, 0)
  return problems.length > 0 ? failed(...problems) : ok({ files, bytes, seconds: (performance.now() - began) / 1000 })
}
