import { badRank, deltaShape, factorDtype, factorMissing, rearranged, type Estranged } from '../../base/catalogue/adapters.js'
import type { Diagnostic, Place } from '../../base/diagnostic.js'
import { append } from '../../base/lists.js'
import { failed, ok, type Result } from '../../base/result.js'
import type { Product } from '../../graph/expression.js'
import { isFloat, type Dtype } from '../../tensor/dtype.js'
import { sizeOf, type TensorInfo } from '../../tensor/info.js'
import type { AdapterModule, Role } from './modules.js'
import type { AdapterTarget } from './names.js'
import type { ScaleOf } from './scale.js'

/** What an adapter adds to one tensor at strength 1: `scale` times the product, by elements, of factored matrices, or of stored numbers. */
export interface Patch {
  readonly scale: number
  /** True in a text encoder. */
  readonly text: boolean
  readonly of: readonly Product[] | TensorInfo
}

/** A patch and the tensor of the model that it is for. */
export interface Aimed {
  readonly tensor: string
  readonly patch: Patch
}

/** What has to be known to make patches of modules. */
export interface Making {
  /** What messages call the adapter and the model. */
  readonly adapter: string
  readonly model: string
  readonly at: Place
  readonly tensors: ReadonlyMap<string, { readonly shape: readonly number[]; readonly dtype: Dtype }>
  readonly scaleOf: ScaleOf
  readonly estranged: Estranged | undefined
}

/** What is made of one module: its patches, and those of its tensors that have no target. */
export interface Made {
  readonly aimed: readonly Aimed[]
  readonly unmatched: readonly string[]
}

/** Factored matrices by their roles; the hidden product of a LoHa is that of two of them. */
const PAIRS: readonly (readonly [up: Role, down: Role, called: readonly [up: string, down: string]])[] = [
  ['up', 'down', ['`lora_up` or `lora_B`', '`lora_down` or `lora_A`']],
  ['w1_a', 'w1_b', ['`hada_w1_a`', '`hada_w1_b`']],
  ['w2_a', 'w2_b', ['`hada_w2_a`', '`hada_w2_b`']],
]

const isHadamard = ({ tensors }: AdapterModule): boolean => (['w1_a', 'w1_b', 'w2_a', 'w2_b'] as const).some((role) => tensors.has(role))

/** A patch before it is known whether it fits. */
interface Delta {
  readonly tensor: string | undefined
  readonly patch: Patch
  /** What messages call it, and its shape. */
  readonly name: string
  readonly shape: readonly number[]
  fits(shape: readonly number[]): boolean
}

/** Makes the patches of one module, or says what about its tensors makes no sense. */
export const makePatches = (module: AdapterModule, target: AdapterTarget, making: Making): Result<Made> => {
  const { adapter, at, tensors } = making
  const odd = [...module.tensors.values()].find(({ dtype, shape }) => shape.length > 0 && !isFloat(dtype))
  if (odd !== undefined) return failed(factorDtype(at, odd.name, adapter, odd.dtype))
  const products = makeProducts(module, target, making)
  if (products.type === 'failed') return products
  const rank = products.value[0]?.[0]?.rank
  const scale = rank === undefined ? ok(1) : making.scaleOf(module, rank)
  if (scale.type === 'failed') return scale
  const stored = storedDeltas(module, target, scale.value)
  if (stored.length > 0 && target.change !== undefined) return failed(rearranged(at, adapter, module.name, target.weight ?? module.name))

  const aimed: Aimed[] = []
  const unmatched: string[] = []
  const problems: Diagnostic[] = []
  for (const { tensor, patch, name, shape, fits } of [...products.value.map((factors) => productDelta(module, target, factors, scale.value)), ...stored]) {
    const slot = tensor === undefined ? undefined : tensors.get(tensor)
    if (tensor === undefined || slot === undefined) append(unmatched, sourcesOf(patch))
    else if (!fits(slot.shape)) problems.push(deltaShape(at, adapter, name, shape, tensor, slot.shape, making.estranged))
    else if (!isFloat(slot.dtype)) problems.push(factorDtype(at, tensor, making.model, slot.dtype))
    else aimed.push({ tensor, patch })
  }
  return problems.length > 0 ? failed(...problems) : ok({ aimed, unmatched })
}

const sourcesOf = ({ of }: Patch): readonly string[] => ('name' in of ? [of.name] : of.flatMap(({ up, down }) => [up.name, down.name]))

const productDelta = ({ name }: AdapterModule, { weight, text, rows, change }: AdapterTarget, factors: readonly Product[], scale: number): Delta => {
  const { up, rank, columns, firstRow } = factors[0]!
  const tall = sizeOf(up.shape) / rank
  const whole = change === 'halves-swapped' ? 2 * tall : tall
  return {
    tensor: weight,
    patch: { scale, text, of: factors },
    name,
    shape: [whole, columns],
    fits: (shape) => whole === (rows?.count ?? shape[0]) && columns * (shape[0] ?? 1) === sizeOf(shape) && firstRow + tall <= (shape[0] ?? 1),
  }
}

/** What is stored as it is added; only the bias of a second factor is scaled as that is. */
const storedDeltas = ({ tensors }: AdapterModule, { weight, bias, rows, text }: AdapterTarget, scale: number): readonly Delta[] =>
  ([['diff', weight, 1], ['diff-bias', bias, 1], ['up-bias', bias, scale]] as const).flatMap(([role, tensor, by]): Delta[] => {
    const info = tensors.get(role)
    if (info === undefined) return []
    const fits = (shape: readonly number[]): boolean => rows === undefined && info.shape.join() === shape.join()
    return [{ tensor, patch: { scale: by, text, of: info }, name: info.name, shape: info.shape, fits }]
  })

/** The products of a module's factors, as a sum of which each term is a product by elements. */
const makeProducts = (module: AdapterModule, target: AdapterTarget, { adapter, at }: Making): Result<readonly (readonly Product[])[]> => {
  const { tensors, name } = module
  const isLora = (['up', 'down', 'mid'] as const).some((role) => tensors.has(role))
  const pairs = PAIRS.filter(([up]) => (up === 'up' ? isLora : isHadamard(module)))
  const missing = pairs.flatMap(([up, down, called]) => [...(tensors.has(up) ? [] : [called[0]]), ...(tensors.has(down) ? [] : [called[1]])])
  if (missing.length > 0) return failed(factorMissing(at, adapter, name, missing))
  if (pairs.length > 0 && target.change === 'transposed') return failed(rearranged(at, adapter, name, target.weight ?? name))
  const products: Product[] = []
  for (const [up, down] of pairs) {
    const factors = { up: tensors.get(up)!, down: tensors.get(down)!, mid: up === 'up' ? tensors.get('mid') : undefined }
    const reason = misfit(factors)
    if (reason !== undefined) return failed(badRank(at, adapter, name, reason))
    const rank = factors.down.shape[0]!
    const kernel = factors.mid === undefined ? 1 : sizeOf(factors.mid.shape) / rank ** 2
    products.push({ ...factors, rank, columns: (sizeOf(factors.down.shape) / rank) * kernel, firstRow: target.rows?.first ?? 0 })
  }
  const lora = isLora ? [[products[0]!]] : []
  const hadamard = isHadamard(module) ? [products.slice(-2)] : []
  return ok([...lora, ...hadamard].flatMap((factors) => (target.change === 'halves-swapped' ? swapHalves(factors) : [factors])))
}

/** Why some factors are none: every axis must meet one of its own length. */
const misfit = ({ up, down, mid }: Pick<Product, 'up' | 'down' | 'mid'>): string | undefined => {
  const rank = down.shape[0] ?? 0
  const list = ({ shape }: TensorInfo): string => `[${shape.join(', ')}]`
  if (rank === 0 || sizeOf(down.shape) === 0) return `${list(down)} has a rank of 0`
  if (up.shape[1] !== rank || sizeOf(up.shape) !== up.shape[0]! * rank) return `${list(up)} cannot be multiplied with ${list(down)}`
  if (mid !== undefined && (mid.shape[0] !== rank || mid.shape[1] !== rank)) return `${list(mid)} does not stand between ranks of ${rank}`
  return undefined
}

/** Rows of a stored matrix, as a tensor that lies inside the other. */
const sliceRows = (info: TensorInfo, first: number, count: number): TensorInfo => {
  const row = (info.end - info.begin) / info.shape[0]!
  const begin = info.begin + first * row
  return { ...info, name: `${info.name}[${first}:${first + count}]`, shape: [count, ...info.shape.slice(1)], begin, end: begin + count * row }
}

/** Two terms for one: the upper half of the rows goes below, the lower half above. */
const swapHalves = (factors: readonly Product[]): readonly (readonly Product[])[] =>
  [0, 1].map((half) => factors.map((product) => {
    const count = Math.floor(product.up.shape[0]! / 2)
    return { ...product, up: sliceRows(product.up, half * count, count), firstRow: (1 - half) * count }
  }))
