import { under } from '../../tensor/roots.js'
import type { Part, Spelling } from './spelling.js'
import { TRANSFORMERS, type Row, type Transformer } from './transformer-tables.js'
import { xlabsNames } from './xlabs.js'

type Tensors = ReadonlyMap<string, { readonly shape: readonly number[] }>

/** How a diffusion transformer spells a module in its own form and in the other one. */
export interface TransformerNames {
  /** The original names of a module of diffusers, or those of diffusers of an original module. */
  readonly other: readonly Spelling[]
  /** What XLabs' trainer calls it. */
  readonly xlabs: readonly Spelling[]
}

/** Modulations of two parts: diffusers stores scale before shift, the original shift before scale. */
const MODULATION = /adaLN_modulation\.1$/

/** A path with # in place of its number, and that number. */
const split = (path: string): readonly [pattern: string, number: string] => {
  const number = /^[a-z_]+\.(\d+)\./.exec(path)?.[1]
  return number === undefined ? [path, ''] : [path.replace(`.${number}.`, '.#.'), number]
}

/**
 * Says how a diffusion transformer spells its modules in the form that it has not: that of diffusers, or the original
 * one, whose fused modules then are several. Paths are below the root of the network; undefined for networks that
 * diffusers renamed nothing of.
 */
export const transformerNames = (tensors: Tensors, root: string): ((path: string) => TransformerNames) | undefined => {
  const has = (names: readonly string[]): boolean => names.every((name) => tensors.has(under(root, name)))
  const rowsOf = (path: string): number => tensors.get(under(root, path))?.shape[0] ?? 0
  const original = TRANSFORMERS.find((known) => has(known.original))
  if (original !== undefined) return fromOriginal(original, rowsOf)
  const diffusers = TRANSFORMERS.find((known) => has(known.diffusers))
  return diffusers === undefined ? undefined : fromDiffusers(diffusers, rowsOf)
}

const byPath = (rows: readonly Row[], side: 0 | 1): ((path: string) => readonly [rows: readonly Row[], n: string]) => {
  const known = new Map<string, Row[]>()
  for (const row of rows) known.set(row[side], [...(known.get(row[side]) ?? []), row])
  return (path) => {
    const [pattern, number] = split(path)
    return [known.get(path) ?? known.get(pattern) ?? [], number]
  }
}

type RowsOf = (path: string) => number

/** A tensor of a module that has one: most have a weight, some are bare. */
const heightOf = (rowsOf: RowsOf, path: string): number => rowsOf(`${path}.weight`) || rowsOf(path)

const fromOriginal = ({ rows, width }: Transformer, rowsOf: RowsOf): ((path: string) => TransformerNames) => {
  const find = byPath(rows, 0)
  const wide = width === undefined ? 0 : rowsOf(width[0])
  return (path) => {
    const [found, number] = find(path)
    const height = heightOf(rowsOf, path)
    const swapped = MODULATION.test(path) && height > 0 && height === 2 * wide
    return {
      other: found.flatMap(([, diffusers, share]): Spelling[] => {
        if (share === undefined)
          return [{ path: diffusers.replace('#', number), ...(swapped ? { change: 'halves-swapped' } : {}) }]
        const [first, count, of] = share
        const part = { rows: { first: (first * height) / of, count: (count * height) / of } }
        // OneTrainer's OMI format numbers the parts of a fused module.
        const index = found.findIndex((row) => row[2] === share)
        return [
          { path: diffusers.replace('#', number), ...part },
          { path: `${path}.${index}`, ...part },
        ]
      }),
      xlabs: xlabsNames(path, rowsOf('img_in.weight')),
    }
  }
}

const fromDiffusers = ({ rows, width }: Transformer, rowsOf: RowsOf): ((path: string) => TransformerNames) => {
  const find = byPath(rows, 1)
  const siblings = byPath(rows, 0)
  const wide = width === undefined ? 0 : rowsOf(width[1])
  /** Where a module's rows stand among those of the modules that the original fuses; undefined where one is missing. */
  const partIn = (fused: string, path: string): Part | undefined => {
    const [found, number] = siblings(fused)
    const heights = found.map(([, diffusers]) => heightOf(rowsOf, diffusers.replace('#', number)))
    const index = found.findIndex(([, diffusers]) => diffusers.replace('#', number) === path)
    const sum = (some: readonly number[]): number => some.reduce((n, height) => n + height, 0)
    return heights.includes(0) ? undefined : { first: sum(heights.slice(0, index)), of: sum(heights) }
  }
  return (path) => {
    const [found, number] = find(path)
    const height = heightOf(rowsOf, path)
    const spellings = found.flatMap(([name, , share]): (Spelling & { readonly index?: number })[] => {
      const original = name.replace('#', number)
      const swapped = MODULATION.test(original) && height > 0 && height === 2 * wide
      if (share === undefined) return [{ path: original, ...(swapped ? { change: 'halves-swapped' } : {}) }]
      const part = partIn(original, path)
      const index = siblings(original)[0].findIndex((row) => row[2] === share)
      return part === undefined ? [] : [{ path: original, part, index }]
    })
    return {
      other: spellings.flatMap(({ index, ...s }): Spelling[] =>
        index === undefined ? [s] : [s, { path: `${s.path}.${index}` }],
      ),
      xlabs: spellings.flatMap(({ path: original, part }) =>
        xlabsNames(original, wide).flatMap((spelling) => within(spelling, part, height)),
      ),
    }
  }
}

/** How a module is spelt that is a part of the original, if what the spelling stands for has all of its rows. */
const within = ({ path, rows }: Spelling, part: Part | undefined, height: number): readonly Spelling[] => {
  if (part === undefined) return rows === undefined ? [{ path }] : []
  if (rows === undefined) return [{ path, part }]
  const first = part.first - rows.first
  return first >= 0 && first + height <= rows.count ? [{ path, part: { first, of: rows.count } }] : []
}
