type Tensors = ReadonlyMap<string, { readonly shape: readonly number[] }>

/** The outputs and inputs of a layer, by its factors. */
type Sides = readonly [outputs: number, inputs: number]

/** What a bias tells of a layer, whose outputs it has a number for: whether they are the columns of its weight. */
const toldByBias = (weight: string, tensors: Tensors): boolean | undefined => {
  const [rows, columns, ...more] = tensors.get(weight)?.shape ?? []
  const bias = tensors.get(weight.replace(/weight$/, 'bias'))?.shape
  if (rows === columns || more.length > 0 || bias?.length !== 1) return undefined
  return bias[0] === columns ? true : bias[0] === rows ? false : undefined
}

/** What the biases of the layers beside a weight tell of it; undefined where none tells, or they tell different things. */
const tellBeside = (tensors: Tensors): ((weight: string) => boolean | undefined) => {
  const known = new Map<string, boolean | undefined>()
  const look = (parent: string): boolean | undefined => {
    const told = new Set(
      [...tensors.keys()].flatMap((name) =>
        name.startsWith(parent) && name.endsWith('.weight') ? (toldByBias(name, tensors) ?? []) : [],
      ),
    )
    return told.size === 1 ? [...told][0] : undefined
  }
  return (weight) => {
    const parent = weight.slice(0, weight.lastIndexOf('.', weight.length - '.weight'.length - 1) + 1)
    if (!known.has(parent)) known.set(parent, look(parent))
    return known.get(parent)
  }
}

/**
 * Whether a layer stores its inputs as rows and its outputs as columns, as those of GPT-2 do (Conv1D of transformers).
 * PEFT turns the change of each layer as that layer needs it, and its config says only what the last of them needed. So
 * the factors tell it; for a square weight the biases of the layers beside it; and what is `said` counts for the rest.
 * Convolutions have their outputs first, whatever is said.
 */
export const storesInputsFirst = (
  tensors: Tensors,
  said: boolean,
): ((weight: string, sides: Sides | undefined) => boolean) => {
  const toldBeside = tellBeside(tensors)
  return (weight, sides) => {
    const [rows, columns, ...more] = tensors.get(weight)?.shape ?? []
    if (more.length > 0) return false
    if (sides === undefined || columns === undefined) return said
    if (rows !== columns) {
      const fits = ([first, second]: readonly number[]): boolean => first === rows && second === columns
      return fits(sides) ? false : fits(sides.toReversed()) ? true : said
    }
    return toldBeside(weight) ?? said
  }
}

/**
 * The same, told by a model alone, for factors that are to be made of its weights: {@link storesInputsFirst} tells the
 * same of them if a config says what is true of any of them.
 */
export const keepsInputsFirst = (tensors: Tensors): ((weight: string) => boolean) => {
  const any = [...tensors.keys()].some((name) => name.endsWith('.weight') && toldByBias(name, tensors) === true)
  if (!any) return () => false
  const toldBeside = tellBeside(tensors)
  return (weight) => {
    const [rows, columns, ...more] = tensors.get(weight)?.shape ?? []
    if (columns === undefined || more.length > 0) return false
    return rows === columns ? (toldBeside(weight) ?? true) : toldByBias(weight, tensors) === true
  }
}
