import { maskShape } from '../../base/catalogue/operators.js'
import { failed, ok, type Result } from '../../base/result.js'
import type { Mask } from '../../graph/expression.js'
import type { Graph } from '../../graph/graph.js'
import { COMMON, named } from '../aliases.js'
import { labelOf, masksOf } from '../call-arguments.js'
import type { Alias, Example } from '../define.js'
import { jointTensorClass, withTensorClass } from '../tensor-class.js'
import type { Call, Operator } from '../operator.js'
import { mask, masks } from '../params.js'
import { constantOf } from '../settle-tensor.js'
import { sameShape } from '../shape.js'
import type { MaskValue, Value } from '../value.js'

/**
 * What joining masks comes to where some of them are constants and the elements of the others may differ: a constant, or
 * undefined where elements may differ again; `unclear` where only the joined expressions tell.
 */
export type Decide = (known: readonly (boolean | undefined)[]) => boolean | undefined | 'unclear'

/** False where any is, true where all are. */
export const decideAll = (known: readonly (boolean | undefined)[]): boolean | undefined =>
  known.includes(false) ? false : known.includes(undefined) ? undefined : true
const invert = (x: boolean | undefined): boolean | undefined => (x === undefined ? undefined : !x)
/** True where any is, false where all are. */
export const decideAny: Decide = (known) => invert(decideAll(known.map(invert)))
/** Two masks whose elements differ may be the same mask. */
export const decideXor: Decide = (known) => {
  const open = known.filter((x) => x === undefined).length
  return open > 1 ? 'unclear' : open === 1 ? undefined : known.filter((x) => x === true).length % 2 === 1
}

/** A set operation: how it joins the masks of one tensor, in the order the step lists them. */
interface Operation {
  readonly id: string
  readonly summary: string
  readonly details: string
  readonly aliases: readonly Alias[]
  readonly join: (g: Graph, masks: readonly Mask[]) => Mask
  readonly decide: Decide
  readonly examples: readonly Example[]
}

/** What becomes of tensors that only some of the masks cover, in Markdown. */
export const ABSENT =
  'The result covers every tensor that any of the masks covers; a tensor that a mask lacks counts as all false there.'

const ofNode = (operation: string): readonly Alias[] =>
  named('ComfyUI-DareMerge', ['DM_MaskOperations', 'Mask Operations'], `for the operation \`${operation}\``)

/** The mask of a step that joins the masks of each tensor. Refuses masks of different shapes. */
export const joinMasks = (call: Call, join: Operation['join'], decide: Decide): Result<readonly Value[]> => {
  const references = masksOf(call, 'masks').concat(masksOf(call, 'mask'))
  const shapes = new Map(references.flatMap(({ value }) => [...value.shapes]))
  const problems = references.flatMap(({ value, at }) =>
    [...value.shapes].flatMap(([name, shape]) => {
      const expected = shapes.get(name)!
      return sameShape(shape, expected) ? [] : [maskShape(at, name, value.label, shape, expected)]
    }),
  )
  if (problems.length > 0) return failed(...problems)
  const { graph: g } = call
  const join1 = (name: string): Mask =>
    join(
      g,
      references.map(({ value }) => (value.shapes.has(name) ? value.mask(name) : g.constant(false))),
    )
  const constant = (name: string): boolean | undefined => {
    const known = decide(references.map(({ value }) => (value.shapes.has(name) ? value.constant(name) : false)))
    return known === 'unclear' ? constantOf(join1(name)) : known
  }
  return ok([
    withTensorClass<MaskValue>(
      { kind: 'mask', label: labelOf(call), shapes, mask: join1, constant },
      jointTensorClass(references.map(({ value }) => value)),
    ),
  ])
}

const OPERATIONS: readonly Operation[] = [
  {
    id: 'mask.complement',
    summary: 'True where a mask is false.',
    details: 'Covers the same tensors as the mask.',
    aliases: named(COMMON, ['invert', 'not']),
    join: (g, [first]) => g.not(first!),
    decide: ([first]) => invert(first),
    examples: [{ inputs: { mask: [true, false] }, expect: [false, true] }],
  },
  {
    id: 'mask.difference',
    summary: 'True where the first mask is true and none of the others.',
    details: ABSENT,
    aliases: ofNode('difference'),
    join: (g, [first, ...others]) => g.and(first!, ...others.map(g.not)),
    decide: ([first, ...others]) => decideAll([first, ...others.map(invert)]),
    examples: [
      {
        inputs: {
          masks: [
            [true, true, false],
            [false, true, true],
          ],
        },
        expect: [true, false, false],
      },
    ],
  },
  {
    id: 'mask.intersection',
    summary: 'True where all masks are true.',
    details: ABSENT,
    aliases: [...ofNode('intersect'), { name: 'and', from: COMMON }],
    join: (g, all) => g.and(...all),
    decide: decideAll,
    examples: [
      {
        inputs: {
          masks: [
            [true, true, false],
            [false, true, true],
          ],
        },
        expect: [false, true, false],
      },
    ],
  },
  {
    id: 'mask.union',
    summary: 'True where any of the masks is true.',
    details: ABSENT,
    aliases: [...ofNode('union'), { name: 'or', from: COMMON }],
    join: (g, all) => g.or(...all),
    decide: decideAny,
    examples: [
      {
        inputs: {
          masks: [
            [true, false, false],
            [false, true, false],
          ],
        },
        expect: [true, true, false],
      },
    ],
  },
  {
    id: 'mask.xor',
    summary: 'True where an odd number of the masks are true; for two masks: where they differ.',
    details: ABSENT,
    aliases: ofNode('xor'),
    join: (g, all) => g.xor(...all),
    decide: decideXor,
    examples: [
      {
        inputs: {
          masks: [
            [true, true, false],
            [false, true, true],
          ],
        },
        expect: [true, false, true],
      },
      {
        title: 'of three',
        inputs: {
          masks: [
            [true, true],
            [true, false],
            [true, false],
          ],
        },
        expect: [true, true],
      },
    ],
  },
]

/** The set operations on masks: one builder, one table. */
export const algebra: readonly Operator[] = OPERATIONS.map(({ join, decide, ...description }) => ({
  ...description,
  version: 1,
  output: 'mask',
  inputs: description.id === 'mask.complement' ? { mask: mask('The mask.') } : { masks: masks('The masks, in order.') },
  params: {},
  merges: false,
  exact: true,
  draws: false,
  evaluate: (call) => joinMasks(call, join, decide),
}))
