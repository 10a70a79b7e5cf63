import type { LowRankFactors } from '../../graph/products.js'
import type { Dtype } from '../../tensor/dtype.js'
import type { TensorInfo } from '../../tensor/info.js'
import { sliceOf, wholeOf } from '../../tensor/view.js'
import type { AdapterNames, AdapterTarget } from './names.js'

/** LoRA of a parameter [experts, …]: the factors of all experts, in two tensors. */
export interface ExpertFactors {
  /** [outputs, rank · experts], the experts of a rank next to each other. */
  readonly up: TensorInfo
  /** [experts · rank, inputs], the ranks of an expert next to each other. */
  readonly down: TensorInfo
  readonly experts: number
  /** True where the parameter is [experts, inputs, outputs]. */
  readonly turned: boolean
}

/** The factors of one matrix of one expert: up [outputs, rank], down [rank, inputs]. */
export interface ExpertPair {
  readonly up: TensorInfo
  readonly down: TensorInfo
  readonly expert: number
  /** Where its outputs begin among those of the expert. */
  readonly first: number
  readonly scale: number
}

/** LoRA of experts one by one, for a parameter that holds all of them. */
export interface StackedExperts {
  readonly pairs: readonly ExpertPair[]
  /** True where the parameter is [experts, inputs, outputs]. */
  readonly turned: boolean
}

/** One matrix of one expert that a model has as a layer, and where its outputs begin among those of the expert. */
export interface ExpertLayer {
  readonly weight: string
  readonly target: AdapterTarget
  readonly expert: number
  readonly first: number
}

/** The experts of a parameter, as layers of a model. */
export interface SeparateExperts {
  /** What messages call all of these layers. */
  readonly title: string
  /** That of the parameter that they stand for: [experts, outputs, inputs]. */
  readonly shape: readonly [experts: number, outputs: number, inputs: number]
  readonly layers: readonly ExpertLayer[]
}

type Tensors = ReadonlyMap<string, { readonly shape: readonly number[]; readonly dtype: Dtype }>

/** What checkpoints call the matrices of an expert: the gate, what it is multiplied with, and the way back. */
const MATRICES = [
  ['gate_proj', 'up_proj', 'down_proj'],
  ['w1', 'w3', 'w2'],
] as const

/** The parameters of experts that are stacked, and which matrices each of them holds, in order. */
const PARAMETERS: Readonly<Record<string, readonly number[]>> = { gate_up_proj: [0, 1], down_proj: [2] }

const PLACES = ['mlp.experts', 'block_sparse_moe.experts'] as const

/** A module of experts by the names that it has in either layout of Mixtral. */
const placesOf = (owner: string): readonly string[] => {
  const place = PLACES.find((end) => owner === end || owner.endsWith(`.${end}`))
  if (place === undefined) return [owner]
  const stem = owner.slice(0, -place.length)
  return [owner, ...PLACES.filter((other) => other !== place).map((other) => stem + other)]
}

/** The layers that a model has in place of a stacked parameter of experts; undefined unless it has them all, alike. */
export const separateExperts = (
  owner: string,
  parameter: string,
  names: AdapterNames,
  tensors: Tensors,
): SeparateExperts | undefined => {
  const held = PARAMETERS[parameter] ?? []
  for (const place of held.length === 0 ? [] : placesOf(owner)) {
    for (const matrices of MATRICES) {
      const layers: ExpertLayer[] = []
      const shapes = new Set<string>()
      let sides: readonly number[] = []
      for (let expert = 0; names.has(`${place}.${expert}.${matrices[held[0]!]}`); expert++) {
        for (const [i, matrix] of held.entries()) {
          const [target, ...others] = names.get(`${place}.${expert}.${matrices[matrix]!}`) ?? []
          const weight = target?.weight
          const shape = weight === undefined ? undefined : tensors.get(weight)?.shape
          if (target === undefined || weight === undefined || shape?.length !== 2 || others.length > 0) return undefined
          shapes.add(shape.join())
          sides = shape
          layers.push({ weight, target, expert, first: i * shape[0]! })
        }
      }
      const [outputs = 0, inputs = 0] = sides
      if (shapes.size === 1)
        return {
          title: layers[0]!.weight.replace('.0.', '.*.'),
          shape: [layers.length / held.length, held.length * outputs, inputs],
          layers,
        }
    }
  }
  return undefined
}

/** A parameter that holds the matrix of an expert which an adapter has as a module of its own. */
export interface StackedTarget {
  readonly tensor: string
  readonly target: AdapterTarget
  readonly owner: string
  readonly expert: number
  /** Which of the matrices in the parameter it is, of how many. */
  readonly index: number
  readonly count: number
}

/** The parameter of a model that holds an expert's matrix; undefined for any other module. */
export const stackedTarget = (module: string, names: AdapterNames): StackedTarget | undefined => {
  const match = /^(.*\.experts)\.(\d+)\.(\w+)$/.exec(module)
  if (match === null) return undefined
  const matrix = MATRICES.map((own) => own.findIndex((name) => name === match[3])).find((i) => i >= 0)
  const found = Object.entries(PARAMETERS).find(([, held]) => matrix !== undefined && held.includes(matrix))
  if (matrix === undefined || found === undefined) return undefined
  const [parameter, held] = found
  for (const place of placesOf(match[1]!)) {
    const [target, ...others] = names.get(`${place}.${parameter}`) ?? []
    if (target?.weight === undefined || others.length > 0) continue
    const [index, count] = [held.indexOf(matrix), held.length]
    return { tensor: target.weight, target, owner: match[1]!, expert: Number(match[2]), index, count }
  }
  return undefined
}

/**
 * What the factors of all experts change in `rows` outputs of one of them, from output `first` on. `turned` as in
 * {@link ExpertFactors}: then the factors have the outputs of the layer as their inputs.
 */
export const partOfExpert = (
  { up, down, experts, turned }: ExpertFactors,
  expert: number,
  first: number,
  rows: number,
): LowRankFactors => {
  const [[outputs = 0, all = 0], [, inputs = 0]] = [up.shape, down.shape]
  const rank = all / experts
  const upper = { tensor: up, shape: [outputs, rank], first: expert, strides: [all, experts] }
  const lower = sliceOf(wholeOf(down), 0, expert * rank, rank)
  const own = { mid: undefined, rank, firstRow: 0 }
  return turned
    ? { ...own, up: sliceOf(lower, 1, first, rows), down: upper, columns: outputs, turned: { up: true, down: true } }
    : { ...own, up: sliceOf(upper, 0, first, rows), down: lower, columns: inputs }
}
