import { a1111Lacks, a1111Says } from '../../base/catalogue/import-a1111.js'
import type { Yaml } from '../../document/write.js'
import type { Field } from '../importer.js'
import { BLOCKS, blockPatterns, blockWeights, FLUX_BLOCKS, FOLLOWERS, patternBelow, type Followers } from './blocks.js'
import { textOf, type Merge, type MergeContext } from './context.js'
import { readElemental, selecting, type Elemental } from './elements.js'

/** One number, or numbers of blocks with BASE in front. */
export type Weights = number | readonly number[]

/** True for block weights of SDXL, whose VAE takes the number of BASE whatever stands last. */
export const isXlList = (weights: Weights): boolean =>
  typeof weights !== 'number' && (weights.length === 20 || weights.length === 21)

/** What supermerger takes for which block, and what it leaves as the first model has it. */
export interface Layout {
  readonly followers: Followers
  readonly never: readonly string[]
  /** True for a pattern that selects something, as far as the tensors of the first model are known. */
  readonly selects: (pattern: string) => boolean
  readonly names: readonly string[] | undefined
}

/** Tensors with another ending than `weight` and `bias`, which later versions leave. */
const OTHER_ENDINGS = ['**.positional_embedding', '**.text_projection', '**.logit_scale']
/** What they leave of Flux. */
const FLUX_LEFT = ['**.scale', '**.vae']
const XL_LEFT = ['**.time_embed', '**.label_emb']

/** The network of a merge: by the number of block weights, else by the tensors of the first model. */
const networkOf = (names: readonly string[] | undefined, alpha: Weights): 'flux' | 'xl' | 'sd' | undefined => {
  if (isXlList(alpha)) return 'xl'
  if (typeof alpha !== 'number') return alpha.length === FLUX_BLOCKS ? 'flux' : 'sd'
  if (names === undefined) return undefined
  if (names.some((name) => name.includes('double_blocks.'))) return 'flux'
  return names.some((name) => name.startsWith('conditioner.embedders.1.')) ? 'xl' : 'sd'
}

/** The layout of a version: later ones know SDXL, and write whether layers are included or excluded. */
export const layoutOf = ({ draft, where }: MergeContext, merge: Merge, a: string, alpha: Weights): Layout => {
  const names = draft.facts(a)?.tensors
  const selects = selecting(names)
  const of = (followers: Followers, never: readonly string[]): Layout => ({
    followers,
    never: never.filter(selects),
    selects,
    names,
  })
  if (!['Off', 'Include', 'Exclude'].some((key) => key in merge)) return of(FOLLOWERS, [])
  const network = networkOf(names, alpha)
  if (network === 'flux') return of({ vae: false, embeddings: undefined, out: undefined }, FLUX_LEFT)
  if (network === 'xl') return of({ vae: true, embeddings: undefined, out: 'OUT08' }, [...OTHER_ENDINGS, ...XL_LEFT])
  if (network === undefined) draft.note(where, a1111Says.otherNetworks)
  return of({ vae: true, embeddings: 'OUT11', out: 'OUT11' }, OTHER_ENDINGS)
}

/** What can be ticked under Include and Exclude; what else is there was typed. */
const TICKED: ReadonlySet<string> = new Set([...BLOCKS, 'VAE', 'Adjust', 'print'])

/** The words that are there an odd number of times: supermerger turns its answer over for each. */
const odd = (words: readonly string[]): readonly string[] =>
  [...new Set(words)].filter((word) => words.filter((w) => w === word).length % 2 === 1)

/** What `Include` and `Exclude` leave to be merged, as `layers`. */
export const layersOf = (
  { draft, miss, where }: MergeContext,
  merge: Merge,
  { followers, never, names }: Layout,
): readonly Field[] | undefined => {
  const mode = ['Include', 'Exclude'].find((key) => Array.isArray(merge[key]))
  const words = (mode === undefined ? [] : (merge[mode] as readonly unknown[])).map(textOf).filter((w) => w !== '')
  const rule = (pattern: string, isIn: boolean): Yaml => ({ match: isIn ? pattern : `!${pattern}`, optional: true })
  const left = never.map((pattern) => rule(pattern, false))
  if (words.length === 0) return left.length === 0 ? [] : [['layers', ['*', ...left], a1111Says.left]]
  if (words.includes('Adjust')) return miss('`Adjust`', a1111Lacks.adjust)
  const typed = words.filter((word) => !TICKED.has(word))
  for (const word of typed.filter((w) => /\s/.test(w))) draft.note(where, a1111Says.elementWithBlank(word))
  const elements = odd(typed.filter((word) => !/\s/.test(word)))
  const isTwice = (name: string): boolean => elements.filter((word) => name.includes(word)).length > 1
  if (elements.length > 1 && names?.some(isTwice) !== false) draft.note(where, a1111Says.namedTwice)
  const blocks = BLOCKS.filter((block) => words.includes(block))
  const isIn = mode === 'Include'
  // The VAE is ticked by itself and, where it goes with BASE, with that.
  const byBase = blocks.includes('BASE') && followers.vae
  const vae = words.includes('VAE') === byBase ? [] : ['first_stage_model']
  const others = { ...followers, vae: false }
  const named = [...blockPatterns(blocks, '', others), ...vae, ...elements.map((word) => patternBelow([], word))]
  const twice = elements.flatMap((word) => [
    ...blockPatterns(blocks, word, others),
    ...(vae.length === 0 ? [] : [patternBelow(vae, word)]),
  ])
  return [
    [
      'layers',
      [
        // Without anything named, `Include` leaves nothing; rules that only take away begin with everything.
        ...(isIn ? (named.length === 0 ? [rule('*', false)] : []) : ['*']),
        ...named.map((pattern) => rule(pattern, isIn)),
        // What is named twice is not named to supermerger.
        ...twice.map((pattern) => rule(pattern, !isIn)),
        ...left,
      ],
      isIn ? a1111Says.included : a1111Says.excluded,
    ],
  ]
}

/** The entries of elemental merge, those left out that select nothing; undefined, once told, where one cannot be said. */
export const elementalOf = (
  { draft, miss, where }: MergeContext,
  merge: Merge,
  { followers, selects }: Layout,
): readonly Elemental[] | undefined => {
  const given = merge['elemental_merge']
  const texts = Array.isArray(given) ? given.map(textOf) : textOf(given).split(/[\r\n,]/)
  const entries: Elemental[] = []
  for (const text of texts.filter((t) => t.trim() !== '')) {
    const entry = readElemental(text, followers)
    if (entry === undefined) {
      draft.note(where, a1111Says.passedOver(text.trim()))
      continue
    }
    if ('why' in entry) return miss(`\`${text.trim()}\``, entry.why)
    if (entry.note !== undefined) draft.note(where, entry.note)
    entries.push({ ...entry, patterns: entry.patterns.filter(selects) })
  }
  return entries
}

/** Weights as a step takes them, each made into its number by `of`. */
export const writeWeights = (weights: Weights, of: (x: number) => number, { embeddings }: Followers): Yaml =>
  typeof weights === 'number'
    ? of(weights)
    : embeddings === 'OUT11' && weights.length !== FLUX_BLOCKS
      ? new Map<string, Yaml>([
          ['mbw', weights.map(of)],
          ['**.time_embed', of(weights.at(-1)!)],
        ])
      : blockWeights(weights, of)
