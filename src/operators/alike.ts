/** A value for each tensor, by name; undefined where a step has none. */
export type PerTensor = (tensor: string) => unknown

/** Values of one tensor, by the name of the param. */
export type TensorValues = Readonly<Record<string, unknown>>

interface Branch {
  readonly next: Map<unknown, Branch>
  values: TensorValues | undefined
}

const createBranch = (): Branch => ({ next: new Map(), values: undefined })

/**
 * Gives the values of each tensor: one object for all tensors with the same numbers and words, of which a model of
 * thousands of tensors has few.
 */
export const createValues = (
  entries: readonly (readonly [string, PerTensor | undefined])[],
): ((tensor: string) => TensorValues) => {
  const root = createBranch()
  return (tensor) => {
    const all = entries.map(([, value]) => value?.(tensor))
    const make = (): TensorValues => Object.fromEntries(entries.map(([key], i) => [key, all[i]]))
    // Masks and mistakes differ from tensor to tensor, and to a Map -0 is 0.
    if (all.some((value) => typeof value === 'object' || Object.is(value, -0))) return make()
    let branch = root
    for (const value of all) {
      const next = branch.next.get(value) ?? createBranch()
      branch.next.set(value, next)
      branch = next
    }
    return (branch.values ??= make())
  }
}

/** Numbers and shapes decide what an operator refuses; of masks and tensors only that they are there. */
const textOf = (facts: unknown): string =>
  JSON.stringify(facts, (_, value: unknown) =>
    typeof value === 'object' && value !== null && 'id' in value ? 0 : value,
  )

/**
 * Tells how alike tensors are to an operator; equal texts are one, and what all tensors have in common is written down
 * once.
 */
export const createLikeness = () => {
  const texts = new WeakMap<object, string>()
  const known = new Map<string, string>()
  const part = (facts: object): string => {
    const text = texts.get(facts) ?? textOf(facts)
    texts.set(facts, text)
    return text
  }
  return (
    values: TensorValues,
    perModel: readonly TensorValues[],
    shape: readonly number[],
    masked: boolean,
  ): string => {
    const text = `${part(values)}${perModel.map(part).join('')}${part(shape)}${masked}`
    const same = known.get(text) ?? text
    known.set(same, same)
    return same
  }
}
