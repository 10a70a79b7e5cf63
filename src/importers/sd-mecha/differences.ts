import { mechaLacks, mechaSays } from '../../base/catalogue/import-sd-mecha.js'
import type { Yaml } from '../../document/write.js'
import type { DraftBuilder } from '../draft.js'
import type { Field } from '../importer.js'
import { AS_KEEP } from './numbers.js'

/** A difference: a step that holds it, made when it is needed, or an operator that adds it in one step. */
export interface Delta {
  readonly type: 'delta'
  readonly name: () => string
  /** The step that adds it to a model; undefined where that takes a `model.add`. */
  readonly addTo: (model: string, strength: Yaml, extra: readonly Field[]) => string | undefined
  /** The models it is the difference of. */
  readonly of?: { readonly model: string; readonly base: string }
}

/** The difference of two models. */
export const subtraction = (draft: DraftBuilder, a: string, b: string): Delta => ({
  type: 'delta',
  of: { model: a, base: b },
  name: () =>
    draft.step(`${a}_minus_${b}`, 'model.subtract', [
      ['a', a],
      ['b', b],
    ]),
  addTo: (model, strength, more) =>
    draft.step('add_difference', 'merge.add_difference', [
      ['a', model],
      ['b', a],
      ['c', b],
      ['strength', strength],
      ...more,
    ]),
})

/** Shares by which each parameter of a difference is added, which smelt computes together with the addition. */
export interface Mask {
  readonly type: 'mask'
  readonly a: string
  readonly b: string
  readonly c: string
  readonly strength: Yaml
  /** The method of `merge.train_difference`; undefined for its default. */
  readonly method: string | undefined
}

/** Methods that make masks, and those of `merge.train_difference` that use them. */
export const MASKS: ReadonlyMap<string, string | undefined> = new Map([
  ['train_difference_mask', undefined],
  ['add_opposite_mask', 'opposite'],
  ['add_strict_opposite_mask', 'strict_opposite'],
])

/** The step that adds a difference by a mask; undefined where the mask is of other models. */
export const addByMask = (
  draft: DraftBuilder,
  { a, b, c, strength, method }: Mask,
  to: string,
  delta: Delta,
  more: readonly Field[],
): string | undefined =>
  to === a && delta.of?.model === b && delta.of.base === c
    ? draft.step('train_difference', 'merge.train_difference', [
        ['a', a],
        ['b', b],
        ['c', c],
        ['strength', strength],
        ...(method === undefined ? [] : [['method', method] as const]),
        ...more,
      ])
    : undefined

/** A method that makes one difference of several, as it is called. */
export interface DeltaCall {
  readonly method: string
  readonly line: number
  /** True for the format 0.1 and later. */
  readonly typed: boolean
  readonly deltas: readonly Delta[]
  has(name: string): boolean
  /** A number by its name; undefined, once told, where it is none. */
  plain(name: string, fallback: number): number | undefined
  miss(why: string): undefined
}

/** The difference that a method makes; undefined, once told, where smelt cannot say it. */
export const mergeDeltas = (draft: DraftBuilder, call: DeltaCall): Delta | undefined => {
  const { method, line, typed, deltas, plain, miss } = call
  const pairs = deltas.flatMap((d) => (d.of === undefined ? [] : [d.of]))
  const [pair] = pairs
  if (pair === undefined || pairs.length < deltas.length || pairs.some((p) => p.base !== pair.base))
    return miss(mechaLacks.oneBase)
  const { base } = pair
  const models = pairs.map((p) => p.model)
  /** A difference that an operator makes together with adding it to a model. */
  const fused = (to: string, make: (strength: Yaml, more: readonly Field[]) => string): Delta => ({
    type: 'delta',
    name: () => subtraction(draft, make(1, []), to).name(),
    addTo: (model, strength, more) => (model === to ? make(strength, more) : undefined),
  })
  switch (method) {
    case 'perpendicular_component': {
      const [first, second] = models
      if (first === undefined || second === undefined || models.length > 2) return miss(mechaLacks.oneBase)
      return fused(first, (strength, more) =>
        draft.step('add_perpendicular', 'merge.perpendicular', [
          ['a', first],
          ['b', second],
          ['base', base],
          ['strength', strength],
          ...more,
        ]),
      )
    }
    case 'ties_sum': {
      const [vote, k] = [plain('vote_sgn', 0), plain('k', typed ? 1 : 0.2)]
      if (vote === undefined || k === undefined) return undefined
      if (k !== 1) draft.note(`line ${line}`, mechaSays.topK)
      if (!call.has('k')) draft.note(`line ${line}`, mechaSays.densityDefault(k))
      // Up to 0.0 a vote by signs was asked for by 1, since then by `false`.
      const byCount = typed ? vote === 0 : vote !== 0
      return fused(base, (lambda, more) =>
        draft.step('add_difference_ties', 'merge.ties', [
          ['base', base],
          ['models', models.map((m) => ({ model: m, density: k }))],
          ['lambda', lambda],
          ['elect', byCount ? 'count' : 'sum'],
          ['undecided', 'none'],
          ['equal', 'all'],
          ...more,
        ]),
      )
    }
    case 'ties_sum_with_dropout': {
      const [probability, vote, k] = [plain('probability', 0.9), plain('vote_sgn', 0), plain('k', 0.2)]
      // One version has `no_rescale`, the others `rescale`.
      const rescale = call.has('no_rescale') ? plain('no_rescale', 0) === 0 : plain('rescale', 1) !== 0
      const [stock, median, spread] = [plain('apply_stock', 0), plain('apply_median', 0), plain('della_eps', 0)]
      if (probability === undefined || vote === undefined) return undefined
      // Its `apply_stock` leaves Model Stock out where it is true.
      if (!typed || k !== 1 || stock === 0 || median !== 0 || spread !== 0) return miss(mechaLacks.tiesDropout)
      draft.note(`line ${line}`, mechaSays.draws)
      return fused(base, (lambda, more) =>
        draft.step('add_ties_with_dare', 'merge.dare_ties', [
          ['base', base],
          ['models', models.map((m) => ({ model: m, density: AS_KEEP.of(probability) }))],
          ['lambda', lambda],
          ['elect', vote === 0 ? 'count' : 'sum'],
          ['undecided', 'none'],
          ['normalize', true],
          ['rescale', rescale ? 'density' : 'off'],
          ...more,
        ]),
      )
    }
    case 'dropout': {
      const [probability, rescale] = [plain('probability', 0.9), plain('rescale', 1)]
      const [overlap, emphasis] = [plain('overlap', 1), plain('overlap_emphasis', 0)]
      if (probability === undefined || rescale === undefined) return undefined
      if (overlap !== 1 || emphasis !== 0 || (rescale !== 0 && rescale !== 1)) return miss(mechaLacks.dropout)
      draft.note(`line ${line}`, mechaSays.draws)
      return fused(base, (lambda, more) =>
        draft.step('add_difference_dare', 'merge.dare_linear', [
          ['base', base],
          ['models', models.map((m) => ({ model: m, density: AS_KEEP.of(probability) }))],
          ['lambda', lambda],
          ['normalize', 'kept'],
          ['rescale', rescale === 1 ? 'density' : 'off'],
          ...more,
        ]),
      )
    }
    default:
      draft.note(`line ${line}`, mechaSays.kernels)
      return fused(base, (strength, more) => {
        const stock = draft.step(method, 'merge.model_stock', [
          ['base', base],
          ['models', models],
          ['over', 'row'],
          ['pairs', 'consecutive'],
          ...more,
        ])
        return strength === 1 ? stock : (subtraction(draft, stock, base).addTo(base, strength, more) ?? stock)
      })
  }
}

/** Methods that {@link mergeDeltas} knows. */
export const DELTA_METHODS: ReadonlySet<string> = new Set([
  'perpendicular_component',
  'ties_sum',
  'ties_sum_with_dropout',
  'dropout',
  'model_stock',
  'model_stock_for_tensor',
])
