import { fillings } from '../../base/catalogue/operators.js'
import { failed, ok } from '../../base/result.js'
import type { Mask } from '../../graph/expression.js'
import type { Graph } from '../../graph/graph.js'
import { named } from '../aliases.js'
import { gaussianOf, labelOf, layersOf, masksOf, streamOf, valueOf } from '../call-arguments.js'
import type { Operator } from '../operator.js'
import { countFillings, fill, type Filling } from '../filling.js'
import { choice, gaussian, layers, mask, number, optionalFlag } from '../params.js'
import { constantOf } from '../settle-tensor.js'
import { decideAll, decideAny, decideXor, type Decide } from './algebra.js'

const COMBINE = {
  replace: 'discards the old values',
  and: 'true where both are',
  or: 'true where either is',
  xor: 'true where they differ',
} as const

const DECIDE: Readonly<Record<keyof typeof COMBINE, Decide>> = {
  replace: ([, made]) => made,
  and: decideAll,
  or: decideAny,
  xor: decideXor,
}

const combine = (g: Graph, how: keyof typeof COMBINE, old: Mask, made: Mask): Mask =>
  how === 'replace' ? made : g[how](old, made)

/** Changes a mask on some layers. */
export const edit: Operator = {
  id: 'mask.edit',
  version: 1,
  summary: 'Changes a mask on some layers.',
  aliases: [
    ...named(
      'ComfyUI-DareMerge',
      ['DM_MaskEdit', 'Mask Edit'],
      '`set` for `true` and `false`; `p: 1 − arg_one` for `random`; `p: 0.5` for `gaussian`',
    ),
  ],
  details:
    'On the selected layers, what `set`, `p` or `gaussian` makes is combined with the mask; all others stay. The input mask itself never changes.',
  source: 'ComfyUI-DareMerge, mask edit',
  output: 'mask',
  inputs: { mask: mask('The mask to begin with.') },
  params: {
    layers: layers('The layers to change.'),
    set: optionalFlag('The same value for every parameter of these layers.'),
    p: number({ min: 0, max: 1, description: 'True with this probability, independently for each parameter.' }),
    gaussian: gaussian('True where a normal draw with `mean` (0) and `std` (1) exceeds `above` (0.5).'),
    combine: choice(COMBINE, 'replace', 'How the new values combine with the old ones.'),
  },
  merges: false,
  exact: true,
  draws: true,
  examples: [
    { inputs: { mask: [true, false] }, params: { layers: '*', set: false }, expect: [false, false] },
    {
      title: 'inverted',
      inputs: { mask: [true, false] },
      params: { layers: '*', set: true, combine: 'xor' },
      expect: [false, true],
    },
  ],
  evaluate: (call) => {
    const before = masksOf(call, 'mask')[0]!.value
    const filling: Filling = {
      value: valueOf(call, 'set') as boolean | undefined,
      p: valueOf(call, 'p') as number | undefined,
      gaussian: gaussianOf(valueOf(call, 'gaussian')),
    }
    if (countFillings(filling) !== 1) return failed(fillings(call.at('op'), ['set', 'p', 'gaussian']))
    const how = (valueOf(call, 'combine') ?? 'replace') as keyof typeof COMBINE
    const selected = call.select(
      layersOf(call, 'layers'),
      new Map([...before.shapes].map(([name, shape]) => [name, { shape }])),
    )
    if (selected.type === 'failed') return selected
    const changed = (name: string): Mask => {
      const old = before.mask(name)
      return selected.value.has(name)
        ? combine(call.graph, how, old, fill(call.graph, filling, streamOf(call, name, 0)))
        : old
    }
    const constant = (name: string): boolean | undefined => {
      const old = before.constant(name)
      if (!selected.value.has(name)) return old
      const made = constantOf(fill(call.graph, filling, streamOf(call, name, 0)))
      const known = DECIDE[how]([old, made])
      return known === 'unclear' ? constantOf(changed(name)) : known
    }
    return ok(
      [{ kind: 'mask', label: labelOf(call), shapes: before.shapes, mask: changed, constant }],
      selected.diagnostics,
    )
  },
}
