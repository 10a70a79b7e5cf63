import { a1111Lacks } from '../../base/catalogue/import-a1111.js'
import type { Yaml } from '../../document/write.js'

/** Names of blocks in the order of supermerger: those of Stable Diffusion 1, of which XL has a part. */
export const BLOCKS: readonly string[] = [
  'BASE',
  ...Array.from({ length: 12 }, (_, i) => `IN${String(i).padStart(2, '0')}`),
  'M00',
  ...Array.from({ length: 12 }, (_, i) => `OUT${String(i).padStart(2, '0')}`),
]

/** Why a calculation cannot be said. */
export const whyNot = (calcmode: string): string => WHY.find(([of]) => of.test(calcmode))?.[1] ?? a1111Lacks.calcmode

const WHY: readonly (readonly [RegExp, string])[] = [
  [/^cosine[ab]$/i, a1111Lacks.cosine],
  [/cosine/i, a1111Lacks.mixerCosine],
  [/^rebasin/i, a1111Lacks.rebasin],
  [/^extract/i, a1111Lacks.extract],
  [/^smoothadd/i, a1111Lacks.smoothAdd],
]

/** The number of block weights of Flux. */
export const FLUX_BLOCKS = 61

/** Lengths of lists of block weights that smelt knows, BASE and all. */
const LENGTHS: ReadonlySet<number> = new Set([20, 21, 26, FLUX_BLOCKS])

/** True for a list of block weights that smelt knows. */
export const isBlockList = (list: readonly number[]): boolean => LENGTHS.has(list.length) && list.every(Number.isFinite)

/** A list of block weights as numbers per layer, changed by `of`. */
export const blockWeights = (list: readonly number[], of: (x: number) => number): Yaml => ({ mbw: list.map(of) })

/** Blocks that a text of Model Mixer names: `IN00-IN04 M00`, after `NOT` all others; all where it names none. */
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

/** Where the tensors of a block are: below a name, all of which begins every tensor's whole name. */
interface Place {
  readonly path: string
  readonly head: string
}

const UNET = 'model.diffusion_model'

/** Where the tensors of some blocks are, with what follows them. */
const placesOf = (blocks: readonly string[], { vae, embeddings, out }: Followers): readonly Place[] => {
  const numbered = (stem: string, path: string): readonly string[] =>
    blocks.flatMap((b) => (b.startsWith(stem) ? [`${path}.${Number(b.slice(stem.length))}`] : []))
  const outside = [
    ...(blocks.includes('BASE') ? ['cond_stage_model', 'conditioner'] : []),
    ...(blocks.includes('BASE') && vae ? ['first_stage_model'] : []),
  ]
  const inside = [
    ...(blocks.includes(embeddings ?? '') ? ['time_embed', 'label_emb'] : []),
    ...numbered('IN', 'input_blocks'),
    ...(blocks.includes('M00') ? ['middle_block'] : []),
    ...numbered('OUT', 'output_blocks'),
    ...(blocks.includes(out ?? '') ? ['out'] : []),
  ]
  return [
    ...outside.map((path) => ({ path, head: `${path}.` })),
    ...inside.map((path) => ({ path, head: `${UNET}.${path}.` })),
  ]
}

/** Paths with those of one kind of block together: `input_blocks.{0..2}`. */
const together = (places: readonly Place[]): readonly string[] => {
  const groups = new Map<string, number[]>()
  for (const { path } of places) {
    const [stem, number] = path.split('.')
    groups.set(stem!, [...(groups.get(stem!) ?? []), ...(number === undefined ? [] : [Number(number)])])
  }
  return [...groups].map(([stem, list]) =>
    list.length === 0 ? stem : `${stem}.${list.length === 1 ? list[0]! : `{${ranges(list)}}`}`,
  )
}

/** Numbers in braces: `0..4` for a run, else one by one. */
const ranges = (list: readonly number[]): string =>
  list.length > 2 && (list.at(-1) ?? 0) - (list[0] ?? 0) === list.length - 1
    ? `${list[0]!}..${list.at(-1)!}`
    : list.join(',')

const escape = (text: string): string => text.replace(/[[\]{}?!*@+()|\\]/g, (c) => `[${c}]`)

/**
 * Patterns of the tensors of some blocks whose whole names contain a text; of all tensors of theirs where it is empty.
 * None where there are no blocks.
 */
export const blockPatterns = (blocks: readonly string[], element: string, followers = FOLLOWERS): readonly string[] => {
  if (blocks.length === BLOCKS.length && followers.vae) return [patternBelow([], element)]
  const places = placesOf(blocks, followers)
  if (places.length === 0) return []
  if (element === '') return [patternBelow(together(places), '')]
  // What names a block is in the names of all of its tensors.
  const [whole, parts] = [true, false].map((is) => places.filter(({ head }) => head.includes(element) === is))
  const across = parts!.flatMap(({ path, head }) =>
    Array.from({ length: element.length - 1 }, (_, i) => i + 1)
      .filter((length) => head.endsWith(element.slice(0, length)))
      .map((length) => `${patternBelow([path], '')}.${escape(element.slice(length))}*`),
  )
  return [
    ...(whole!.length === 0 ? [] : [patternBelow(together(whole!), '')]),
    ...(parts!.length === 0 ? [] : [patternBelow(together(parts!), element)]),
    ...across,
  ]
}

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
