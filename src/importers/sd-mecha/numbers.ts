import { mechaLacks } from '../../base/catalogue/import-sd-mecha.js'
import type { Yaml } from '../../document/write.js'
import { oneMinus } from '../numbers.js'

/** Numbers by the names of sd-mecha. */
export type Dict = ReadonlyMap<string, number>

/** A number, or numbers by block of a network. */
export type Numbers =
  | { readonly type: 'number'; readonly value: number }
  | { readonly type: 'blocks'; readonly dict: Dict; readonly fallback: number | undefined }
  | { readonly type: 'keys'; readonly dict: Dict }

/** How a number of sd-mecha becomes one of smelt: as it is, or 1 − it, with what tensors without a number take. */
export interface Direction {
  readonly of: (x: number) => number
  readonly none: number
}

/** A share of the second model, as `keep`. */
export const AS_KEEP: Direction = { of: oneMinus, none: 1 }
/** A number that means the same. */
export const AS_IS: Direction = { of: (x) => x, none: 0 }

const inputs = (n: number): readonly string[] => Array.from({ length: n }, (_, i) => `IN${String(i).padStart(2, '0')}`)
const outputs = (n: number): readonly string[] =>
  Array.from({ length: n }, (_, i) => `OUT${String(i).padStart(2, '0')}`)
const SD1 = ['BASE', ...inputs(12), 'M00', ...outputs(12)]
const SDXL = ['BASE', ...inputs(9), 'M00', ...outputs(9), 'VAE']

/** Block weights of sd-mecha since 0.1: the embeddings of time and labels go with BASE there. */
const byBlock = (dict: Dict, fallback: number | undefined, { of }: Direction): Yaml | string => {
  const isXl = !dict.has('OUT11') && !dict.has('IN11') && (dict.has('VAE') || dict.has('OUT08'))
  const order = isXl ? SDXL : SD1
  const unknown = [...dict.keys()].find((key) => !order.includes(key))
  if (unknown !== undefined) return mechaLacks.blocks
  const values = order.map((block) => dict.get(block) ?? fallback)
  const lacking = values.indexOf(undefined)
  if (lacking !== -1) return mechaLacks.blockMissing(order[lacking]!)
  const list = (values as readonly number[]).map(of)
  return new Map<string, Yaml>([
    ['mbw', list],
    ['block:time', list[0]!],
    ...(isXl ? [['block:label', list[0]!] as const] : []),
  ])
}

const mean = (numbers: readonly number[]): number =>
  Number((numbers.reduce((sum, x) => sum + x, 0) / numbers.length).toFixed(12))

/** Where the blocks of a component are, for the architectures of Stable Diffusion 1 and XL. */
const UNET: readonly (readonly [pattern: RegExp, write: (n: string) => string])[] = [
  [/^in(\d+)$/, (n) => `block:in.${n}`],
  [/^mid$/, () => 'block:mid'],
  [/^out(\d+)$/, (n) => `block:out.${n}`],
]
const ROOTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  sd1: { txt: 'cond_stage_model.transformer.text_model' },
  sdxl: {
    txt: 'conditioner.embedders.0.transformer.text_model',
    txt2: 'conditioner.embedders.1.model',
  },
}

/**
 * Numbers by component and block of sd-mecha 0.0: a tensor takes the mean of the blocks that it belongs to and that
 * have a number, else that of its component, else 0.
 */
const byKey = (dict: Dict, { of, none }: Direction): Yaml | string => {
  const rules = new Map<string, Yaml>([['default', none]])
  const unet: number[] = []
  const later: (readonly [string, number])[] = []
  for (const [key, value] of dict) {
    const [, architecture, component, rest] = /^(sd1|sdxl)_(txt2|txt|unet)_(?:block_)?(\w+)$/.exec(key) ?? []
    if (architecture === undefined) return mechaLacks.blocks
    const root = component === 'unet' ? 'component:unet' : ROOTS[architecture]![component!]
    if (root === undefined) return mechaLacks.blocks
    if (rest === 'default') {
      rules.set(root, of(value))
      continue
    }
    const found = component === 'unet' ? UNET.find(([pattern]) => pattern.test(rest!)) : undefined
    const [, layer] = /^in(\d+)$/.exec(rest!) ?? []
    if (found !== undefined) {
      unet.push(value)
      later.push([found[1](/\d+$/.exec(rest!)?.[0] ?? ''), of(value)])
      // The last layers belong to the last block, as in sd-mecha.
      if (rest === (architecture === 'sd1' ? 'out11' : 'out8')) later.push(['block:final', of(value)])
    } else if (component === 'txt' && layer !== undefined) {
      later.push([`${root}.encoder.layers.${layer}`, of(value)])
      if (layer === '0') later.push([`${root}.embeddings`, of(value)])
    } else return mechaLacks.blocks
  }
  // The embedding of time belongs to every block there.
  if (unet.length > 0) later.unshift(['block:time', of(mean(unet))])
  for (const [pattern, value] of later) rules.set(pattern, value)
  return rules
}

/** Numbers as a step takes them, or, as `why`, why it cannot. */
export const writeNumbers = (
  numbers: Numbers,
  direction: Direction,
): { readonly value: Yaml } | { readonly why: string } => {
  if (numbers.type === 'number') return { value: direction.of(numbers.value) }
  const made =
    numbers.type === 'keys' ? byKey(numbers.dict, direction) : byBlock(numbers.dict, numbers.fallback, direction)
  return typeof made === 'string' ? { why: made } : { value: made }
}
