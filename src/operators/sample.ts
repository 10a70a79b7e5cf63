/**
 * What an operator makes of a kind of tensor: found out once for all tensors of equal shapes and numbers, from stand-ins
 * for what the step reads, so that nothing behind the step is built.
 */
import type { Diagnostic } from '../base/diagnostic.js'
import type { Mask, Tensor } from '../graph/expression.js'
import { createGraph, type Graph } from '../graph/graph.js'
import type { TensorInfo } from '../tensor/info.js'
import { createBranch, follow, MASKED, type Branch, type TensorValues } from './alike.js'
import type { AnyDefinition, Made } from './definition.js'

/** What is known of a mask before it is built: the value of all its elements, or that they may differ. */
export type Foreseen = boolean | 'open' | 'unclear'

/** What an operator makes of the tensors of one kind. */
export interface Verdict {
  /** Why it refuses them. */
  readonly problem: Diagnostic | undefined
  /** True if they share a measure over the whole model. */
  readonly shares: boolean
  /** True if they depend on their names, besides by random streams. */
  readonly named: boolean
  /** Of masks, each result. */
  readonly foreseen: readonly Foreseen[]
}

/** The graph of the samples, whose expressions mean nothing and are read by nobody. */
export interface Stage {
  readonly graph: Graph
  /** Verdicts without a problem or a warning, which hold for all steps that call an operator alike; by values and shapes. */
  verdictsOf(definition: AnyDefinition, call: string): Branch<Verdict>
}

/** Their numbers lie beyond those of any other graph: a sample may be made of expressions of its step, too. */
const FIRST = 2 ** 25

const createStage = (): Stage => {
  const verdicts = new WeakMap<AnyDefinition, Branch<Verdict>>()
  return {
    graph: createGraph(FIRST),
    verdictsOf: (definition, call) => {
      const known = verdicts.get(definition) ?? createBranch<Verdict>()
      verdicts.set(definition, known)
      return follow(known, call)
    },
  }
}

const stages = new WeakMap<Graph, Stage>()

/** The stage of all steps of a graph. */
export const stageOf = (graph: Graph): Stage => {
  const known = stages.get(graph) ?? createStage()
  stages.set(graph, known)
  return known
}

/** Stand-ins for the tensors and masks of one sample, each unlike all others of it. */
export interface StandIns {
  tensor(): Tensor
  mask(): Mask
  /** The values of params with stand-ins for what is no number or word. */
  values(values: TensorValues): TensorValues
}

/** Stand-ins of a shape. */
export const createStandIns = (graph: Graph, shape: readonly number[]): StandIns => {
  let count = 0
  const info = (): TensorInfo => ({
    name: `${(count += 1)}`,
    dtype: 'F32',
    shape,
    file: shape.join(),
    begin: 0,
    end: 0,
  })
  const standIns: StandIns = {
    tensor: () => graph.read(info()),
    mask: () => graph.readMask(info()),
    values: (values) => {
      const replaced: Record<string, unknown> = {}
      for (const [key, value] of Object.entries(values)) {
        if (value === MASKED) replaced[key] = standIns.mask()
        else replaced[key] = isExpression(value) ? standIns.tensor() : value
      }
      return replaced
    },
  }
  return standIns
}

const isExpression = (value: unknown): boolean => typeof value === 'object' && value !== null && 'id' in value

/** What a sample tells of the masks of its kind. */
export const foresee = (made: Made | Diagnostic): readonly Foreseen[] => {
  if ('code' in made) return []
  const all: readonly (Tensor | Mask)[] = 'kind' in made ? [made] : made
  return all.flatMap((x) => (x.kind === 'mask' ? [foreseeMask(x)] : []))
}

/**
 * Comparisons, random draws and the largest numbers are never made constants, whatever they are of, and neither are
 * conjunctions and disjunctions of them. An exclusive or is one where both masks are the same, and what stands for a
 * mask may be any.
 */
const foreseeMask = (mask: Mask): Foreseen => {
  if (mask.type === 'constant') return mask.value
  if (mask.type === 'read-mask') return 'unclear'
  if (mask.type !== 'logic') return 'open'
  return mask.op === 'xor' || mask.args.some((part) => foreseeMask(part) !== 'open') ? 'unclear' : 'open'
}
