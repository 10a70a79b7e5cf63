/**
 * Which tensors of a value are made alike: their expressions differ in nothing but the stored tensors that they read, each
 * of the tensor's own name, and in the names of its random streams. What is counted of one is then true of all.
 */
import { createBranch, follow, type Branch } from './alike.js'
import type { AnyDefinition } from './definition.js'
import type { StepContext } from './settle-tensor.js'
import type { MaskValue, ModelValue } from './value.js'

/** The class of each tensor of a value: equal for those that are made alike, and undefined where that is not known. */
export type TensorClass = (tensor: string) => unknown

type Held = Pick<ModelValue, 'tensor'> | Pick<MaskValue, 'mask'>

/** By what makes the expressions: a value that makes others of them loses its tensor class. */
const tensorClasses = new WeakMap<(name: string) => unknown, TensorClass>()

const makerOf = (value: Held): ((name: string) => unknown) => ('tensor' in value ? value.tensor : value.mask)

/** The tensor class of a value, if anything is known of it. */
export const tensorClassOf = (value: Held): TensorClass | undefined => tensorClasses.get(makerOf(value))

/** Says which tensors of a value are made alike. */
export const withTensorClass = <V extends Held>(value: V, tensorClass: TensorClass | undefined): V => {
  if (tensorClass !== undefined) tensorClasses.set(makerOf(value), tensorClass)
  return value
}

/** The tensor class of what is stored: equal for tensors of equal dtypes and shapes. */
export const storedTensorClass = (
  stored: ReadonlyMap<string, { readonly dtype: string; readonly shape: readonly number[] }>,
): TensorClass => {
  const root = createBranch<never>()
  return (name) => {
    const info = stored.get(name)
    return info === undefined ? undefined : follow(follow(root, info.dtype), info.shape.join())
  }
}

/** The tensor class of what is made of masks alone, which may lack tensors. */
export const jointTensorClass = (masks: readonly MaskValue[]): TensorClass | undefined => {
  const tensorClasses = masks.map((mask) => tensorClassOf(mask))
  if (tensorClasses.includes(undefined)) return undefined
  const root = createBranch<never>()
  return once((tensor) =>
    join(
      root,
      tensorClasses.map((tensorClass, i) => (masks[i]!.shapes.has(tensor) ? tensorClass : () => 'none')),
      tensor,
    ),
  )
}

/** True where an operator reads nothing but models, masks and numbers. */
const isPlain = ({ inputs, params }: AnyDefinition): boolean =>
  Object.values(inputs).every(
    (spec) =>
      spec.type !== 'adapter' &&
      (spec.type !== 'model' || !spec.many || Object.values(spec.each).every(({ type }) => type !== 'statistics')),
  ) && Object.values(params).every(({ type }) => type !== 'statistics')

/** The tensor class of the results of a step, which merges the tensors that `merges` is true for and keeps all others. */
export const stepTensorClass = (
  { definition, call, models, masks, args, masked }: StepContext,
  merges: (tensor: string) => boolean,
): TensorClass | undefined => {
  if (!isPlain(definition)) return undefined
  const given = [call.params, ...call.each].flatMap((own) =>
    Object.values(own).flatMap((argument) => (argument.type === 'mask' ? [argument.value] : [])),
  )
  const read = [...models.map(({ value }) => value), ...masks.map(({ value }) => value), ...given].map(tensorClassOf)
  const mask = masked ? call.shared.mask!.value : undefined
  const masking = mask === undefined ? undefined : tensorClassOf(mask)
  if (read.includes(undefined) || (mask !== undefined && masking === undefined)) return undefined
  const [kept, merged] = [createBranch<never>(), createBranch<never>()]
  return once((tensor) => {
    if (!merges(tensor)) return join(kept, read.slice(0, 1), tensor)
    let branch = follow(merged, args.params(tensor))
    for (const values of args.each(tensor)) branch = follow(branch, values)
    // Where a mask covers some tensors only, those are a level deeper, and no two levels have a branch in common.
    return join(branch, mask?.shapes.has(tensor) === true ? [...read, masking] : read, tensor)
  })
}

/** Asks once for each tensor: steps that use the ones before twice would ask for those again and again. */
const once = (find: (tensor: string) => Branch<never> | undefined): TensorClass => {
  const found = new Map<string, Branch<never> | undefined>()
  return (tensor) => {
    if (!found.has(tensor)) found.set(tensor, find(tensor))
    return found.get(tensor)
  }
}

/** The branch of what a tensor is like in some values; undefined where that is not known of one. */
const join = (
  from: Branch<never>,
  tensorClasses: readonly (TensorClass | undefined)[],
  tensor: string,
): Branch<never> | undefined => {
  let branch = from
  for (const tensorClass of tensorClasses) {
    const own = tensorClass?.(tensor)
    if (own === undefined) return undefined
    branch = follow(branch, own)
  }
  return branch
}
