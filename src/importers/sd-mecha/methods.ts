import type { Field } from '../importer.js'

/** A method of which smelt has an operator that takes the same models: their names there, and its numbers. */
export interface Direct {
  readonly op: string
  /** Names of the arguments, in their order. */
  readonly models: readonly string[]
  /** Numbers behind the models: sd-mecha's name, its default, smelt's key, and what is written. */
  readonly numbers: readonly {
    readonly name: string
    readonly fallback: number
    readonly as: string
    readonly keep?: boolean
    /** True where smelt takes a number for each layer. */
    readonly perLayer?: boolean
    /** Left out where it is this. */
    readonly unless?: number
  }[]
  readonly fixed?: readonly Field[]
  /** What differs, if anything: a key of the catalogue. */
  readonly differs?: 'rows'
}

const ALPHA = { name: 'alpha', fallback: 0.5, as: 'keep', keep: true, perLayer: true } as const
const STRENGTH = { name: 'alpha', fallback: 1, as: 'strength', perLayer: true } as const
const pair = (op: string, fixed: readonly Field[] = [], more: Direct['numbers'] = []): Direct => ({
  op,
  models: ['a', 'b'],
  numbers: [ALPHA, ...more],
  fixed,
})
const triple = (op: string, fixed: readonly Field[] = []): Direct => ({
  op,
  models: ['a', 'b', 'c'],
  numbers: [STRENGTH],
  fixed,
})
const slicing = (op: string, width: number): Direct => ({
  op,
  models: ['a', 'b'],
  numbers: [
    { name: 'width', fallback: width, as: 'width', perLayer: true },
    { name: 'offset', fallback: 0, as: 'offset', perLayer: true },
  ],
})

/** Methods over models, by the names of all versions. */
export const DIRECT: ReadonlyMap<string, Direct> = new Map<string, Direct>([
  ['weighted_sum', pair('merge.blend')],
  [
    'slerp',
    pair('merge.blend', [
      ['method', 'slerp'],
      ['norm', 'interpolate'],
      ['vectors', 'slerp'],
    ]),
  ],
  ['geometric_sum', pair('merge.blend', [['method', 'geometric']])],
  ['add_cosine_a', pair('merge.cosine_a')],
  ['add_cosine_b', pair('merge.cosine_b')],
  ['crossover', pair('merge.crossover', [], [{ name: 'tilt', fallback: 0, as: 'tilt', perLayer: true }])],
  ['tensor_sum', slicing('merge.tensor_sum', 0.5)],
  ['top_k_tensor_sum', slicing('merge.top_k_sum', 1)],
  ['train_difference', triple('merge.train_difference')],
  ['add_opposite', triple('merge.train_difference', [['method', 'opposite']])],
  ['clamped_add_opposite', triple('merge.train_difference', [['method', 'strict_opposite']])],
  ['multiply_quotient', triple('merge.multiply_quotient')],
  [
    'rotate',
    {
      op: 'merge.rotate',
      models: ['a', 'b'],
      numbers: [
        { name: 'alignment', fallback: 1, as: 'alignment', perLayer: true },
        { name: 'alpha', fallback: 0, as: 'alpha', perLayer: true },
        { name: 'centralization', fallback: 1, as: 'centralization' },
      ],
      differs: 'rows',
    },
  ],
  ['add_perpendicular', { ...triple('merge.perpendicular'), models: ['a', 'b', 'base'] }],
])

const COMPONENTS: ReadonlyMap<string, string> = new Map([
  ['diffuser', 'component:diffusion'],
  ['unet', 'component:unet'],
  ['clip_l', 'component:clip'],
  ['txt', 'component:clip'],
  ['vae', 'component:vae'],
])

/** Text encoders of models that have several. */
const ENCODERS: readonly (readonly [family: RegExp, layers: Readonly<Record<string, string>>])[] = [
  [/^sdxl/, { clip_l: 'conditioner.embedders.0', clip_g: 'conditioner.embedders.1' }],
  [/^(sd3|flux)/, { clip_l: 'text_encoders.clip_l', clip_g: 'text_encoders.clip_g', t5xxl: 'text_encoders.t5xxl' }],
]

/** The layers of a component by sd-mecha's name, in models of a family; undefined where it has none of that name. */
export const componentOf = (name: string, family: string | undefined): string | undefined => {
  const encoders = ENCODERS.find(([of]) => of.test(family ?? ''))?.[1]
  return encoders?.[name] ?? COMPONENTS.get(name)
}
