/** A value for each tensor, by name; undefined where a step has none. */
export type PerTensor = (tensor: string) => unknown

/** Values of one tensor, by the name of the param. */
export type TensorValues = Readonly<Record<string, unknown>>

/** A trie over lists of facts: equal lists reach the same node, without building a key string. */
interface Branch {
  readonly next: Map<unknown, Branch>
  values: TensorValues | undefined
}

const createBranch = (): Branch => ({ next: new Map(), values: undefined })

const follow = (branch: Branch, fact: unknown): Branch => {
  const known = branch.next.get(fact)
  if (known !== undefined) return known
  const made = createBranch()
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
  const root = createBranch()
  return (tensor) => {
    let branch: Branch | undefined = root
    const own: Record<string, unknown> = {}
    for (const [key, valueOf] of varying) {
      const value = valueOf(tensor)
      own[key] = value
      // Masks and mistakes differ from tensor to tensor, and to a Map -0 is 0.
      if (typeof value === 'object' || Object.is(value, -0)) branch = undefined
      else if (branch !== undefined) branch = follow(branch, value)
    }
    return branch === undefined ? { ...fixed, ...own } : (branch.values ??= { ...fixed, ...own })
  }
}

/** Whether an operator refuses a tensor depends on numbers, on shapes, and on which masks and tensors are present. */
const textOf = (facts: unknown): string =>
  JSON.stringify(facts, (_, value: unknown) =>
    typeof value === 'object' && value !== null && 'id' in value ? 0 : value,
  )

const texts = new WeakMap<object, string>()

const textOnce = (facts: object): string => {
  const known = texts.get(facts)
  if (known !== undefined) return known
  const text = textOf(facts)
  texts.set(facts, text)
  return text
}

/** Returns one object for all tensors that an operator accepts or refuses alike. */
export const createLikeness = () => {
  const root = createBranch()
  return (
    values: TensorValues,
    perModel: readonly TensorValues[],
    shape: readonly number[],
    masked: boolean,
  ): object => {
    let branch = follow(root, textOnce(values))
    for (const own of perModel) branch = follow(branch, textOnce(own))
    return follow(follow(branch, textOnce(shape)), masked)
  }
}
