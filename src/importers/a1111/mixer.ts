import { a1111Lacks, a1111Says } from '../../base/catalogue/import-a1111.js'
import { isObject } from '../../base/is-object.js'
import type { Yaml } from '../../document/write.js'
import type { Field } from '../importer.js'
import { oneMinus } from '../numbers.js'
import { blockPatterns, isBlockList, patternBelow, readBlocks, whyNot, type Followers } from './blocks.js'
import { KEEP, numberOf, orOne, SELF, textOf, type Merge, type MergeContext } from './context.js'

/** Layers that a pattern takes out, if there are any. */
const without = (pattern: string): Yaml => ({ match: `!${pattern}`, optional: true })

/** What Model Mixer leaves as the first model has it. */
const NEVER = ['model_ema']
/** What its later versions leave, too. */
const NEVER_LATER = ['**.logit_scale', '**.text_projection']
/** What it leaves where the numbers are those of blocks. */
const NO_BLOCK = ['component:vae', '**.label_emb']
/** What it leaves where all models are merged by blocks: it takes the middle of the middle block for all of it. */
const NO_MIDDLE = '**.middle_block.{0,2}'
/** Blocks without anything that goes with them. */
const ALONE: Followers = { vae: false, embeddings: undefined, out: undefined }

/** Layers of the U-Net outside of blocks, which go with the last, and their tensors. */
const OUTSIDE = ['time_embed', 'out']
const PARTS = ['0.weight', '0.bias', '2.weight', '2.bias']

/** The pattern of the tensors outside of blocks whose names contain a text; undefined where there are none. */
const outsidePattern = (text: string): string | undefined => {
  const found = OUTSIDE.flatMap((layer) => {
    const names = PARTS.map((part) => `${layer}.${part}`).filter((n) => `model.diffusion_model.${n}`.includes(text))
    return names.length === PARTS.length ? [layer] : names
  })
  return found.length === 0 ? undefined : patternBelow(found, '')
}

const KEYS = 'in out out2 contrast brightness cyan_red magenta_green yellow_blue'.split(' ')

/** The name of a model without folder marks, ending and hash, as Model Mixer refers to it. */
export const bareName = (name: string): string =>
  name
    .replace(/ \[\w+\]$/, '')
    .replace(/\.(safetensors|ckpt)$/i, '')
    .replace(/[/\\]/g, '_')

const listOf = (value: unknown): readonly unknown[] =>
  Array.isArray(value) ? value : value === undefined || value === null ? [] : [value]

/** The entry of a model, where there is a list of them, or what is said of all. */
const entryOf = (value: unknown, i: number): unknown => (Array.isArray(value) ? value[i] : value)

/** The numbers of one model, made into what a step takes by `of`. */
type Numbers = (of: (x: number) => number) => Yaml

/** One model as it is merged in: into `result`, by `numbers`, without the layers in `layers`. */
interface Turn {
  readonly result: string
  readonly other: string
  readonly numbers: Numbers
  readonly layers: readonly string[]
}

const layersOf = (layers: readonly string[]): Field => ['layers', ['*', ...layers.map(without)], a1111Says.mixerLayers]

/** A merge of differences from the result so far, of which a part is kept. */
const sparse =
  (op: string, title: string, part: (numbers: Numbers) => Readonly<Record<string, Yaml>>, rescale?: string) =>
  ({ draft, where }: MergeContext, { result, other, numbers, layers }: Turn): string => {
    draft.note(where, op === 'merge.ties' ? a1111Says.mixerHalf : a1111Says.mixerDraws)
    return draft.step(title, op, [
      ['base', result],
      ['models', [{ model: other, ...part(numbers) }]],
      ...(rescale === undefined ? [] : ([['rescale', rescale]] as const)),
      ['normalize', false],
      layersOf(layers),
      KEEP,
    ])
  }

const asIs = (x: number): number => x
const HALF = (numbers: Numbers): Readonly<Record<string, Yaml>> => ({ weight: numbers(asIs), density: 0.5 })
const FIXED = (numbers: Numbers): Readonly<Record<string, Yaml>> => ({
  weight: 1,
  density: numbers((x) => Math.min(Math.max(x, 0), 1)),
})

const blend = ({ draft }: MergeContext, { result, other, numbers, layers }: Turn): string =>
  draft.step('sum', 'merge.blend', [
    ['a', result],
    ['b', other],
    ['keep', numbers(oneMinus), a1111Says.keep],
    layersOf(layers),
    KEEP,
  ])

/** Modes of Model Mixer, which blend one model after the other into the first. */
const MODES: Readonly<Record<string, (context: MergeContext, turn: Turn) => string>> = {
  Sum: blend,
  'Sum(lerp)': blend,
  DARE: sparse('merge.dare_linear', 'dare', HALF, 'density'),
  'Dare-Fixed': sparse('merge.dare_linear', 'dare', FIXED, 'off'),
  TIES: sparse('merge.ties', 'ties', HALF),
  'Ties-Fixed': sparse('merge.ties', 'ties', FIXED),
  Self: ({ draft }, { result, numbers, layers }) =>
    draft.step('self', 'model.scale', [
      ['model', result],
      ['factor', numbers(orOne), a1111Says.mixerSelf],
      layersOf([...layers, ...SELF]),
    ]),
  Replace: ({ draft }, { result, other, numbers, layers }) => {
    const scaled = draft.step('scaled', 'model.scale', [
      ['model', other],
      ['factor', numbers(orOne)],
    ])
    return draft.step('replaced', 'merge.blend', [
      ['a', result],
      ['b', scaled],
      ['keep', numbers((x) => (x === 0 ? 1 : 0))],
      layersOf([...layers, ...SELF]),
      KEEP,
    ])
  },
}

/** The model that is subtracted: named by later versions, and before the one that the metadata has besides the others. */
const baseOf = (merge: Merge, known: MergeContext['known']): string | undefined => {
  const named = textOf(merge['base_model'])
  if (named !== '') return named
  const used = new Set(
    Object.entries(merge).flatMap(([key, value]) => (/^model_[a-z]$/.test(key) ? [bareName(textOf(value))] : [])),
  )
  const others = Object.values(known).flatMap((entry) =>
    isObject(entry) && typeof entry['name'] === 'string' && !used.has(bareName(entry['name'])) ? [entry['name']] : [],
  )
  return others.length === 1 ? others[0] : undefined
}

/** Rules of elemental merge: later ones win. Without blocks, an entry is for what is outside of them. */
const rulesOf = ({ miss }: MergeContext, text: string): readonly (readonly [string, number])[] | undefined => {
  const rules: (readonly [string, number])[] = []
  for (const entry of text.split(/[,\n]/).map((t) => t.trim())) {
    // What has no two colons, Model Mixer leaves out.
    const [blocks = '', elements = '', ratio = '', ...rest] = entry.split(':').map((t) => t.trim())
    if (entry.split(':').length !== 3 || rest.length > 0) continue
    const number = numberOf(ratio)
    if (number === undefined) return miss(`\`${entry}\``, a1111Lacks.elemental)
    const words = elements.split(/\s+/).filter((w) => w !== '')
    if (words[0]?.toUpperCase() === 'NOT') return miss(`\`${entry}\``, a1111Lacks.elements)
    const found = blocks === '' ? [] : readBlocks(blocks)
    if ('why' in found) return miss(`\`${entry}\``, found.why)
    for (const word of words.length === 0 ? [''] : words) {
      const outside = outsidePattern(word)
      const patterns = blocks !== '' ? blockPatterns(found, word, ALONE) : outside === undefined ? [] : [outside]
      for (const pattern of patterns) rules.push([pattern, number])
    }
  }
  return rules
}

/** The numbers of a model: one, or those of blocks with elemental merge; undefined, once told, where there are none. */
const numbersOf = (context: MergeContext, merge: Merge, i: number, byBlocks: boolean): Numbers | undefined => {
  const { miss } = context
  if (!byBlocks) {
    const alpha = numberOf(listOf(merge['alpha'])[i])
    return alpha === undefined ? miss('`alpha`', a1111Lacks.number('alpha')) : (of) => of(alpha)
  }
  const given = listOf(merge['weights_alpha'] ?? merge['weights_alpha_orig'])[i]
  const list = (Array.isArray(given) ? given : textOf(given).split(',')).map(numberOf)
  if (list.some((x) => x === undefined)) return miss('`weights_alpha`', a1111Lacks.number('weights_alpha'))
  const weights = list as readonly number[]
  if (!isBlockList(weights)) return miss('`weights_alpha`', a1111Lacks.blockCount(weights.length))
  const usesElements = entryOf(merge['use_elemental'], i) === true
  const rules = usesElements ? rulesOf(context, textOf(entryOf(merge['elemental'], i))) : []
  if (rules === undefined) return undefined
  return (of) => {
    const numbers = new Map<string, Yaml>([
      ['mbw', weights.map(of)],
      ['**.time_embed', of(weights.at(-1)!)],
    ])
    for (const [pattern, ratio] of rules) {
      // A pattern that comes again has its place at the end.
      numbers.delete(pattern)
      numbers.set(pattern, of(ratio))
    }
    return numbers
  }
}

/** What “Adjust” changes behind a merge; the merge where it changes nothing. */
const adjusted = ({ draft, miss }: MergeContext, merge: Merge, from: string): string | undefined => {
  const text = textOf(merge['adjust'])
  const numbers = text === '' ? [] : text.split(',').map(numberOf)
  if (numbers.some((x) => x === undefined) || numbers.length > KEYS.length)
    return miss(`\`adjust: ${text}\``, a1111Lacks.number('adjust'))
  const fields = numbers.flatMap((x, i): readonly Field[] => (x === 0 ? [] : [[KEYS[i]!, x!]]))
  return fields.length === 0 ? from : draft.step('adjusted', 'model.adjust', [['model', from], ...fields])
}

/** A merge of Model Mixer: one model after the other is merged into the first. */
export const mergeMixer = (context: MergeContext, merge: Merge): string | undefined => {
  const { draft, model, miss, known } = context
  let result = model(merge['model_a'], 'model_a')
  const keys = Object.keys(merge)
    .filter((key) => /^model_[b-z]$/.test(key))
    .toSorted()
  if (keys.length === 0) return miss('`model_b`', a1111Lacks.noModel)
  const isLater = 'use_mbws' in merge || 'base_model' in merge
  for (const [i, key] of keys.entries()) {
    const other = model(merge[key], key)
    if (result === undefined || other === undefined) return undefined
    const mode = textOf(entryOf(merge['mode'], i)) || 'Sum'
    const calcmode = textOf(entryOf(merge['calcmode'], i)) || 'Normal'
    if (!/^normal$/i.test(calcmode)) return miss(`\`calcmode: ${calcmode}\``, whyNot(calcmode))
    const flag = entryOf(merge['use_mbws'], i) ?? entryOf(merge['mbw'], i)
    // Before `use_mbws`, the weights of a model are a list where blocks are used, and a text where they are not.
    const byBlocks = flag === true || (!('use_mbws' in merge) && Array.isArray(listOf(merge['weights_alpha'])[i]))
    const numbers = numbersOf(context, merge, i, byBlocks)
    if (numbers === undefined) return undefined
    const layers = [
      ...NEVER,
      ...(isLater ? NEVER_LATER : []),
      ...(byBlocks ? NO_BLOCK : []),
      ...(byBlocks && merge['mbw'] === true ? [NO_MIDDLE] : []),
    ]
    const turn = { result, other, numbers, layers }
    if (mode === 'Add-Diff') {
      const base = baseOf(merge, known)
      if (base === undefined) return miss('`mode: Add-Diff`', a1111Lacks.addDiff)
      const c = model(base, 'base_model')
      if (c === undefined) return undefined
      result = draft.step('add_difference', 'merge.add_difference', [
        ['a', result],
        ['b', other],
        ['c', c],
        ['strength', numbers(asIs)],
        layersOf(layers),
        KEEP,
      ])
      continue
    }
    const make = Object.hasOwn(MODES, mode) ? MODES[mode] : undefined
    if (make === undefined) return miss(`\`mode: ${mode}\``, a1111Lacks.method)
    result = make(context, turn)
  }
  return result === undefined ? undefined : adjusted(context, merge, result)
}
