import { opendir, realpath, stat } from 'node:fs/promises'
import { basename, join, relative, sep } from 'node:path'
import { otherFolder, severalFiles } from '../base/catalogue/import.js'
import { groupBy } from '../base/lists.js'
import type { ModelFolder } from './model-folders.js'
import { readFacts, type ModelFacts } from './model-facts.js'

/** A model that was found by its name. */
export interface FoundModel {
  /** As the recipe refers to it. */
  readonly path: string
  /** What to tell where several files have the name. */
  readonly others: string | undefined
  /** What it says of itself, read when it is asked for. */
  readonly facts?: () => ModelFacts
}

/** Finds a model by the name that another tool has for it; `folder` is where that tool would look. */
export interface ModelFinder {
  find(name: string, folder?: string): FoundModel | undefined
}

/** Levels of folders, and files and folders in all, that are looked at. */
const [MOST_LEVELS, MOST_ENTRIES] = [12, 200_000]

/** Finds nothing: every model is where the other tool has it. */
export const NO_MODELS: ModelFinder = { find: () => undefined }

const WEIGHTS = /\.(safetensors|ckpt|pt|pth|bin)$/i
const INDEX = /\.safetensors\.index\.json$/i
const SHARD = /-\d+-of-\d+\.safetensors$/i

interface Candidate {
  /** Absolute. */
  readonly path: string
  /** Segments by which it may be named, those of the folders above the root too, in lower case, without the ending. */
  readonly parts: readonly string[]
  /** The same as if its folder had the name that ComfyUI has for what is in it. */
  readonly placed: readonly string[]
}

/** Folders of the web UI and of earlier versions of ComfyUI, by what ComfyUI calls them. */
const SAME_FOLDERS: ReadonlyMap<string, string> = new Map([
  ['stable-diffusion', 'checkpoints'],
  ['lora', 'loras'],
  ['lycoris', 'loras'],
  ['unet', 'diffusion_models'],
  ['clip', 'text_encoders'],
])

const partsOf = (path: string): readonly string[] =>
  path
    .toLowerCase()
    .replace(WEIGHTS, '')
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .map((part, i, all) => (i < all.length - 1 ? (SAME_FOLDERS.get(part) ?? part) : part))

/** Files and folders of models below a folder. Links that lead out of it are left alone. */
const candidatesIn = async ({ path: root, kind }: ModelFolder): Promise<readonly Candidate[]> => {
  const found: Candidate[] = []
  const candidate = (path: string): Candidate => {
    const slashed = (text: string): string => text.split(sep).join('/')
    const parts = partsOf(slashed(path))
    return {
      path,
      parts,
      placed: kind === undefined ? parts : partsOf(`models/${kind}/${slashed(relative(root, path))}`),
    }
  }
  const home = await realpath(root)
  const inside = async (path: string): Promise<boolean> => {
    try {
      const real = await realpath(path)
      return real === home || real.startsWith(home.endsWith(sep) ? home : home + sep)
    } catch {
      return false
    }
  }
  const seen = new Set<string>()
  let entries = 0
  const visit = async (folder: string, level: number): Promise<void> => {
    if (level > MOST_LEVELS || !(await inside(folder))) return
    const real = await realpath(folder)
    if (seen.has(real)) return
    seen.add(real)
    const names: string[] = []
    try {
      for await (const { name } of await opendir(folder)) {
        if (++entries > MOST_ENTRIES) return
        names.push(name)
      }
    } catch {
      return
    }
    names.sort()
    const whole = names.some((n) => INDEX.test(n)) || names.filter((n) => n.endsWith('.safetensors')).length === 1
    if (level > 0 && whole) found.push(candidate(folder))
    for (const name of names) {
      const path = join(folder, name)
      const is = await stat(path).catch(() => undefined)
      if (is?.isDirectory() === true) await visit(path, level + 1)
      else if (is?.isFile() === true && WEIGHTS.test(name) && !SHARD.test(name) && (await inside(path)))
        found.push(candidate(path))
    }
  }
  await visit(root, 0)
  return found
}

/** The ways in which folders are called after `org/name`, the last part of a reference. */
const spellings = (parts: readonly string[]): readonly string[] => {
  const [org, name] = [parts.at(-2), parts.at(-1) ?? '']
  return org === undefined ? [name] : [name, `${org}_${name}`, `${org}--${name}`, `models--${org}--${name}`]
}

/** How many segments at the end of a candidate agree with a name; 0 where it has another name. */
const agreement = (wanted: readonly string[], { parts, placed }: Candidate): number =>
  Math.max(agreeing(wanted, parts), agreeing(wanted, placed))

const agreeing = (wanted: readonly string[], parts: readonly string[]): number => {
  // The folder of a Hugging Face cache: models--org--name/snapshots/REVISION.
  const own = parts.at(-2) === 'snapshots' ? parts.slice(0, -2) : parts
  let same = 0
  while (same < wanted.length && wanted.at(-1 - same) === own.at(-1 - same)) same++
  if (same > 0) return same
  return spellings(wanted).includes(own.at(-1) ?? '') ? 1 : 0
}

/** True where a reference names a folder or an organisation too, and a candidate is of none of that name. */
const isOther = (wanted: readonly string[], { parts }: Candidate): boolean => {
  const org = wanted.at(-2)
  return (
    org !== undefined && !parts.some((part) => part === org || part.startsWith(`${org}_`) || part.includes(`${org}--`))
  )
}

/**
 * Finds models below some folders by their names, in whatever case and with whatever ending, though a name with an
 * ending is that of a file; of several, the one of which most folders agree, a safetensors file before others, then the
 * first by path. Paths are given relative to `from`.
 */
export const findModels = async (roots: readonly ModelFolder[], from: string): Promise<ModelFinder> => {
  const all = (await Promise.all(roots.map(candidatesIn))).flat()
  // A folder may be given twice, once by what is in it.
  const candidates = [...new Map(all.map((c) => [c.path, c])).values()]
  const byName = groupBy(candidates, (c) => (c.parts.at(-2) === 'snapshots' ? c.parts.at(-3)! : (c.parts.at(-1) ?? '')))
  const pathOf = (path: string): string => relative(from, path).split(sep).join('/')
  return {
    find: (name, folder) => {
      const wanted = partsOf(name)
      if (wanted.length === 0) return undefined
      const placed = [...partsOf(folder ?? ''), ...wanted]
      const ranked = [...new Set(spellings(wanted).flatMap((s) => byName.get(s) ?? []))]
        .filter(({ path }) => WEIGHTS.test(path) || !WEIGHTS.test(name))
        .map((candidate) => ({ candidate, same: agreement(placed, candidate) }))
        .filter(({ same }) => same > 0)
        .sort(
          (x, y) =>
            y.same - x.same ||
            Number(y.candidate.path.endsWith('.safetensors')) - Number(x.candidate.path.endsWith('.safetensors')) ||
            (x.candidate.path < y.candidate.path ? -1 : 1),
        )
      const best = ranked[0]
      if (best === undefined) return undefined
      const equals = ranked.filter(
        (r) =>
          r.same === best.same &&
          r.candidate.path.endsWith('.safetensors') === best.candidate.path.endsWith('.safetensors'),
      )
      const path = pathOf(best.candidate.path)
      return {
        path,
        facts: () => readFacts(best.candidate.path),
        others:
          equals.length > 1
            ? severalFiles(
                basename(name),
                path,
                equals.slice(1).map((e) => pathOf(e.candidate.path)),
              )
            : isOther(wanted, best.candidate)
              ? otherFolder(name, path)
              : undefined,
      }
    },
  }
}
