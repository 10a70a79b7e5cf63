import { unusedParam, zeroRescale } from '../../base/catalogue/operators.js'
import type { Diagnostic } from '../../base/diagnostic.js'
import { least } from '../../base/lists.js'
import { countOf, type EqualMagnitudes, type Mask, type Tensor } from '../../graph/expression.js'
import type { Graph } from '../../graph/graph.js'
import { ranks } from '../../kernels/solvers/ranks.js'
import { sizeOf } from '../../tensor/info.js'
import { defineOperator, type Subject } from '../define.js'
import { MEMBERS, type Member } from '../family-members.js'
import { EACH, mergeSpecs, type Rescale } from '../family-params.js'
import type { Operator } from '../operator.js'
import { model, models } from '../params.js'
import { proportionsOf, weightSumProblem } from '../weight-sum.js'

/** Sums of |δ| below this are too small to scale by. */
const LEAST_NORM = 1e-7
/** Of uniform numbers, which are multiples of this, none but 0 is below it: what is kept with less is not divided. */
const LEAST_PROBABILITY = 2 ** -24
/** The step between float32 numbers just above 1. */
const STEP = 2 ** -23

/** A model of the list. A member without one of the parameters keeps every difference whole. */
interface Share {
  readonly x: Tensor
  readonly weight: number
  readonly density?: number
  readonly kept?: Mask | undefined
  /** The share of the largest numbers that is dropped as well. */
  readonly gamma?: number
  /** How far the probability of being kept differs by rank. */
  readonly epsilon?: number
  readonly q?: number
}

/** The parameters of a merge for one tensor; members that do not offer a choice leave it out. */
interface Settings {
  readonly normalize: boolean | 'false' | 'true' | 'kept'
  readonly lambda: number
  readonly rescale?: Rescale | 'q'
  readonly scope?: 'tensor' | 'model'
  readonly equal?: EqualMagnitudes
  readonly elect?: 'sum' | 'count'
  readonly undecided?: 'plus' | 'none' | 'majority'
}

/** What every part of a merge is told. */
interface Merge {
  readonly g: Graph
  readonly member: Member
  readonly settings: Settings
  readonly subject: Subject
}

/** What one model adds, and where it keeps its difference. */
interface Entry {
  readonly e: Tensor
  readonly kept: Mask
  readonly weight: number
}

/**
 * Neither among the `gamma` share of largest numbers nor among the smallest; where both do not fit, fewer of the
 * largest are dropped.
 */
const between = (g: Graph, delta: Tensor, density: number, gamma: number, { shape }: Subject): Mask => {
  const n = sizeOf(shape)
  const kept = countOf(density, n)
  const largest = Math.min(countOf(gamma, n), n - kept)
  return g.and(g.top(delta, (largest + kept) / n), g.not(g.top(delta, largest / n)))
}

/**
 * The probability with which each number is kept, which grows with the rank of its magnitude within its row: everything
 * of one output.
 */
const probabilityOf = (g: Graph, delta: Tensor, { density = 1, epsilon = 0 }: Share, { shape }: Subject): Tensor => {
  const width = shape.length < 2 ? sizeOf(shape) : sizeOf(shape.slice(1))
  if (width < 2 || epsilon === 0) return g.fill(density)
  const rank = g.solve(ranks, [{ x: delta, shape }], [], shape)
  return g.min(g.max(g.add(g.mul(rank, (2 * epsilon) / (width - 1)), density - epsilon), 0), 1)
}

/** Where one model's difference is kept. `draw` is the model's place in the list. */
const keptOf = ({ g, member, settings, subject }: Merge, delta: Tensor, share: Share, draw: number): Mask => {
  const { density = 1, gamma = 0, kept } = share
  if (density >= 1) return g.constant(true)
  switch (member.sparsify) {
    case 'none':
      return g.constant(true)
    case 'magnitude': {
      const over = settings.scope === 'model' ? subject.whole(`trim-${draw}`) : undefined
      return g.top(delta, density, over, settings.equal)
    }
    case 'random':
      return kept ?? g.bernoulli(density, subject.stream(draw))
    case 'ranked':
      return kept ?? g.compare('less', g.uniform(subject.stream(draw)), probabilityOf(g, delta, share, subject))
    case 'outliers':
      return between(g, delta, density, gamma, subject)
  }
}

/** The kept part of a difference, with what was dropped compensated for. */
const compensate = ({ g, member, settings, subject }: Merge, delta: Tensor, kept: Mask, share: Share): Tensor => {
  const { density = 1, q = 1 } = share
  const rest = g.choose(kept, delta, 0)
  if (density >= 1 || density <= 0) return rest
  switch (settings.rescale ?? 'off') {
    case 'off':
      return rest
    case 'density':
      return member.sparsify === 'ranked'
        ? g.div(rest, g.max(probabilityOf(g, delta, share, subject), LEAST_PROBABILITY))
        : g.div(rest, density)
    case 'q':
      return g.div(rest, q)
    case 'l1': {
      const [before, after] = [g.sum(g.abs(delta)), g.sum(g.abs(rest))]
      return g.mul(rest, g.ifLess(g.min(before, after), LEAST_NORM, 1, g.div(before, after)))
    }
  }
}

const add = (g: Graph, tensors: readonly Tensor[]): Tensor => tensors.reduce((x, y) => g.add(x, y), g.fill(0))

/** Divides by the weights that count at each parameter. Where none does, the change is 0, whatever it is divided by. */
const divideByCounted = (
  g: Graph,
  change: Tensor,
  counted: readonly { readonly where: Mask; readonly weight: number }[],
): Tensor => {
  const total = add(
    g,
    counted.map(({ where, weight }) => g.choose(where, weight, 0)),
  )
  const weights = counted.map(({ weight }) => weight)
  const lightest = least(weights)
  // Of 0 and -0 a processor may take either for the greater.
  if (lightest > 0) return g.div(change, g.abs(g.max(total, lightest)))
  // Some of the weights may cancel, up to the rounding of their sum.
  const rounding = STEP * weights.length * weights.reduce((size, w) => size + Math.abs(w), 0)
  return g.div(change, g.choose(g.compare('less', g.abs(total), rounding), 1, total))
}

/** The sign that each parameter elects; 0 for none. */
const electSigns = ({ g, settings, subject }: Merge, entries: readonly Entry[], sum: Tensor): Tensor => {
  const votes =
    settings.elect === 'count'
      ? add(
          g,
          entries.map(({ e }) => g.sign(e)),
        )
      : sum
  if (settings.undecided === 'none') return g.sign(votes)
  if (settings.undecided !== 'majority') return g.choose(g.compare('greater-equal', votes, 0), 1, -1)
  const majority = g.sign(g.sum(g.sign(votes), subject.whole('majority')))
  return g.choose(g.compare('equal', votes, 0), majority, g.sign(votes))
}

/** The entries of the elected sign, added up or averaged. */
const addAgreeing = (merge: Merge, entries: readonly Entry[], sum: Tensor): Tensor => {
  const { g } = merge
  const sign = electSigns(merge, entries, sum)
  // An entry times the sign is its magnitude where it agrees, and negative where it does not.
  const agreeing = entries.map(({ e, weight }) => ({ magnitude: g.max(g.mul(e, sign), 0), weight }))
  const magnitudes = add(
    g,
    agreeing.map(({ magnitude }) => magnitude),
  )
  // No magnitude is negative, but of 0 and -0 a processor may take either for the greater.
  const change = g.mul(g.abs(magnitudes), sign)
  return isNormalized(merge)
    ? divideByCounted(
        g,
        change,
        agreeing.map(({ magnitude, weight }) => ({ where: g.compare('greater', magnitude, 0), weight })),
      )
    : change
}

const isNormalized = ({ settings }: Merge): boolean => String(settings.normalize) !== 'false'

/** What is wrong with `q`, where models have one. */
const rescaleProblem = ({ settings, subject }: Merge, present: readonly Share[]): Diagnostic | undefined => {
  const uses = settings.rescale === 'q'
  if (!uses && present.some(({ q = 1 }) => q !== 1)) subject.warn(unusedParam(subject.at('models'), 'q', 'rescale: q'))
  return uses && present.some(({ q }) => q === 0) ? zeroRescale(subject.at('models'), subject.name) : undefined
}

/** `base + lambda·Σe/D` over the entries that agree with the elected sign, where signs are elected. */
const combine = (merge: Merge, base: Tensor, shares: readonly Share[]): Tensor | Diagnostic => {
  const { g, member, settings, subject } = merge
  const present = shares.map((share, draw) => ({ share, draw })).filter(({ share }) => share.weight !== 0)
  if (settings.lambda === 0 || present.length === 0) return base
  const problem = rescaleProblem(
    merge,
    present.map(({ share }) => share),
  )
  if (problem !== undefined) return problem
  const given = present.map(({ share }) => share.weight)
  const { weights, sum: divisor } = isNormalized(merge) ? proportionsOf(given) : { weights: given, sum: 1 }
  const entries = present.map(({ share, draw }, i): Entry => {
    const delta = g.sub(share.x, base)
    const kept = keptOf(merge, delta, share, draw)
    return { e: g.mul(compensate(merge, delta, kept, share), weights[i]!), kept, weight: weights[i]! }
  })
  const sum = add(
    g,
    entries.map(({ e }) => e),
  )
  const land = (change: Tensor): Tensor => g.add(base, g.mul(change, settings.lambda))
  if (member.consensus) return land(addAgreeing(merge, entries, sum))
  if (settings.normalize === 'kept')
    return land(
      divideByCounted(
        g,
        sum,
        entries.map(({ kept, weight }) => ({ where: kept, weight })),
      ),
    )
  return weightSumProblem(subject, divisor) ?? land(g.div(sum, divisor))
}

const RULES =
  'With `δᵢ = xᵢ − base`, the result is `base + lambda·Σ wᵢ·trim(δᵢ)`, divided by `Σ wᵢ` with `normalize`. A density of 1 leaves a difference unchanged, and 0 adds nothing; a model of weight 0 is not read.'
const ELECTION =
  'For each parameter a sign is elected (by default that of `Σ wᵢ·trim(δᵢ)`, 0 counting as +), and only entries of that sign are added; `normalize` then divides by the weights of these entries, unless they cancel.'

const define = (member: Member): Operator =>
  defineOperator({
    id: member.id,
    aliases: member.aliases,
    version: 2,
    summary: member.summary,
    details: [member.details, '', RULES, ...(member.consensus ? [ELECTION] : [])].join('\n'),
    source: member.source,
    output: 'model',
    inputs: {
      base: model('The model that the others were trained from.'),
      models: models('The models whose differences to `base` are added.', EACH[member.sparsify]),
    },
    params: mergeSpecs(member),
    merges: true,
    exact: true,
    draws: member.sparsify === 'random' || member.sparsify === 'ranked',
    examples: member.examples,
    build: (g, { base, models }, settings, subject) => combine({ g, member, settings, subject }, base, models),
  })

/** The operators that add differences to a base: one builder, one table. */
export const family: readonly Operator[] = MEMBERS.map(define)
