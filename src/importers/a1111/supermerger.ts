import { a1111Lacks, a1111Says } from '../../base/catalogue/import-a1111.js'
import type { Yaml } from '../../document/write.js'
import type { Field } from '../importer.js'
import { oneMinus } from '../numbers.js'
import { isBlockList, whyNot } from './blocks.js'
import { KEEP, numberOf, orOne, SELF, textOf, type Merge, type MergeContext } from './context.js'
import { withElemental } from './elements.js'
import { elementalOf, isXlList, layersOf, layoutOf, writeWeights, type Layout, type Weights } from './layout.js'

/** The block weights of a merge with BASE in front, or its one number; undefined, once told, where it has none. */
const weightsOf = (
  { miss }: MergeContext,
  merge: Merge,
  name: 'alpha' | 'beta',
): number | readonly number[] | undefined => {
  const base = numberOf(merge[`base_${name}`])
  if (base === undefined) return miss(`\`base_${name}\``, a1111Lacks.number(`base_${name}`))
  const list = merge[`weights_${name}`]
  if (merge['mbw'] !== true || list === undefined || list === null) return base
  const numbers = [list].flat().map(numberOf)
  if (numbers.some((n) => n === undefined)) return miss(`\`weights_${name}\``, a1111Lacks.number(`weights_${name}`))
  const all = [base, ...(numbers as number[])]
  if (isXlList(all)) return [...all.slice(0, 20), base]
  return isBlockList(all) ? all : miss(`\`weights_${name}\``, a1111Lacks.blockCount(all.length))
}

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
  const found = layoutOf(context, merge, a, alpha)
  const { followers, never } = found
  const layout: Layout = { ...found, never: calcmode === 'self' ? [...never, ...SELF] : never }
  const [layers, entries] = [layersOf(context, merge, layout), elementalOf(context, merge, layout)]
  if (layers === undefined || entries === undefined) return undefined
  draft.note(where, a1111Says.structure)
  if (entries.length > 0 && typeof alpha !== 'number' && alpha.length < 26) draft.note(where, a1111Says.elementsXl)
  const third = (): string | undefined => model(merge['model_c'], 'model_c')
  const beta = (): Weights | undefined => weightsOf(context, merge, 'beta')
  const ends: readonly Field[] = [...layers, KEEP]
  const said = entries.length > 0 ? a1111Says.elements : typeof alpha === 'number' ? a1111Says.keep : a1111Says.blocks
  const keep: Field = ['keep', withElemental(writeWeights(alpha, oneMinus, followers), entries, true), said]
  const strength: Field = [
    'strength',
    withElemental(
      writeWeights(alpha, (x) => x, followers),
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
            writeWeights(alpha, (x) => x, followers),
            entries,
            false,
          ),
        ],
        ['offset', writeWeights(offset, (x) => x, followers)],
        ...(calcmode === 'tensor2' ? ([['along', 'columns']] as const) : []),
        ...ends,
      ])
    }
    case 'self': {
      const factors = entries.map((entry) => ({ ...entry, ratio: orOne(entry.ratio) }))
      return draft.step('self', 'model.scale', [
        ['model', a],
        ['factor', withElemental(writeWeights(alpha, orOne, followers), factors, false), a1111Says.self],
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
          writeWeights(both(alpha, second, share), (x) => x, followers),
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
            { model: c, weight: writeWeights(second, (x) => x, followers) },
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
