import { createReadStream, existsSync, readdirSync, statSync } from 'node:fs'
import { mkdtemp, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import * as problems from '../../base/catalogue/cuda.js'
import { notARegularFile } from '../../base/catalogue/special-files.js'
import type { Diagnostic } from '../../base/diagnostic.js'
import { reasonOf } from '../../base/reason.js'
import { errorCode, ioProblem } from '../../safetensors/io-problem.js'
import { makeFolder } from '../../safetensors/make-folder.js'
import { specialKind } from '../../safetensors/regular-file.js'
import { refuse, unpack, writeWhole, type Take } from './archives.js'
import { LIBRARIES, PROVIDER, type CudaPart } from './cuda-parts.js'
import { findVersion, whyNoLibrary } from './elf.js'
import { librariesFolder, providerFolder } from './places.js'

/** Hears of what takes long. */
export type CudaListener = (event: CudaEvent) => void

/** What happens while CUDA is installed. */
export type CudaEvent =
  | { readonly type: 'downloading'; readonly what: string; readonly bytes: number }
  | {
      readonly type: 'unpacking'
      readonly name: string
      readonly source: string
      readonly done: number
      readonly bytes: number
    }

/** Where what is taken goes, a folder that is there, and which version of the provider is right. */
export interface ImportOptions {
  readonly data: string
  readonly needed: string
  readonly hear: CudaListener
}

/** What came of a source. */
export interface ImportResult {
  /** The files that are installed now. */
  readonly installed: readonly string[]
  readonly refused: readonly Diagnostic[]
}

/** Parts that come from one source or not at all, and whether they are the provider. */
const GROUPS: readonly { readonly parts: readonly CudaPart[]; readonly provider: boolean }[] = [
  { parts: PROVIDER, provider: true },
  ...LIBRARIES.map((parts) => ({ parts, provider: false })),
]
const PARTS = GROUPS.flatMap((group) => group.parts)

const ARCHIVE = /\.(whl|zip|nupkg|tgz|tar|tar\.gz)$/
/** Folders deeper than this are not looked into. */
const DEEPEST = 12

/** Names of folders that hold unfinished work. */
export const STAGING = '.taking-'

/** Why the files of a group cannot be installed; undefined where they can. */
const whyRefused = (
  { parts, provider }: (typeof GROUPS)[number],
  folder: string,
  source: string,
  needed: string,
): Diagnostic | undefined => {
  const missing = parts.filter((part) => !existsSync(join(folder, part.name)))
  if (missing.length > 0)
    return problems.cudaFileBad(
      parts.find((part) => !missing.includes(part))!.name,
      source,
      problems.comesAlone(missing[0]!.name),
    )
  for (const part of parts) {
    const reason = whyNoLibrary(join(folder, part.name))
    if (reason !== undefined) return problems.cudaFileBad(part.name, source, reason)
  }
  if (!provider) return undefined
  const version = findVersion(join(folder, parts[0]!.name))
  return version === needed ? undefined : problems.cudaProviderRefused(source, version, needed)
}

/** Installs the groups of parts that lie in a folder of staged files. */
const install = async (folder: string, source: string, { data, needed }: ImportOptions): Promise<ImportResult> => {
  const installed: string[] = []
  const refused: Diagnostic[] = []
  for (const group of GROUPS.filter(({ parts }) => parts.some((part) => existsSync(join(folder, part.name))))) {
    const problem = whyRefused(group, folder, source, needed)
    if (problem !== undefined) {
      refused.push(problem)
      continue
    }
    const home = group.provider ? providerFolder(data, needed) : librariesFolder(data)
    makeFolder(home)
    for (const part of group.parts) {
      await rename(join(folder, part.name), join(home, part.name))
      installed.push(part.name)
    }
  }
  return { installed, refused }
}

/**
 * Copies or unpacks the parts of one folder or archive to a new folder of its own, and installs those that are sound.
 */
const stage = async (
  source: string,
  taking: ImportOptions,
  fill: (take: Take, written: (target: string, done: number, bytes: number) => void) => Promise<void>,
): Promise<ImportResult> => {
  const folder = await mkdtemp(join(taking.data, STAGING))
  const seen = new Set<string>()
  const take: Take = (name, bytes) => {
    const part = PARTS.find((p) => p.pattern.test(name))
    if (part === undefined || seen.has(part.name)) return undefined
    if (bytes > part.most) throw refuse(problems.tooManyBytes(name, bytes))
    seen.add(part.name)
    return join(folder, part.name)
  }
  try {
    await fill(take, (target, done, bytes) =>
      taking.hear({ type: 'unpacking', name: basename(target), source: basename(source), done, bytes }),
    )
    return await install(folder, source, taking)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const FULL = ['ENOSPC', 'EDQUOT']

/** What a failed try says; a full disk is no fault of the source. */
const refusedFor = (error: unknown, { data }: ImportOptions, orElse: (reason: string) => Diagnostic): ImportResult => ({
  installed: [],
  refused: [FULL.includes(errorCode(error)) ? ioProblem(error, data, 'write') : orElse(reasonOf(error))],
})

const fromArchive = (path: string, taking: ImportOptions): Promise<ImportResult> =>
  stage(path, taking, (take, written) => unpack(path, take, written)).catch((error: unknown) =>
    refusedFor(error, taking, (reason) => problems.cudaSourceUnknown(path, reason)),
  )

const both = (a: ImportResult, b: ImportResult): ImportResult => ({
  installed: [...a.installed, ...b.installed],
  refused: [...a.refused, ...b.refused],
})
const NOTHING: ImportResult = { installed: [], refused: [] }

/** The files of a folder itself; a name that is exactly that of a part comes before those with more numbers. */
const fromFiles = (folder: string, names: readonly string[], taking: ImportOptions): Promise<ImportResult> =>
  stage(folder, taking, async (take, written) => {
    for (const name of names.toSorted((a, b) => a.length - b.length)) {
      const path = join(folder, name)
      const found = statSync(path)
      const kind = specialKind(found)
      if (kind !== undefined) throw refuse(notARegularFile(path, kind, 'a library').message)
      const { size } = found
      const target = take(name, size)
      if (target !== undefined) await writeWhole(createReadStream(path), target, size, written)
    }
  }).catch((error: unknown) => refusedFor(error, taking, (reason) => problems.cudaSourceMissing(folder, reason)))

const fromFolder = async (folder: string, taking: ImportOptions, depth = 0): Promise<ImportResult> => {
  const entries = readdirSync(folder, { withFileTypes: true })
  const parts = entries.filter((e) => !e.isDirectory() && PARTS.some((p) => p.pattern.test(e.name))).map((e) => e.name)
  let taken = parts.length === 0 ? NOTHING : await fromFiles(folder, parts, taking)
  for (const entry of entries) {
    const path = join(folder, entry.name)
    if (entry.isFile() && ARCHIVE.test(entry.name)) taken = both(taken, await fromArchive(path, taking))
    // Links to folders are not followed: they may lead round in circles.
    if (entry.isDirectory() && depth < DEEPEST) taken = both(taken, await fromFolder(path, taking, depth + 1))
  }
  return taken
}

/** Installs everything CUDA needs out of a wheel, a tarball, a folder with such, or one of the files itself. */
export const importFrom = async (source: string, taking: ImportOptions): Promise<ImportResult> => {
  try {
    const found = statSync(source)
    const taken = found.isDirectory()
      ? await fromFolder(source, taking)
      : PARTS.some((p) => p.pattern.test(basename(source)))
        ? await fromFiles(dirname(source), siblings(source), taking)
        : await fromArchive(source, taking)
    const nothing = taken.installed.length === 0 && taken.refused.length === 0
    return nothing
      ? {
          installed: [],
          refused: [
            problems.cudaSourceEmpty(
              source,
              PARTS.map((p) => p.name),
            ),
          ],
        }
      : taken
  } catch (error) {
    return { installed: [], refused: [problems.cudaSourceMissing(source, reasonOf(error))] }
  }
}

/** The file and those of its folder that belong to it. */
const siblings = (source: string): string[] => {
  const name = basename(source)
  const group = GROUPS.find(({ parts }) => parts.some((p) => p.pattern.test(name)))!
  return [
    name,
    ...readdirSync(dirname(source)).filter(
      (other) => other !== name && group.parts.some((p) => p.pattern.test(other) && !p.pattern.test(name)),
    ),
  ]
}
