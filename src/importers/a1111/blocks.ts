import { a1111Lacks } from '../../base/catalogue/import-a1111.js'
import type { Yaml } from '../../document/write.js'
import { oneMinus } from '../numbers.js'

/** Names of blocks in the order of supermerger: those of Stable Diffusion 1, of which XL has a part. */
export const BLOCKS: readonly string[] = [
  'BASE',
  ...Array.from({ length: 12 }, (_, i) => `IN${String(i).padStart(2, '0')}`),
  'M00',
  ...Array.from({ length: 12 }, (_, i) => `OUT${String(i).padStart(2, '0')}`),
]

/** Why a calculation cannot be said. */
export const whyNot = (calcmode: string): string =>
  /^cosine[ab]$/i.test(calcmode)
    ? a1111Lacks.cosine
    : /^rebasin/i.test(calcmode)
      ? a1111Lacks.rebasin
      : a1111Lacks.calcmode

/** Lengths of lists of block weights that smelt knows, BASE and all. */
const LENGTHS: ReadonlySet<number> = new Set([20, 21, 26, 61])

/** True for a list of block weights that smelt knows. */
export const isBlockList = (list: readonly number[]): boolean => LENGTHS.has(list.length) && list.every(Number.isFinite)

/** A list of block weights as numbers per layer, changed by `of`. */
export const blockWeights = (list: readonly number[], of: (x: number) => number): Yaml => ({ mbw: list.map(of) })

/** Blocks that a text of supermerger names: `IN00-IN04 M00`, after `NOT` all others; all where it names none. */
export const readBlocks = (text: string): readonly string[] | { readonly why: string } => {
  const words = text
    .trim()
    .toUpperCase()
    .split(/[\s,]+/)
    .filter((w) => w !== '')
  const not = words[0] === 'NOT'
  const found = new Set<string>()
  for (const word of not ? words.slice(1) : words) {
    const [from, to] = word.split('-').map((w) => BLOCKS.indexOf(w === 'M' || w === 'MID' ? 'M00' : w))
    if (from === undefined || from === -1 || to === -1) return { why: a1111Lacks.block(word) }
    for (const block of BLOCKS.slice(Math.min(from, to ?? from), Math.max(from, to ?? from) + 1)) found.add(block)
  }
  if (words.length === 0) return BLOCKS
  return BLOCKS.filter((block) => found.has(block) !== not)
}

/** The blocks that a tool takes what is in no block for; nothing for what it leaves as it is. */
export interface Followers {
  /** True where the VAE goes with BASE. */
  readonly vae: boolean
  /** The block of `time_embed` and `label_emb`. */
  readonly embeddings: string | undefined
  /** The block of the last layers. */
  readonly out: string | undefined
}

/** supermerger at first, for Stable Diffusion 1 and 2. */
export const FOLLOWERS: Followers = { vae: true, embeddings: 'IN00', out: 'OUT11' }

/** Names below which the tensors of some blocks are, with what follows them. */
const pathsOf = (blocks: readonly string[], { vae, embeddings, out }: Followers): readonly string[] => {
  const numbers = (stem: string): readonly number[] =>
    blocks.flatMap((b) => (b.startsWith(stem) ? [Number(b.slice(stem.length))] : []))
  const group = (path: string, list: readonly number[]): readonly string[] =>
    list.length === 0 ? [] : [`${path}.${list.length === 1 ? list[0]! : `{${ranges(list)}}`}`]
  const [ins, outs] = [numbers('IN'), numbers('OUT')]
  return [
    ...(blocks.includes('BASE') ? ['cond_stage_model', 'conditioner'] : []),
    ...(blocks.includes('BASE') && vae ? ['first_stage_model'] : []),
    ...(blocks.includes(embeddings ?? '') ? ['time_embed', 'label_emb'] : []),
    ...group('input_blocks', ins),
    ...(blocks.includes('M00') ? ['middle_block'] : []),
    ...group('output_blocks', outs),
    ...(blocks.includes(out ?? '') ? ['out'] : []),
  ]
}

/** Numbers in braces: `0..4` for a run, else one by one. */
const ranges = (list: readonly number[]): string =>
  list.length > 2 && (list.at(-1) ?? 0) - (list[0] ?? 0) === list.length - 1
    ? `${list[0]!}..${list.at(-1)!}`
    : list.join(',')

const escape = (text: string): string => text.replace(/[[\]{}?!*@+()|\\]/g, (c) => `[${c}]`)

/** The pattern of the tensors of some blocks whose names contain a text; of all of them where it is empty. */
export const blockPattern = (blocks: readonly string[], element: string, followers = FOLLOWERS): string =>
  blocks.length === BLOCKS.length && followers.vae
    ? patternBelow([], element)
    : patternBelow(pathsOf(blocks, followers), element)

/** The pattern of the tensors below some names that contain a text; of all tensors where there are no names. */
export const patternBelow = (paths: readonly string[], element: string): string => {
  const [first, ...rest] = element.split('.').map(escape)
  const tail =
    element === ''
      ? ''
      : rest.length === 0
        ? `*${first!}*`
        : [`*${first!}`, ...rest.slice(0, -1), `${rest.at(-1)!}*`].join('.')
  if (paths.length === 0) return tail === '' ? '*' : `**.${tail}`
  const stem = paths.length === 1 ? paths[0]! : `{${paths.join(',')}}`
  return `**.${stem}${tail === '' ? '' : `.**.${tail}`}`
}

/** One entry of elemental merge. */
export interface Elemental {
  readonly patterns: readonly string[]
  readonly ratio: number
}

/** Reads an entry `BLOCKS:ELEMENTS:RATIO`. */
export const readElemental = (entry: string, followers = FOLLOWERS): Elemental | { readonly why: string } => {
  const [blocks, elements, ratio, ...rest] = entry.split(':')
  const number = Number(ratio)
  if (rest.length > 0 || ratio === undefined || ratio.trim() === '' || !Number.isFinite(number))
    return { why: a1111Lacks.elemental }
  const found = readBlocks(blocks!)
  if ('why' in found) return found
  const words = elements!
    .trim()
    .split(/[\s,]+/)
    .filter((w) => w !== '')
  if (words[0]?.toUpperCase() === 'NOT') return { why: a1111Lacks.elements }
  return {
    patterns: (words.length === 0 ? [''] : words).map((word) => blockPattern(found, word, followers)),
    ratio: number,
  }
}

/** Numbers per layer with the entries of elemental merge behind them, each as 1 − ratio or as it is. */
export const withElemental = (base: Yaml, entries: readonly Elemental[], share: boolean): Yaml => {
  if (entries.length === 0) return base
  const rules = new Map<string, Yaml>(
    typeof base === 'number'
      ? [['default', base]]
      : base instanceof Map
        ? [...(base as ReadonlyMap<string, Yaml>)]
        : (Object.entries(base as object) as [string, Yaml][]),
  )
  for (const { patterns, ratio } of entries)
    for (const pattern of patterns) {
      // A pattern that comes again has its place at the end.
      rules.delete(pattern)
      rules.set(pattern, share ? oneMinus(ratio) : ratio)
    }
  return rules
}
