/** A value for each tensor, by name; undefined where a step has none. */
export type PerTensor = (tensor: string) => unknown

/** Values of one tensor, by the name of the param. */
export type TensorValues = Readonly<Record<string, unknown>>

/** A trie over lists of facts: equal lists reach the same node, without building a key string. */
export interface Branch<T> {
  readonly next: Map<unknown, Branch<T>>
  value: T | undefined
}

/** A trie with nothing in it. */
export const createBranch = <T>(): Branch<T> => ({ next: new Map(), value: undefined })

/** The branch of one more fact. */
export const follow = <T>(branch: Branch<T>, fact: unknown): Branch<T> => {
  const known = branch.next.get(fact)
  if (known !== undefined) return known
  const made = createBranch<T>()
  branch.next.set(fact, made)
  return made
}

/**
 * Returns one shared object of values for all tensors with the same numbers and words: a model of thousands of tensors
 * has few distinct ones. What is the same for all tensors is in `fixed`.
 */
export const createValues = (
  fixed: TensorValues,
  varying: readonly (readonly [string, PerTensor])[],
): ((tensor: string) => TensorValues) => {
  if (varying.length === 0) return () => fixed
  const root = createBranch<TensorValues>()
  const join = (values: readonly unknown[]): TensorValues => ({
    ...fixed,
    ...Object.fromEntries(varying.map(([key], i) => [key, values[i]])),
  })
  return (tensor) => {
    let branch: Branch<TensorValues> | undefined = root
    const values: unknown[] = []
    for (const [, valueOf] of varying) {
      const value = valueOf(tensor)
      values.push(value)
      // Statistics and mistakes differ from tensor to tensor, and to a Map -0 is 0.
      if (typeof value === 'object' || Object.is(value, -0)) branch = undefined
      else if (branch !== undefined) branch = follow(branch, value)
    }
    return branch === undefined ? join(values) : (branch.value ??= join(values))
  }
}

/** Stands for a mask among the values of a tensor: its expression is made when the tensor's is. */
export const MASKED = Symbol('mask')

/** Whether an operator refuses a tensor depends on numbers, on shapes, and on which masks and tensors are present. */
const textOf = (facts: unknown): string =>
  JSON.stringify(facts, (_, value: unknown) =>
    value === MASKED || (typeof value === 'object' && value !== null && 'id' in value) ? 0 : value,
  )

const texts = new WeakMap<object, string>()

const textOnce = (facts: object): string => {
  const known = texts.get(facts)
  if (known !== undefined) return known
  const text = textOf(facts)
  texts.set(facts, text)
  return text
}

/** The branch of all tensors that an operator accepts or refuses alike. */
export const branchOf = <T>(
  root: Branch<T>,
  values: TensorValues,
  perModel: readonly TensorValues[],
  shape: string,
): Branch<T> => {
  let branch = follow(root, textOnce(values))
  for (const own of perModel) branch = follow(branch, textOnce(own))
  return follow(branch, shape)
}
