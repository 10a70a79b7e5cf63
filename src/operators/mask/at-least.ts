import { tooFewMasks } from '../../base/catalogue/operators.js'
import { failed } from '../../base/result.js'
import type { Mask } from '../../graph/expression.js'
import type { Graph } from '../../graph/graph.js'
import { masksOf, valueOf } from '../call-arguments.js'
import type { Operator } from '../operator.js'
import { integer, masks } from '../params.js'
import { constantOf } from '../settle-tensor.js'
import { ABSENT, joinMasks } from './algebra.js'

/** Constants are counted beforehand: where they decide, nothing is read. */
const decide = (known: readonly (boolean | undefined)[], k: number): boolean | undefined => {
  const open = known.filter((x) => x === undefined).length
  const needed = k - known.filter((x) => x === true).length
  return needed <= 0 || needed > open ? needed <= 0 : undefined
}

const atLeastOf = (g: Graph, all: readonly Mask[], k: number): Mask => {
  const open = all.filter((mask) => mask.type !== 'constant')
  const needed = k - all.filter((mask) => mask.type === 'constant' && mask.value).length
  const decided = decide(all.map(constantOf), k)
  if (decided !== undefined) return g.constant(decided)
  return g.compare('greater-equal', open.map((mask) => g.choose(mask, 1, 0)).reduce(g.add), needed)
}

/** True where at least `k` masks are. */
export const atLeast: Operator = {
  id: 'mask.at_least',
  aliases: [
    { name: 'Consensus Merging', from: 'arXiv 2405.07813', settings: '`k` is the weight-pruning threshold' },
    { name: 'consensus', from: 'tall_masks, the authors’ code', settings: '`k` is `prun_thre_k`' },
  ],
  version: 1,
  summary: 'True where at least `k` of the masks are true.',
  details: [
    `\`k: 1\` is the union, and as many as there are masks the intersection. ${ABSENT}`,
    'Consensus Merging of the paper: a `mask.tall` for each model, this operator over them with `k: 2`, and the result as the `mask` of `merge.task_arithmetic` or `merge.ties`. What fewer than `k` models use is not added to the base.',
  ].join('\n'),
  source:
    'Wang et al. 2024, “Localizing Task Information for Improved Model Merging and Compression”, arXiv 2405.07813',
  output: 'mask',
  inputs: { masks: masks('The masks, in any order.') },
  params: {
    k: integer({ required: true, min: 1, description: 'How many of the masks have to be true.' }),
  },
  merges: false,
  exact: true,
  draws: false,
  examples: [
    {
      inputs: {
        masks: [
          [true, true, false],
          [true, false, true],
          [true, true, false],
        ],
      },
      params: { k: 2 },
      expect: [true, true, false],
    },
  ],
  evaluate: (call) => {
    const [k, count] = [valueOf(call, 'k') as number, masksOf(call, 'masks').length]
    return k > count
      ? failed(tooFewMasks(call.at('k'), k, count))
      : joinMasks(
          call,
          (g, all) => atLeastOf(g, all, k),
          (known) => decide(known, k),
        )
  },
}
