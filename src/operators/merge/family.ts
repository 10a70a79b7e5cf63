import { least } from '../../base/lists.js'
import { countOf, type Mask, type Tensor } from '../../graph/expression.js'
import type { Graph } from '../../graph/graph.js'
import { sizeOf } from '../../tensor/info.js'
import { DELTA_ALIASES } from '../delta-aliases.js'
import { defineOperator, type Example, type Subject } from '../define.js'
import type { Diagnostic } from '../../base/diagnostic.js'
import type { Operator } from '../operator.js'
import { choice, flag, model, models, ownMask, perLayer } from '../params.js'
import { proportionsOf, weightSumProblem } from '../weight-sum.js'

/**
 * How members of the family differ: what is dropped of each delta, whether signs are elected, and the defaults of their
 * papers.
 */
interface Member {
  readonly id: string
  readonly summary: string
  readonly details: string
  readonly source: string
  readonly sparsify: 'none' | 'magnitude' | 'random' | 'outliers'
  readonly consensus: boolean
  readonly normalize: boolean
  readonly rescale: Rescale
  readonly examples: readonly Example[]
}

type Rescale = keyof typeof RESCALE

const RESCALE = {
  off: 'leaves the kept part as it is',
  density: 'divides it by `density`, as the DARE paper does',
  l1: 'scales it to the Σ|δ| from before, as recent mergekit does',
} as const

const SCOPE = {
  tensor: 'each tensor keeps its own largest',
  model: 'the largest of the whole model are kept, wherever they are, as in the TIES paper',
} as const

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
const density = (fallback: number) =>
  perLayer({
    default: fallback,
    min: 0,
    max: 1,
    description:
      'The share of this model’s difference that is kept. Elsewhere the number is often “drop rate” or `p`, which is `1 − density`.',
  })

/** Sums of |δ| below this are too small to scale by. */
const LEAST_NORM = 1e-7
/** The step between float32 numbers just above 1. */
const STEP = 2 ** -23

/** A model of the list, as every member of the family reads it. */
interface Share {
  readonly x: Tensor
  readonly weight: number
  readonly density: number
  readonly kept: Mask | undefined
  /** The share of the largest numbers that is dropped as well. */
  readonly gamma: number
}

/** The parameters of a merge for one tensor; members without one of them pass what stands for its absence. */
interface Settings {
  readonly normalize: boolean
  readonly lambda: number
  readonly rescale: Rescale
  readonly scope: keyof typeof SCOPE
}

/**
 * Neither among the `gamma` share of largest numbers nor among the smallest; where both do not fit, fewer of the
 * largest are dropped.
 */
const between = (g: Graph, delta: Tensor, { density, gamma }: Share, { shape }: Subject): Mask => {
  const n = sizeOf(shape)
  const kept = countOf(density, n)
  const largest = Math.min(countOf(gamma, n), n - kept)
  return g.and(g.top(delta, (largest + kept) / n), g.not(g.top(delta, largest / n)))
}

/** What is kept of one model's difference, rescaled. `draw` is the model's place in the list. */
const trim = (
  g: Graph,
  delta: Tensor,
  share: Share,
  draw: number,
  member: Member,
  { rescale, scope }: Settings,
  subject: Subject,
): Tensor => {
  if (member.sparsify === 'none' || share.density >= 1) return delta
  const mask =
    member.sparsify === 'outliers'
      ? between(g, delta, share, subject)
      : member.sparsify === 'magnitude'
        ? g.top(delta, share.density, scope === 'model' ? subject.whole(`trim-${draw}`) : undefined)
        : (share.kept ?? g.bernoulli(share.density, subject.stream(draw)))
  const kept = g.choose(mask, delta, 0)
  if (rescale === 'off' || share.density <= 0) return kept
  if (rescale === 'density') return g.div(kept, share.density)
  const [before, after] = [g.sum(g.abs(delta)), g.sum(g.abs(kept))]
  return g.mul(kept, g.ifLess(g.min(before, after), LEAST_NORM, 1, g.div(before, after)))
}

/** `base + lambda·Σe/D` over the entries that agree with the elected sign, where signs are elected. */
const combine = (
  g: Graph,
  base: Tensor,
  shares: readonly Share[],
  member: Member,
  params: Settings,
  subject: Subject,
): Tensor | Diagnostic => {
  const present = shares.map((share, draw) => ({ share, draw })).filter(({ share }) => share.weight !== 0)
  if (params.lambda === 0 || present.length === 0) return base
  const given = present.map(({ share }) => share.weight)
  const { weights, sum: divisor } = params.normalize ? proportionsOf(given) : { weights: given, sum: 1 }
  const entries = present.map(({ share, draw }, i) => {
    const trimmed = trim(g, g.sub(share.x, base), share, draw, member, params, subject)
    return { e: g.mul(trimmed, weights[i]!), weight: weights[i]! }
  })
  const add = (tensors: readonly Tensor[]): Tensor => tensors.reduce((x, y) => g.add(x, y), g.fill(0))
  const sum = add(entries.map(({ e }) => e))
  const land = (change: Tensor): Tensor => g.add(base, g.mul(change, params.lambda))
  if (!member.consensus) {
    return weightSumProblem(subject.at('models'), subject.name, divisor) ?? land(g.div(sum, divisor))
  }
  const sign = g.choose(g.compare('greater-equal', sum, 0), 1, -1)
  // An entry times the sign is its magnitude where it agrees, and negative where it does not.
  const agreeing = entries.map(({ e, weight }) => ({ magnitude: g.max(g.mul(e, sign), 0), weight }))
  // No magnitude is negative, but of 0 and -0 a processor may take either for the greater.
  const change = g.mul(g.abs(add(agreeing.map(({ magnitude }) => magnitude))), sign)
  if (!params.normalize) return land(change)
  const total = add(agreeing.map(({ magnitude, weight }) => g.choose(g.compare('greater', magnitude, 0), weight, 0)))
  // Where nothing agrees the change is 0, whatever it is divided by.
  const lightest = least(weights)
  if (lightest > 0) return land(g.div(change, g.max(total, lightest)))
  // Some of the weights may cancel, up to the rounding of their sum.
  const rounding = STEP * weights.length * weights.reduce((size, w) => size + Math.abs(w), 0)
  return land(g.div(change, g.choose(g.compare('less', g.abs(total), rounding), 1, total)))
}

const BASE = model('The model that the others were trained from.')
const LIST = 'The models whose differences to `base` are added.'
const LAMBDA = perLayer({ default: 1, description: 'Scales the summed difference before it is added to `base`.' })

const normalizeParam = (fallback: boolean) =>
  flag(fallback, 'Divides by the sum of the weights (with an elected sign: of those that agree).')
const rescaleParam = (fallback: Rescale) =>
  choice(RESCALE, fallback, 'How the dropped part of a difference is compensated.')

const define = (member: Member): Operator => {
  const common = {
    id: member.id,
    version: 2,
    summary: member.summary,
    aliases: DELTA_ALIASES[member.id] ?? [],
    details: [member.details, '', RULES, ...(member.consensus ? [ELECTION] : [])].join('\n'),
    source: member.source,
    output: 'model',
    merges: true,
    exact: true,
    draws: member.sparsify === 'random',
    examples: member.examples,
  } as const
  const normalize = normalizeParam(member.normalize)
  switch (member.sparsify) {
    case 'none':
      return defineOperator({
        ...common,
        inputs: { base: BASE, models: models(LIST, { weight: WEIGHT }) },
        params: { normalize, lambda: LAMBDA },
        build: (g, { base, models }, params, subject) =>
          combine(
            g,
            base,
            models.map((m) => ({ ...m, density: 1, kept: undefined, gamma: 0 })),
            member,
            { ...params, rescale: 'off', scope: 'tensor' },
            subject,
          ),
      })
    case 'magnitude':
      return defineOperator({
        ...common,
        inputs: { base: BASE, models: models(LIST, { weight: WEIGHT, density: density(0.2) }) },
        params: {
          normalize,
          lambda: LAMBDA,
          rescale: rescaleParam(member.rescale),
          scope: choice(SCOPE, 'tensor', 'Where the largest numbers are looked for.'),
        },
        build: (g, { base, models }, params, subject) =>
          combine(
            g,
            base,
            models.map((m) => ({ ...m, kept: undefined, gamma: 0 })),
            member,
            params,
            subject,
          ),
      })
    case 'random':
      return defineOperator({
        ...common,
        inputs: { base: BASE, models: models(LIST, { weight: WEIGHT, density: density(0.1), kept: KEPT }) },
        params: { normalize, lambda: LAMBDA, rescale: rescaleParam(member.rescale) },
        build: (g, { base, models }, params, subject) =>
          combine(
            g,
            base,
            models.map((m) => ({ ...m, gamma: 0 })),
            member,
            { ...params, scope: 'tensor' },
            subject,
          ),
      })
    case 'outliers':
      return defineOperator({
        ...common,
        inputs: { base: BASE, models: models(LIST, { weight: WEIGHT, density: density(0.9), gamma: GAMMA }) },
        params: { normalize, lambda: LAMBDA, rescale: rescaleParam(member.rescale) },
        build: (g, { base, models }, params, subject) =>
          combine(
            g,
            base,
            models.map((m) => ({ ...m, kept: undefined })),
            member,
            { ...params, scope: 'tensor' },
            subject,
          ),
      })
  }
}

const RULES =
  'With `δᵢ = xᵢ − base`, the result is `base + lambda·Σ wᵢ·trim(δᵢ)`, divided by `Σ wᵢ` with `normalize`. A density of 1 leaves a difference unchanged, and 0 adds nothing; a model of weight 0 is not read.'
const ELECTION =
  'For each parameter the sign of `Σ wᵢ·trim(δᵢ)` is elected (0 counts as +), and only entries of that sign are added; `normalize` then divides by the weights of these entries, unless they cancel.'

const DARE = 'Yu et al. 2023, “Language Models are Super Mario” (DARE), arXiv 2311.03099'
const TIES = 'Yadav et al. 2023, “TIES-Merging”, arXiv 2306.01708'

const BREADCRUMBS = 'Davari and Belilovsky 2023, “Model Breadcrumbs”, arXiv 2312.06795'
const OUTLIERS =
  'Keeps `⌊density·n⌋` numbers of each difference: those below the `⌊gamma·n⌋` largest and above the rest, which are the smallest. Where `density + gamma` exceeds 1, fewer of the largest are dropped.'

const MEMBERS: readonly Member[] = [
  {
    id: 'merge.task_arithmetic',
    summary: 'Adds what several models learned beyond a common base.',
    details: 'The differences are added as they are: “task vectors”.',
    source: 'Ilharco et al. 2022, “Editing Models with Task Arithmetic”, arXiv 2212.04089',
    sparsify: 'none',
    consensus: false,
    normalize: false,
    rescale: 'off',
    examples: [
      {
        inputs: {
          base: [1, 1],
          models: [
            { model: [2, 1], weight: 1 },
            { model: [1, 3], weight: 0.5 },
          ],
        },
        expect: [2, 2],
      },
    ],
  },
  {
    id: 'merge.ties',
    summary: 'Adds the largest differences of several models where their signs agree.',
    details:
      'Trims every difference to the `density` share of its largest numbers (exactly `⌊density·n⌋`, equal ones by lower index), elects a sign for each parameter, and averages what agrees.',
    source: TIES,
    sparsify: 'magnitude',
    consensus: true,
    normalize: true,
    rescale: 'off',
    examples: [
      {
        inputs: {
          base: [0, 0, 0, 0],
          models: [
            { model: [4, 1, -3, 2], density: 0.5 },
            { model: [2, 5, 6, 1], density: 0.5 },
          ],
        },
        expect: [4, 5, 6, 0],
      },
      {
        title: 'trimmed over the whole model',
        inputs: { base: [0, 0], models: [{ model: [4, 1], density: 0.5 }] },
        params: { scope: 'model' },
        expect: [4, 0],
      },
    ],
  },
  {
    id: 'merge.dare_linear',
    summary: 'Adds random parts of several models’ differences, scaled up.',
    details:
      'Drops each number of a difference with probability `1 − density` and, with `rescale: density`, divides the rest by `density`, so that the expected sum stays.',
    source: DARE,
    sparsify: 'random',
    consensus: false,
    normalize: false,
    rescale: 'density',
    examples: [
      { inputs: { base: [1, 1], models: [{ model: [2, 3], density: 0.5, kept: [true, false] }] }, expect: [3, 1] },
    ],
  },
  {
    id: 'merge.dare_ties',
    summary: 'Like `merge.dare_linear`, with an elected sign for each parameter.',
    details:
      'Drops at random as DARE does, then elects signs as TIES does. (`merge.dare` is the two-model operator of the ComfyUI node pack, with its rules.)',
    source: `${DARE}; ${TIES}`,
    sparsify: 'random',
    consensus: true,
    normalize: false,
    rescale: 'density',
    examples: [
      {
        inputs: {
          base: [0, 0, 0],
          models: [
            { model: [1, 1, 1], density: 0.5, kept: [true, true, false] },
            { model: [2, -3, 4], density: 1 },
          ],
        },
        expect: [4, -3, 4],
      },
    ],
  },
  {
    id: 'merge.breadcrumbs',
    summary: 'Adds what several models learned, without the largest and the smallest differences.',
    details: OUTLIERS,
    source: BREADCRUMBS,
    sparsify: 'outliers',
    consensus: false,
    normalize: false,
    rescale: 'off',
    examples: [
      {
        inputs: { base: [0, 0, 0, 0], models: [{ model: [9, 2, -3, 1], density: 0.5, gamma: 0.25 }] },
        expect: [0, 2, -3, 0],
      },
    ],
  },
  {
    id: 'merge.breadcrumbs_ties',
    summary: 'Like `merge.breadcrumbs`, with an elected sign for each parameter.',
    details: OUTLIERS,
    source: `${BREADCRUMBS}; ${TIES}`,
    sparsify: 'outliers',
    consensus: true,
    normalize: false,
    rescale: 'off',
    examples: [
      {
        inputs: {
          base: [0, 0, 0, 0],
          models: [
            { model: [9, 2, -3, 1], density: 0.5, gamma: 0.25 },
            { model: [1, 1, 1, 1], density: 1 },
          ],
        },
        expect: [1, 3, -3, 1],
      },
    ],
  },
]

/** The operators that add differences to a base: one builder, one table. */
export const family: readonly Operator[] = MEMBERS.map(define)
