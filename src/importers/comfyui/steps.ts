import type { Field } from '../importer.js'
import { COMPONENTS, type Lane, type LaneStep } from './lanes.js'
import type { Visit } from './nodes.js'
import type { Task } from './task.js'

/** More steps than one node makes. */
const MOST_STEPS = 1000

/** A step on one part of a checkpoint, as node classes describe it. */
export interface StepOf {
  /** What it is called where its node has no title. */
  readonly kind: string
  readonly op: string
  readonly first: Lane
  readonly others?: readonly Lane[]
  readonly more?: readonly Task[]
  readonly fields: LaneStep['fields']
  /** The layers of the part, where they are not those that it usually has. */
  readonly layers?: string | undefined
  readonly comment?: string | undefined
  readonly pair?: LaneStep['pair']
  readonly delta?: boolean
  /** Tells steps of one node on one part apart. */
  readonly part?: string
  /** The place of a step among several that one node makes one after another. */
  readonly index?: number
}

/** A part of a checkpoint as a step of this node makes it. */
export const stepOf = (visit: Visit, step: StepOf): LaneStep => ({
  type: 'step',
  lane: step.first.lane,
  id: `${visit.node.id}/${step.first.lane}/${step.part ?? ''}${step.index ?? ''}`,
  // Orders of nodes are whole numbers.
  order: visit.order + (step.index ?? 0) / MOST_STEPS,
  title: visit.title(step.kind),
  op: step.op,
  first: step.first,
  others: step.others ?? [],
  more: step.more ?? [],
  fields: step.fields,
  layers: step.op === 'model.subtract' ? undefined : (step.layers ?? COMPONENTS[step.first.lane]),
  comment: sentence(step.comment),
  pair: step.pair,
  delta: step.delta ?? false,
})

/** What the nodes do with tensors that only one model has: the first model's stay. */
export const MISSING: Field = ['missing', 'keep']

/** The same for tensors of two shapes, where the nodes leave the first model's as they are. */
export const MISMATCH: Field = ['mismatch', 'keep']

/** A text as a comment of its own. */
export const sentence = (text: string | undefined): string | undefined =>
  text === undefined
    ? undefined
    : text.replace(/^[a-z]|(?<=\n)[a-z]/g, (letter) => letter.toUpperCase()).replace(/(?=\n|$)/g, '.')
