import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { BIN_INDEX } from '../pytorch/open.js'
import { INDEX_SUFFIX, readIndex } from '../safetensors/sharded-index.js'
import { chooseFile, type HubKind } from './choose.js'
import { isCommit, MAIN, type HubReference } from './reference.js'

/** A file of a repository in the cache. */
export interface CachedFile {
  /** Absolute: below `snapshots/COMMIT` of the repository’s folder. */
  readonly path: string
  /** Its path in the repository. */
  readonly file: string
}

/** What the cache has of a reference at one commit. */
export type Cached =
  | ({ readonly type: 'found' } & CachedFile)
  /** Some of what a merge needs is there, but not these files; none are named where no model is there at all. */
  | { readonly type: 'partial'; readonly missing: readonly string[] }
  /** Several models, none of which is the usual one. */
  | { readonly type: 'several'; readonly names: readonly string[] }

/** The folder of a repository in the cache, as Hugging Face's own tools name it. */
export const repositoryFolder = (cache: string, repository: string): string =>
  join(cache, `models--${repository.replaceAll('/', '--')}`)

/** The folder of a commit's files. */
export const snapshotFolder = (cache: string, repository: string, commit: string): string =>
  join(repositoryFolder(cache, repository), 'snapshots', commit)

/** The file that holds the commit of a branch or tag. */
export const refFile = (cache: string, repository: string, revision: string): string =>
  join(repositoryFolder(cache, repository), 'refs', ...revision.split('/'))

/** The commit that a revision was when it was last downloaded; undefined where it never was. */
export const cachedCommit = async (
  cache: string,
  { repository, revision = MAIN }: HubReference,
): Promise<string | undefined> => {
  if (isCommit(revision)) return revision
  const text = await readFile(refFile(cache, repository, revision), 'utf8').catch(() => '')
  return isCommit(text.trim()) ? text.trim() : undefined
}

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

/** The shards that an index names and its folder lacks; none where the index cannot be read, which opening it tells. */
const missingShards = async (folder: string, index: string): Promise<readonly string[]> => {
  const read = await readIndex(join(folder, index), index.endsWith(BIN_INDEX) ? '.bin' : '.safetensors')
  if (read.type === 'failed') return []
  const there = await Promise.all(read.value.shards.map((shard) => isThere(join(folder, shard))))
  return read.value.shards.filter((_, i) => there[i] !== true)
}

/** What the cache has of a reference at a commit; undefined for nothing. */
export const findCached = async (
  cache: string,
  { repository, files = '' }: HubReference,
  commit: string,
  kind: HubKind,
): Promise<Cached | undefined> => {
  const snapshot = snapshotFolder(cache, repository, commit)
  if (!(await isThere(snapshot))) return undefined
  const [named, inside] = [files.replace(/\/$/, ''), join(snapshot, ...files.split('/'))]
  const found = await stat(inside).catch(() => undefined)
  if (found === undefined) return { type: 'partial', missing: [named] }
  const within = (name: string): string => (named === '' ? name : `${named}/${name}`)
  const slash = named.lastIndexOf('/')
  const parent = named.slice(0, Math.max(slash, 0))
  const choice = found.isDirectory()
    ? chooseFile(
        (await readdir(inside)).filter((name) => !name.startsWith('.')),
        kind,
      )
    : undefined
  if (choice?.type === 'none') return { type: 'partial', missing: [] }
  if (choice?.type === 'several') return { type: 'several', names: choice.names.map(within) }
  const [folder, name, prefix] =
    choice === undefined
      ? [join(snapshot, ...parent.split('/')), named.slice(slash + 1), parent]
      : [inside, choice.name, named]
  // A link stays where its blob is deleted.
  const gone = (await isThere(join(folder, name))) ? [] : [name]
  const missing = name.endsWith(INDEX_SUFFIX) || name.endsWith(BIN_INDEX) ? await missingShards(folder, name) : []
  const inRepository = (file: string): string => (prefix === '' ? file : `${prefix}/${file}`)
  return gone.length + missing.length > 0
    ? { type: 'partial', missing: [...gone, ...missing].map(inRepository) }
    : { type: 'found', path: join(folder, name), file: inRepository(name) }
}
