/** A tensor as the golden files write it; `bool` values are 0 and 1. */
export interface PlainTensor {
  readonly dtype: 'f32' | 'f16' | 'bf16' | 'bool' | 'i64'
  readonly shape: readonly number[]
  readonly values: readonly number[]
}

/** The tensors of one file by name. */
export type PlainFile = Readonly<Record<string, PlainTensor>>

/** A recipe as plain data, the way YAML reads it. */
export interface PlainRecipe {
  readonly smelt: 1
  readonly seed?: number | string
  readonly models: Readonly<Record<string, string>>
  readonly adapters?: Readonly<Record<string, string>>
  readonly steps: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  readonly outputs: Readonly<Record<string, { readonly from: string; readonly path: string; readonly delta?: boolean }>>
}

/**
 * Files, a recipe over them, and what its outputs must hold: all tensors of each output, or that the recipe is refused,
 * with which code.
 */
export interface RecipeRun {
  /** By file name, as the recipe's `models` refer to them. */
  readonly files: Readonly<Record<string, PlainFile>>
  readonly recipe: PlainRecipe
  readonly expect: Readonly<Record<string, PlainFile>> | 'refusal'
  readonly code?: string
  /** An output may hold further tensors if they are false throughout. */
  readonly falseMayBeAbsent?: boolean
  readonly tolerance: { readonly rtol: number; readonly atol: number }
}

/** Puts a run together: files become models of their name, or adapters, the last step is written, and nothing else. */
export const runOf = (
  files: Readonly<Record<string, PlainFile>>,
  steps: PlainRecipe['steps'],
  expect: PlainFile | 'refusal',
  more: {
    readonly adapters?: readonly string[]
    readonly delta?: boolean
    readonly falseMayBeAbsent?: boolean
    readonly code?: string
    readonly tolerance?: RecipeRun['tolerance']
  } = {},
): RecipeRun => ({
  files: Object.fromEntries(Object.entries(files).map(([name, tensors]) => [`${name}.safetensors`, tensors])),
  recipe: {
    smelt: 1,
    models: namesOf(Object.keys(files).filter((name) => more.adapters?.includes(name) !== true)),
    ...(more.adapters === undefined ? {} : { adapters: namesOf(more.adapters) }),
    steps,
    outputs: {
      out: {
        from: Object.keys(steps).at(-1)!,
        path: 'out.safetensors',
        ...(more.delta === true ? { delta: true } : {}),
      },
    },
  },
  expect: expect === 'refusal' ? expect : { out: expect },
  ...(more.code === undefined ? {} : { code: more.code }),
  ...(more.falseMayBeAbsent === true ? { falseMayBeAbsent: true } : {}),
  tolerance: more.tolerance ?? { rtol: 1e-6, atol: 1e-6 },
})

const namesOf = (names: readonly string[]): Record<string, string> =>
  Object.fromEntries(names.map((name) => [name, `${name}.safetensors`]))

/** Everything that is wrong with the tensors of one output, as sentences; empty when all is as expected. */
export const compareFile = (run: RecipeRun, expected: PlainFile, found: PlainFile): readonly string[] => [
  ...Object.keys(expected)
    .filter((name) => !(name in found))
    .map((name) => `${name} is missing`),
  ...Object.entries(found).flatMap(([name, tensor]) => {
    const wanted = expected[name]
    if (wanted !== undefined) return compareTensor(name, wanted, tensor, run.tolerance)
    return run.falseMayBeAbsent === true && tensor.values.every((x) => x === 0) ? [] : [`${name} is not expected`]
  }),
]

const compareTensor = (
  name: string,
  wanted: PlainTensor,
  found: PlainTensor,
  { rtol, atol }: RecipeRun['tolerance'],
): readonly string[] => {
  if (wanted.dtype !== found.dtype) return [`${name} is ${found.dtype}, not ${wanted.dtype}`]
  if (wanted.shape.join() !== found.shape.join()) return [`${name} is [${found.shape}], not [${wanted.shape}]`]
  return wanted.values.flatMap((x, i) => {
    const y = found.values[i] ?? NaN
    return Math.abs(y - x) <= atol + rtol * Math.abs(x) ? [] : [`${name}[${i}] is ${y}, not ${x}`]
  })
}
