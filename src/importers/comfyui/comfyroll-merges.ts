import { emptyStack, roundedRatios } from '../../base/catalogue/import-comfyui.js'
import { oneMinus } from '../numbers.js'
import { blend } from './core-merges.js'
import type { Lane } from './lanes.js'
import { sources } from './loaders.js'
import type { NodeClass, Stacked, Widget } from './nodes.js'

const ROWS = [1, 2, 3]

/** Rounds to two digits as Python does: what lies in the middle goes to the even one. */
const roundTwo = (x: number): number => {
  const below = Math.floor(x * 100)
  return x * 100 - below === 0.5 ? (below + (below % 2)) / 100 : Number(x.toFixed(2))
}

const stack: NodeClass = {
  links: { model_stack: 'models?' },
  widgets: ROWS.flatMap((i): readonly Widget[] => [
    [`switch_${i}`, 'Off'],
    [`ckpt_name${i}`, 'None'],
    [`model_ratio${i}`, 1],
    [`clip_ratio${i}`, 1],
  ]),
  give: (visit) => {
    const models: Stacked[] = [...visit.models('model_stack')]
    for (const i of ROWS) {
      const name = visit.text(`ckpt_name${i}`)
      if (visit.text(`switch_${i}`) !== 'On' || name === 'None') continue
      const parts = sources(visit, `ckpt_name${i}`, 'checkpoints', ['model', 'clip'], false)
      if ('type' in parts) return parts
      const [model, clip] = parts
      models.push({
        model: model!,
        clip: clip!,
        ratio: visit.number(`model_ratio${i}`),
        clipRatio: visit.number(`clip_ratio${i}`),
      })
    }
    return [{ type: 'models', models }]
  },
}

/** The shares of the models behind the first, as the node rounds and weighs them. */
const sharesOf = (
  models: readonly Stacked[],
  isNormalised: boolean,
  factor: number | undefined,
): readonly (readonly [model: number, clip: number])[] => {
  const [sum, clipSum] = models.reduce(([m, c], { ratio, clipRatio }) => [m + ratio, c + clipRatio], [0, 0])
  return models.map(({ ratio, clipRatio }, i) => {
    const own =
      isNormalised && sum !== 1 ? [roundTwo(ratio / sum!), roundTwo(clipRatio / clipSum!)] : [ratio, clipRatio]
    const [model, clip] = i === 1 && factor !== undefined ? own.map((x) => 1 - factor + factor * x) : own
    return [model!, clip!]
  })
}

/** Merges one checkpoint after another into the first: each ratio is the share of the one that comes. */
const apply: NodeClass = {
  links: { model_stack: 'models' },
  widgets: [
    ['merge_method', 'Recursive'],
    ['normalise_ratios', 'Yes'],
    ['weight_factor', 1],
  ],
  give: (visit) => {
    const models = visit.models('model_stack')
    const [first] = models
    if (first === undefined) return visit.gap('model_stack', emptyStack)
    const isNormalised = visit.text('normalise_ratios') === 'Yes'
    const factor = visit.text('merge_method') === 'Weighted' ? visit.number('weight_factor') : undefined
    const shares = sharesOf(models, isNormalised, factor)
    if (shares.flat().some((x) => !Number.isFinite(x))) return visit.gap('model_stack', emptyStack)
    if (isNormalised && models.reduce((sum, { ratio }) => sum + ratio, 0) !== 1)
      visit.draft.note(visit.where, roundedRatios)
    return models.slice(1).reduce<readonly [Lane, Lane]>(
      ([model, clip], next, i) => {
        const [share, clipShare] = shares[i + 1]!
        return [
          blend(visit, model, next.model, oneMinus(share), undefined, i),
          blend(visit, clip, next.clip, oneMinus(clipShare), undefined, i),
        ]
      },
      [first.model, first.clip],
    )
  },
}

/** The nodes of Comfyroll that merge lists of checkpoints. */
export const COMFYROLL_MERGES: ReadonlyMap<string, NodeClass> = new Map([
  ['CR Model Merge Stack', stack],
  ['CR Apply Model Merge', apply],
])
