import { under } from '../../tensor/roots.js'
import type { Part, Spelling } from './spelling.js'
import { TRANSFORMERS, type Row, type Share, type Transformer } from './transformer-tables.js'
import { xlabsNames } from './xlabs.js'

type Tensors = ReadonlyMap<string, { readonly shape: readonly number[] }>

/** How a diffusion transformer spells its modules in the forms that it has not. */
export interface TransformerNames {
  readonly form: 'original' | 'diffusers'
  /** The original names of a module of diffusers, or those of diffusers of an original module. */
  readonly other: (path: string) => readonly Spelling[]
  /** What only OneTrainer's OMI format writes: the original names of the parts of a fused module, each behind its number. */
  readonly parts: (path: string) => readonly Spelling[]
  /** What XLabs' trainer calls it. */
  readonly xlabs: (path: string) => readonly Spelling[]
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
 * one, whose fused modules then are several. Paths are below the root of the network; `id` is its architecture, where smelt
 * tells it. Undefined for networks that diffusers renamed nothing of.
 */
export const transformerNames = (tensors: Tensors, root: string, id?: string): TransformerNames | undefined => {
  const has = (names: readonly string[]): boolean => names.every((name) => tensors.has(under(root, name)))
  const rowsOf = (path: string): number => tensors.get(under(root, path))?.shape[0] ?? 0
  const original = TRANSFORMERS.find(({ ids = [], original: own }) => (id === undefined ? has(own) : ids.includes(id)))
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

/** Which part of a fused module a row is. */
const indexIn = (rows: readonly Row[], share: Share): number => rows.findIndex((row) => row[2] === share)

const fromOriginal = ({ rows, omi, width }: Transformer, rowsOf: RowsOf): TransformerNames => {
  const find = byPath(rows, 0)
  const wide = width === undefined ? 0 : rowsOf(width[0])
  const rowsIn = (path: string, [first, count, of]: Share): Pick<Spelling, 'rows'> => {
    const run = heightOf(rowsOf, path) / of
    return { rows: { first: first * run, count: count * run } }
  }
  /** False for a module of a relative that fuses others. */
  const hasRuns = (path: string, [, , of]: Share): boolean => {
    const run = heightOf(rowsOf, path) / of
    return width === undefined ? Number.isInteger(run) : run === wide
  }
  const known = (path: string): ReturnType<typeof find> => {
    const [found, number] = find(path)
    return [found.filter(([, , share]) => share === undefined || hasRuns(path, share)), number]
  }
  return {
    form: 'original',
    other: (path) => {
      const [found, number] = known(path)
      const swapped = MODULATION.test(path) && heightOf(rowsOf, path) === 2 * wide
      return found.map(([, diffusers, share]) => ({
        path: diffusers.replace('#', number),
        ...(share === undefined ? {} : rowsIn(path, share)),
        ...(swapped ? { change: 'halves-swapped' as const } : {}),
      }))
    },
    parts: (path) => {
      const [found] = known(path)
      if (omi?.[path] !== undefined) return [{ path: omi[path] }]
      return found.flatMap(([, , share]) =>
        share === undefined ? [] : [{ path: `${path}.${indexIn(found, share)}`, ...rowsIn(path, share) }],
      )
    },
    xlabs: (path) => xlabsNames(path, rowsOf('img_in.weight')),
  }
}

const fromDiffusers = ({ rows, omi, width }: Transformer, rowsOf: RowsOf): TransformerNames => {
  const find = byPath(rows, 1)
  const siblings = byPath(rows, 0)
  const wide = width === undefined ? 0 : rowsOf(width[1])
  /** Where a module's rows stand among those of the modules that the original fuses; undefined where one is missing. */
  const partIn = (fused: string, path: string): Part | undefined => {
    const [found, number] = siblings(fused)
    const paths = found.map(([, diffusers]) => diffusers.replace('#', number))
    const heights = paths.map((own) => heightOf(rowsOf, own))
    const sum = (some: readonly number[]): number => some.reduce((n, height) => n + height, 0)
    return heights.includes(0) ? undefined : { first: sum(heights.slice(0, paths.indexOf(path))), of: sum(heights) }
  }
  const other = (path: string): readonly Spelling[] => {
    const [found, number] = find(path)
    const swapped = heightOf(rowsOf, path) === 2 * wide
    return found.flatMap(([name, , share]): Spelling[] => {
      const original = name.replace('#', number)
      if (share === undefined)
        return [{ path: original, ...(swapped && MODULATION.test(original) ? { change: 'halves-swapped' } : {}) }]
      const part = partIn(original, path)
      return part === undefined ? [] : [{ path: original, part }]
    })
  }
  return {
    form: 'diffusers',
    other,
    parts: (path) => {
      const [found, number] = find(path)
      return found.flatMap(([name, , share]) => {
        const original = name.replace('#', number)
        if (omi?.[original] !== undefined) return [{ path: omi[original] }]
        return share === undefined ? [] : [{ path: `${original}.${indexIn(siblings(original)[0], share)}` }]
      })
    },
    xlabs: (path) =>
      other(path).flatMap(({ path: original, part }) =>
        xlabsNames(original, wide).flatMap((spelling) => within(spelling, part, heightOf(rowsOf, path))),
      ),
  }
}

/** How a module is spelt that is a part of the original, if what the spelling stands for has all of its rows. */
const within = ({ path, rows }: Spelling, part: Part | undefined, height: number): readonly Spelling[] => {
  if (part === undefined) return rows === undefined ? [{ path }] : []
  if (rows === undefined) return [{ path, part }]
  const first = part.first - rows.first
  return first >= 0 && first + height <= rows.count ? [{ path, part: { first, of: rows.count } }] : []
}
