import { choice, flag, ownMask, perLayer } from './params.js'

/** How a member of the family drops part of each difference. */
export type Sparsify = 'none' | 'magnitude' | 'random' | 'ranked' | 'outliers'
/** How the dropped part of a difference is compensated; `q` only where parts are dropped at random. */
export type Rescale = keyof typeof RESCALE

const RESCALE = {
  off: 'leaves the kept part as it is',
  density: 'divides it by `density`, as the DARE paper does',
  l1: 'scales it to the Σ|δ| from before, as recent mergekit does',
} as const

const RESCALE_RANKED = {
  ...RESCALE,
  density: 'divides each number by the probability with which it was kept, as the DELLA paper does',
} as const

const RESCALE_RANDOM = { ...RESCALE, q: 'divides it by the `q` of its model, as DAREx does' } as const

const COMPENSATION = 'How the dropped part of a difference is compensated.'

const SCOPE = {
  tensor: 'each tensor keeps its own largest',
  model: 'the largest of the whole model are kept, wherever they are, as in the TIES paper',
} as const

const EQUAL = {
  first:
    'those of the lowest index, so that exactly `⌊density·n⌋` numbers are kept, as many as in mergekit, which keeps at least one of each tensor',
  all: 'all, as in the TIES of MergeLM and sd-mecha',
  none: 'none, as in the magnitude masks of MergeLM',
} as const

const ELECT = {
  sum: 'the sign of their sum, as in the TIES paper and mergekit',
  count: 'the sign that more of them have, whatever their size, as in sd-mecha unless `vote_sgn` is set',
} as const

const UNDECIDED = {
  plus: '+, as in mergekit',
  none: 'neither, so that nothing is added there, as in sd-mecha',
  majority: 'the sign that most parameters of the whole model elect, as in MergeLM and the code of the TIES paper',
} as const

const NORMALIZE = {
  false: 'nothing',
  true: 'the sum of the weights',
  kept: 'at each parameter, the weights of the models that keep it, unless they cancel, as in `dropout` of sd-mecha',
} as const

type PerLayer = ReturnType<typeof perLayer<{ readonly default: number; readonly description: string }>>
type ChoiceOf<C extends Readonly<Record<string, string>>> = ReturnType<typeof choice<C, keyof C & string>>

const WEIGHT = perLayer({ default: 1, description: 'How much of this model’s difference is added; may be negative.' })
const KEPT = ownMask(
  'A mask to use in place of random draws: true where the difference is kept. It must cover every tensor that is merged. For repeating a merge made elsewhere.',
)
const GAMMA = perLayer({
  default: 0.01,
  min: 0,
  max: 1,
  description: 'The share of this model’s difference that is dropped for being the largest.',
})
const EPSILON = perLayer({
  default: 0.15,
  min: 0,
  max: 1,
  description:
    'How far the probability of keeping a number goes down and up: the smallest of a row is kept with probability `density − epsilon`, the largest with `density + epsilon`, each limited to 0 … 1.',
})
const Q = perLayer({
  default: 1,
  min: 0,
  description:
    'What `rescale: q` divides the kept part of this model’s difference by; the DAREx paper tunes it between `density` and 1.',
})
const density = (fallback: number): PerLayer =>
  perLayer({
    default: fallback,
    min: 0,
    max: 1,
    description:
      'The share of this model’s difference that is kept. Elsewhere the number is often “drop rate” or `p`, which is `1 − density`.',
  })

/** The parameters of each model. A type, since only types fit the index of `models`. */
type EachSpecs = {
  readonly weight: PerLayer
  readonly density?: PerLayer
  readonly kept?: typeof KEPT
  readonly gamma?: PerLayer
  readonly epsilon?: PerLayer
  readonly q?: PerLayer
}

/** The parameters of each model, by how its difference is trimmed. */
export const EACH: Readonly<Record<Sparsify, EachSpecs>> = {
  none: { weight: WEIGHT },
  magnitude: { weight: WEIGHT, density: density(0.2) },
  random: { weight: WEIGHT, density: density(0.1), q: Q, kept: KEPT },
  ranked: { weight: WEIGHT, density: density(0.5), epsilon: EPSILON, kept: KEPT },
  outliers: { weight: WEIGHT, density: density(0.9), gamma: GAMMA },
}

const LAMBDA = perLayer({ default: 1, description: 'Scales the summed difference before it is added to `base`.' })
const SCOPES = choice(SCOPE, 'tensor', 'Where the largest numbers are looked for.')
const EQUALS = choice(EQUAL, 'first', 'Which of several numbers are kept that are equal in size and do not all fit.')
const ELECTION = {
  elect: choice(ELECT, 'sum', 'How a parameter elects its sign from `wᵢ·trim(δᵢ)`.'),
  undecided: choice(UNDECIDED, 'plus', 'The sign of a parameter whose election gives 0.'),
}

/** The parameters of a merge. */
type MergeSpecs = {
  readonly normalize: ReturnType<typeof flag> | ChoiceOf<typeof NORMALIZE>
  readonly lambda: PerLayer
  readonly rescale?: ChoiceOf<typeof RESCALE> | ChoiceOf<typeof RESCALE_RANDOM> | ChoiceOf<typeof RESCALE_RANKED>
  readonly scope?: typeof SCOPES
  readonly equal?: typeof EQUALS
  readonly elect?: (typeof ELECTION)['elect']
  readonly undecided?: (typeof ELECTION)['undecided']
}

/** The parameters of a member's merge, with the defaults of its paper. */
export const mergeSpecs = (member: {
  readonly sparsify: Sparsify
  readonly consensus: boolean
  readonly normalize: boolean
  readonly rescale: Rescale
}): MergeSpecs => {
  const { sparsify, consensus, normalize, rescale } = member
  return {
    normalize:
      consensus || sparsify === 'none'
        ? flag(normalize, 'Divides by the sum of the weights (with an elected sign: of those that agree).')
        : choice(NORMALIZE, normalize ? 'true' : 'false', 'What the sum of the differences is divided by.'),
    lambda: LAMBDA,
    ...(sparsify === 'none'
      ? {}
      : {
          rescale:
            sparsify === 'random'
              ? choice(RESCALE_RANDOM, rescale, COMPENSATION)
              : sparsify === 'ranked'
                ? choice(RESCALE_RANKED, rescale, COMPENSATION)
                : choice(RESCALE, rescale, COMPENSATION),
        }),
    ...(sparsify === 'magnitude' ? { scope: SCOPES, equal: EQUALS } : {}),
    ...(consensus ? ELECTION : {}),
  }
}
