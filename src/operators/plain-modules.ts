import { groupAdapter, type AdapterModule, type Role } from '../architectures/adapters/modules.js'
import { ownsParameters } from '../architectures/adapters/parameters.js'
import { configOf } from '../architectures/adapters/scale.js'
import { onlyApplied, otherKinds } from '../base/catalogue/adapter-config.js'
import { factorsDiffer, notPlainLora } from '../base/catalogue/adapter-tensors.js'
import { factorMissing, notAnAdapter, unsupportedAdapter } from '../base/catalogue/adapters.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { failed, ok, type Result } from '../base/result.js'
import type { Tensor } from '../graph/expression.js'
import type { Graph } from '../graph/graph.js'
import { sizeOf, type TensorInfo } from '../tensor/info.js'
import { isComputed } from './made-adapter.js'
import type { AdapterValue, Reference } from './value.js'

/** Stored differences, which add up as they are. */
export const DIFFERENCES: readonly Role[] = ['diff', 'diff-bias']
const PLAIN: ReadonlySet<Role> = new Set<Role>(['up', 'down', 'alpha', ...DIFFERENCES])

/**
 * The modules of an adapter that holds nothing but pairs of factors, stored differences and tensors of `others`, whose
 * factors fit each other.
 */
export const plainModules = (
  adapter: Reference<AdapterValue>,
  others: readonly Role[] = [],
): Result<readonly AdapterModule[]> => {
  const { at } = adapter
  const { label, file } = adapter.value
  const allowed = new Set([...PLAIN, ...others])
  const { modules, others: unknown, twice, refused } = groupAdapter(file.tensors)
  if (refused !== undefined) return failed(unsupportedAdapter(at, label, refused.kind, `\`${refused.tensor}\``))
  if (modules.length === 0) return failed(notAnAdapter(at, label, [...file.tensors.keys()]))
  const odd = modules.find(
    ({ tensors, embedding }) => embedding || [...tensors.keys()].some((role) => !allowed.has(role)),
  )
  if (odd !== undefined || unknown.length > 0 || twice.length > 0)
    return failed(notPlainLora(at, label, odd?.name ?? unknown[0]?.name ?? twice[0]!))
  const config = configOf({ label, file, at, alpha: adapter.value.alpha })
  if (config?.type === 'failed') return config
  // Factors of layers that are stored transposed mean another difference, and only that config says so.
  if (config?.value.fanInFanOut === true) return failed(onlyApplied(at, label, otherKinds.transposed, 'fan_in_fan_out'))
  // No config that smelt writes says which layers the model repeats, or that the factors of experts are interleaved.
  if ((config?.value.repeated.length ?? 0) > 0)
    return failed(onlyApplied(at, label, otherKinds.repeated, 'layer_replication'))
  if (modules.some(({ name }) => ownsParameters(name, config?.value.parameters ?? [])))
    return failed(onlyApplied(at, label, otherKinds.parameters, 'target_parameters'))
  const problem = modules.map((module) => problemOf(module, adapter)).find((found) => found !== undefined)
  return problem === undefined ? ok(modules) : failed(problem)
}

/** What is wrong with the factors of a module. */
const problemOf = (
  { name, tensors }: AdapterModule,
  { value, at }: Reference<AdapterValue>,
): Diagnostic | undefined => {
  const [up, down] = [tensors.get('up'), tensors.get('down')]
  if (up === undefined && down === undefined) return undefined
  if (up === undefined || down === undefined)
    return factorMissing(at, value.label, name, [
      up === undefined ? '`lora_up` or `lora_B`' : '`lora_down` or `lora_A`',
    ])
  const rank = down.shape[0] ?? 0
  return rank === 0 || up.shape.length < 2 || down.shape.length < 2 || sizeOf(up.shape) !== up.shape[0]! * rank
    ? factorsDiffer(at, value.label, name, [up.shape, down.shape])
    : undefined
}

/** A tensor of an adapter, of a file or made by a step. */
export const readAdapterTensor = (g: Graph, { made }: AdapterValue, info: TensorInfo): Tensor =>
  made === undefined || !isComputed(info) ? g.read(info) : made.tensor(info.name)
