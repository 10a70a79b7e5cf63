import { a1111Lacks, a1111Says } from '../../base/catalogue/import-a1111.js'
import type { Yaml } from '../../document/write.js'
import type { DraftBuilder } from '../draft.js'
import type { Field } from '../importer.js'
import { oneMinus } from '../numbers.js'
import {
  blockPattern,
  blockWeights,
  FOLLOWERS,
  isBlockList,
  readBlocks,
  readElemental,
  whyNot,
  withElemental,
  type Elemental,
  type Followers,
} from './blocks.js'

/** The recipe of one merge, as the tool wrote it. */
export type Merge = Readonly<Record<string, unknown>>

/** What a merge is made with: the models by its hashes, and a way to tell what cannot be said. */
export interface MergeContext {
  readonly draft: DraftBuilder
  /** Where the merge stands, for messages. */
  readonly where: string
  /** The name of a model or of the step that makes it; undefined, once told, where there is none. */
  readonly model: (hash: unknown, key: string) => string | undefined
  /** The models that the metadata tells of, by hash. */
  readonly known: Readonly<Record<string, unknown>>
  readonly miss: (what: string, why: string) => undefined
}

/** Tensors that only the first model has stay. */
export const KEEP: Field = ['missing', 'keep']
/** Of an inpainting model, the first layer has other channels. */
const MISMATCH: Field = ['mismatch', 'keep']

/** A finite number, also as a text; undefined for anything else. */
export const numberOf = (value: unknown): number | undefined => {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  return typeof number === 'number' && Number.isFinite(number) ? number : undefined
}

/** A text; empty for anything else. */
export const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')

/** What calculations with one model leave. */
export const SELF = ['**.*to_out*', '**.*proj_out*', '**.*norm*']

/** A number of which 0 stands for 1: the extensions leave what they would multiply by 0. */
export const orOne = (x: number): number => (x === 0 ? 1 : x)

/** A regular expression for the start of names, or for a part of them, as a layer pattern. */
const patternOf = (regex: string): string | undefined => {
  const [, anchor, body] = /^(\^?)((?:[\w-]|\\\.|\.)+)$/.exec(regex) ?? []
  if (body === undefined) return undefined
  const text = body.replaceAll('\\.', '.').replace(/\.$/, '')
  return anchor === '^' ? text : blockPattern(readBlocks('') as readonly string[], text)
}

/** Steps behind a merge of the web UI: another VAE, and tensors that are left out. */
const finish = ({ draft, miss, where }: MergeContext, merge: Merge, from: string): string => {
  const [vae, discard] = [textOf(merge['bake_in_vae']), textOf(merge['discard_weights'])]
  let name = from
  if (vae !== '' && vae !== 'None') {
    const model = draft.model({ path: vae, folder: 'models/VAE', where })
    const parts = draft.step('vae', 'model.select', [
      ['model', model],
      ['layers', ['*', ...['loss', 'model_ema'].map((name): Yaml => ({ match: `!${name}`, optional: true }))]],
    ])
    const placed = draft.step('placed_vae', 'model.rename', [
      ['model', parts],
      ['add_root', 'first_stage_model'],
    ])
    name = draft.step('with_vae', 'model.combine', [
      ['models', [placed, name]],
      ['overlap', 'first'],
    ])
  }
  if (discard !== '') {
    const patterns = discard.split('|').map(patternOf)
    if (patterns.some((p) => p === undefined)) miss(`\`discard_weights: ${discard}\``, a1111Lacks.discard)
    else
      name = draft.step('pruned', 'model.select', [
        ['model', name],
        ['layers', ['*', ...patterns.map((p): Yaml => ({ match: `!${p!}`, optional: true }))]],
      ])
  }
  return name
}

/** A merge of the web UI's own tab. */
export const mergeWebui = (context: MergeContext, merge: Merge): string | undefined => {
  const { draft, model, miss, where } = context
  const method = textOf(merge['interp_method'])
  const a = model(merge['primary_model_hash'], 'primary_model_hash')
  if (a === undefined) return undefined
  if (method === 'No interpolation' || method === '') return finish(context, merge, a)
  const b = model(merge['secondary_model_hash'], 'secondary_model_hash')
  const multiplier = numberOf(merge['multiplier'])
  if (multiplier === undefined) return miss('`multiplier`', a1111Lacks.number('multiplier'))
  if (b === undefined) return undefined
  const odd = merge['is_inpainting'] === true || merge['is_instruct_pix2pix'] === true
  if (odd) draft.note(where, a1111Says.inpainting)
  const ends: readonly Field[] = odd ? [KEEP, MISMATCH] : [KEEP]
  if (method === 'Weighted sum')
    return finish(
      context,
      merge,
      draft.step('weighted_sum', 'merge.blend', [
        ['a', a],
        ['b', b],
        ['keep', oneMinus(multiplier), a1111Says.keepMultiplier],
        ...ends,
      ]),
    )
  if (method !== 'Add difference') return miss(`\`${method}\``, a1111Lacks.method)
  const c = model(merge['tertiary_model_hash'], 'tertiary_model_hash')
  if (c === undefined) return undefined
  return finish(
    context,
    merge,
    draft.step('add_difference', 'merge.add_difference', [
      ['a', a],
      ['b', b],
      ['c', c],
      ['strength', multiplier],
      ...ends,
    ]),
  )
}

/** The block weights of a merge with BASE in front, or its one number; undefined, once told, where it has none. */
const weightsOf = (
  { miss }: MergeContext,
  merge: Merge,
  name: 'alpha' | 'beta',
): number | readonly number[] | undefined => {
  const base = numberOf(merge[`base_${name}`])
  if (base === undefined) return miss(`\`base_${name}\``, a1111Lacks.number(`base_${name}`))
  const list = merge[`weights_${name}`]
  if (merge['mbw'] !== true || !Array.isArray(list)) return base
  const numbers = list.map(numberOf)
  if (numbers.some((n) => n === undefined)) return miss(`\`weights_${name}\``, a1111Lacks.number(`weights_${name}`))
  const all = [base, ...(numbers as number[])]
  if (isXlList(all)) return [...all.slice(0, 20), base]
  return isBlockList(all) ? all : miss(`\`weights_${name}\``, a1111Lacks.blockCount(all.length))
}

type Weights = number | readonly number[]

/** True for block weights of SDXL, whose VAE takes the number of BASE whatever stands last. */
const isXlList = (weights: Weights): boolean =>
  typeof weights !== 'number' && (weights.length === 20 || weights.length === 21)

/** What supermerger takes for which block, and what it leaves as the first model has it. */
interface Layout {
  readonly followers: Followers
  readonly never: readonly string[]
}

/** Tensors with another ending than `weight` and `bias`, which later versions leave. */
const OTHER_ENDINGS = ['**.positional_embedding', '**.text_projection', '**.logit_scale']

/** The layout of a version: later ones know SDXL, and write whether layers are included or excluded. */
const layoutOf = ({ draft, where }: MergeContext, merge: Merge, a: string, alpha: Weights): Layout => {
  if (!['Off', 'Include', 'Exclude'].some((key) => key in merge)) return { followers: FOLLOWERS, never: [] }
  const names = draft.facts(a)?.tensors
  const isThere = (pattern: string): boolean =>
    names === undefined || names.some((name) => name.endsWith(pattern.replace('**', '')))
  const isXl =
    typeof alpha === 'number' ? names?.some((name) => name.startsWith('conditioner.embedders.1.')) : isXlList(alpha)
  if (isXl === undefined) draft.note(where, a1111Says.embeddingsXl)
  const never = OTHER_ENDINGS.filter(isThere)
  return isXl === true
    ? {
        followers: { vae: true, embeddings: undefined, out: 'OUT08' },
        never: [...never, '**.time_embed', '**.label_emb'],
      }
    : { followers: { vae: true, embeddings: 'OUT11', out: 'OUT11' }, never }
}

const write = (weights: Weights, of: (x: number) => number, { embeddings }: Followers): Yaml =>
  typeof weights === 'number'
    ? of(weights)
    : embeddings === 'OUT11'
      ? new Map<string, Yaml>([
          ['mbw', weights.map(of)],
          ['**.time_embed', of(weights.at(-1)!)],
        ])
      : blockWeights(weights, of)

const rounded = (x: number): number => Number(x.toFixed(12))

/** Two weights, block by block. */
const both = (x: Weights, y: Weights, of: (x: number, y: number) => number): Weights => {
  if (typeof x === 'number' && typeof y === 'number') return rounded(of(x, y))
  const [xs, ys] =
    typeof x === 'number'
      ? [(y as readonly number[]).map(() => x), y as readonly number[]]
      : [x, typeof y === 'number' ? x.map(() => y) : y]
  return xs.map((v, i) => rounded(of(v, ys[i] ?? 0)))
}

type Share = (alpha: number, beta: number) => number

/** The shares of the first two models of three; that of the third is beta. */
const SHARES: Readonly<Record<'sum Twice' | 'Triple sum', readonly [Share, Share]>> = {
  'sum Twice': [(x, y) => (1 - x) * (1 - y), (x, y) => x * (1 - y)],
  'Triple sum': [(x, y) => 1 - x - y, (x) => x],
}

/** What `Include` and `Exclude` leave to be merged, as `layers`. */
const layersOf = (
  { draft, miss, where }: MergeContext,
  merge: Merge,
  { followers, never }: Layout,
): readonly Field[] | undefined => {
  const mode = ['Include', 'Exclude'].find((key) => Array.isArray(merge[key]))
  const words = (mode === undefined ? [] : (merge[mode] as readonly unknown[]))
    .map(textOf)
    .flatMap((w) => w.split(/[\s,]+/))
    .filter((w) => w !== '')
  const rule = (pattern: string, isIn: boolean): Yaml => ({ match: isIn ? pattern : `!${pattern}`, optional: true })
  const left = never.map((pattern) => rule(pattern, false))
  if (words.length === 0) return left.length === 0 ? [] : [['layers', ['*', ...left], a1111Says.left]]
  const isBlock = (word: string): boolean => /^(BASE|IN\d\d|M00|OUT\d\d)/i.test(word)
  const blocks: (readonly string[])[] = []
  for (const word of words.filter(isBlock)) {
    const found = readBlocks(word)
    if ('why' in found) return miss(`\`${mode!}\``, found.why)
    blocks.push(found)
  }
  if (words.includes('Adjust')) return miss('`Adjust`', a1111Lacks.adjust)
  const elements = words.filter((word) => !isBlock(word))
  if (elements.length > 1) draft.note(where, a1111Says.namedTwice)
  const [everything, isIn] = [readBlocks('') as readonly string[], mode === 'Include']
  const elementPattern = (of: readonly string[], word: string): string =>
    word !== 'VAE' ? blockPattern(of, word, followers) : 'first_stage_model'
  const both = blocks.flatMap((block) =>
    elements.filter((word) => word !== 'VAE' || block.includes('BASE')).map((word) => elementPattern(block, word)),
  )
  const named = [
    ...blocks.map((block) => blockPattern(block, '', followers)),
    ...elements.map((word) => elementPattern(everything, word)),
  ]
  return [
    [
      'layers',
      [
        ...(isIn ? [] : ['*']),
        ...named.map((pattern) => rule(pattern, isIn)),
        // What is named twice is not named to supermerger.
        ...both.map((pattern) => rule(pattern, !isIn)),
        ...left,
      ],
      isIn ? a1111Says.included : a1111Says.excluded,
    ],
  ]
}

const elementalOf = ({ miss }: MergeContext, merge: Merge, followers: Followers): readonly Elemental[] | undefined => {
  const given = merge['elemental_merge']
  const texts = (Array.isArray(given) ? given.map(textOf) : textOf(given).split(/[\r\n,]/)).map((t) => t.trim())
  const entries: Elemental[] = []
  for (const text of texts.filter((t) => t !== '')) {
    const entry = readElemental(text, followers)
    if ('why' in entry) return miss(`\`${text}\``, entry.why)
    entries.push(entry)
  }
  return entries
}

/** A merge of supermerger. */
export const mergeSupermerger = (context: MergeContext, merge: Merge): string | undefined => {
  const { draft, model, miss, where } = context
  const written = textOf(merge['mode']).split(':')[0]!.trim()
  // What supermerger writes where it changed the mode by itself, for a calculation that needs it.
  const mode = written === 'Add' ? 'Add difference' : written
  const calcmode = textOf(merge['calcmode']) || 'normal'
  const [a, b] = [model(merge['model_a'], 'model_a'), model(merge['model_b'], 'model_b')]
  const alpha = weightsOf(context, merge, 'alpha')
  if (a === undefined || b === undefined || alpha === undefined) return undefined
  const { followers, never } = layoutOf(context, merge, a, alpha)
  const layout: Layout = { followers, never: calcmode === 'self' ? [...never, ...SELF] : never }
  const [layers, entries] = [layersOf(context, merge, layout), elementalOf(context, merge, followers)]
  if (layers === undefined || entries === undefined) return undefined
  draft.note(where, a1111Says.structure)
  if (entries.length > 0 && typeof alpha !== 'number' && alpha.length < 26) draft.note(where, a1111Says.elementsXl)
  const third = (): string | undefined => model(merge['model_c'], 'model_c')
  const beta = (): Weights | undefined => weightsOf(context, merge, 'beta')
  const ends: readonly Field[] = [...layers, KEEP]
  const said = entries.length > 0 ? a1111Says.elements : typeof alpha === 'number' ? a1111Says.keep : a1111Says.blocks
  const keep: Field = ['keep', withElemental(write(alpha, oneMinus, followers), entries, true), said]
  const strength: Field = [
    'strength',
    withElemental(
      write(alpha, (x) => x, followers),
      entries,
      false,
    ),
    ...(typeof alpha === 'number' ? ([] as const) : ([a1111Says.blockStrength] as const)),
  ] as unknown as Field
  const only = (wanted: string): boolean =>
    mode === wanted ? true : (miss(`\`calcmode: ${calcmode}\``, a1111Lacks.calcmodeFor(wanted)) ?? false)
  switch (calcmode) {
    case 'normal':
      break
    case 'trainDifference': {
      const c = third()
      if (c === undefined || !only('Add difference')) return undefined
      return draft.step('train_difference', 'merge.train_difference', [['a', a], ['b', b], ['c', c], strength, ...ends])
    }
    case 'tensor':
    case 'tensor2': {
      const offset = beta()
      if (offset === undefined || !only('Weight sum')) return undefined
      draft.note(where, calcmode === 'tensor' ? a1111Says.tensor : a1111Says.tensor2)
      return draft.step(calcmode, 'merge.tensor_sum', [
        ['a', a],
        ['b', b],
        [
          'width',
          withElemental(
            write(alpha, (x) => x, followers),
            entries,
            false,
          ),
        ],
        ['offset', write(offset, (x) => x, followers)],
        ...(calcmode === 'tensor2' ? ([['along', 'columns']] as const) : []),
        ...ends,
      ])
    }
    case 'self': {
      const factors = entries.map((entry) => ({ ...entry, ratio: orOne(entry.ratio) }))
      return draft.step('self', 'model.scale', [
        ['model', a],
        ['factor', withElemental(write(alpha, orOne, followers), factors, false), a1111Says.self],
        ...layers,
      ])
    }
    default:
      return miss(`\`calcmode: ${calcmode}\``, whyNot(calcmode))
  }
  switch (mode) {
    case 'Weight sum':
      return draft.step('weight_sum', 'merge.blend', [['a', a], ['b', b], keep, ...ends])
    case 'Add difference': {
      const c = third()
      return c === undefined
        ? undefined
        : draft.step('add_difference', 'merge.add_difference', [['a', a], ['b', b], ['c', c], strength, ...ends])
    }
    case 'sum Twice':
    case 'Triple sum': {
      const [c, second] = [third(), beta()]
      if (c === undefined || second === undefined) return undefined
      if (entries.length > 0 && typeof second !== 'number') return miss('`elemental_merge`', a1111Lacks.elementsBeta)
      const weigh = (share: Share): Yaml => {
        const rules = typeof second !== 'number' ? [] : entries
        return withElemental(
          write(both(alpha, second, share), (x) => x, followers),
          rules.map((entry) => ({ ...entry, ratio: rounded(share(entry.ratio, second as number)) })),
          false,
        )
      }
      const [first, other] = SHARES[mode]
      return draft.step(mode === 'sum Twice' ? 'sum_twice' : 'triple_sum', 'merge.linear', [
        [
          'models',
          [
            { model: a, weight: weigh(first) },
            { model: b, weight: weigh(other) },
            { model: c, weight: write(second, (x) => x, followers) },
          ],
        ],
        ['normalize', false],
        ...ends,
      ])
    }
    default:
      return miss(`\`mode: ${mode}\``, a1111Lacks.method)
  }
}
