import { hasNoRole } from '../architectures/adapters/modules.js'
import { adapterOfZeros, outputUnchanged, trainedNonFinite } from '../base/catalogue/run.js'
import type { Diagnostic } from '../base/diagnostic.js'
import type { Digest } from '../base/digest.js'
import type { Plan, Target } from '../plan/plan.js'
import type { OpenedInput } from '../plan/inputs.js'
import { bytesFor } from '../tensor/dtype.js'
import type { TensorInfo } from '../tensor/info.js'
import type { Ledger } from './digest-ledger.js'
import { isIdle } from './idle-adapters.js'
import type { Oddities } from './oddities.js'

/** True for a tensor that is more than a copy of a stored one. */
const isComputed = ({ value, dtype, elements }: Target): boolean =>
  elements > 0 && !(value.type === 'read' && value.view.tensor.dtype === dtype)

/**
 * Says of outputs of recipes with adapters that were computed and came out as a stored model is, byte by byte: baking has
 * changed nothing.
 */
export const warnOfUnchanged = (
  { outputs, targets, settings, digestOf }: Pick<Plan, 'outputs' | 'targets' | 'settings' | 'digestOf'>,
  ledger: Ledger,
): Diagnostic[] => {
  const stored = (tensor: TensorInfo): Digest | undefined => digestOf(tensor) ?? ledger.digest(tensor.file, tensor.name)
  return outputs.flatMap(({ label, kept, setting }, i) => {
    const inputs = [...settings[setting]!.inputs.values()]
    const bakes = kept === undefined && inputs.some(({ kind }) => kind === 'adapter')
    const computed = bakes ? targets[i]!.filter(isComputed) : []
    const isIn =
      ({ file }: OpenedInput) =>
      ({ tensor: name, path, dtype }: Target): boolean => {
        const tensor = file.tensors.get(name)
        const digest = ledger.digest(path, name)
        return tensor?.dtype === dtype && digest !== undefined && digest === stored(tensor)
      }
    const same = computed.length === 0 ? undefined : inputs.find((input) => computed.every(isIn(input)))
    return same === undefined ? [] : [outputUnchanged(label, computed.length, same.name)]
  })
}

/** Says of adapters that were written and change nothing. */
export const warnOfZeros = ({ outputs, targets }: Pick<Plan, 'outputs' | 'targets'>): Diagnostic[] =>
  outputs.flatMap(({ label, kept, tensors }, i) => {
    if (kept !== undefined || tensors.length === 0 || hasNoRole(tensors[0]!.name)) return []
    const shapes = new Map(tensors.map(({ name, shape }) => [name, shape] as const))
    const written = targets[i]!.map(({ tensor: name, path: file, begin, elements, dtype }): [string, TensorInfo] => [
      name,
      { name, dtype, shape: shapes.get(name) ?? [], file, begin, end: begin + bytesFor(elements, dtype) },
    ])
    return isIdle({ tensors: new Map(written) }) ? [adapterOfZeros(label)] : []
  })

/**
 * NaN or infinities that whole tensors of adapters have brought into outputs: what a model has may be meant so, such as a
 * mask, and what was trained is not.
 */
export const damagedByAdapters = (
  { models, targets }: Pick<Plan, 'models' | 'targets'>,
  oddities: Oddities,
): Diagnostic[] => {
  const adapters = new Set(
    models.flatMap(({ kind, files }) => (kind === 'adapter' ? files.map(({ path }) => path) : [])),
  )
  return targets.flat().flatMap(({ value, tensor, path, step }) => {
    const from = value.type === 'read' ? value.view.tensor : undefined
    return from !== undefined && adapters.has(from.file) && oddities.has(path, tensor, 'non-finite')
      ? [trainedNonFinite(from.file, from.name, tensor, step)]
      : []
  })
}
