import type { Diagnostic, Place, Range, Source } from '../base/diagnostic.js'
import { append } from '../base/lists.js'
import { failed, ok, type Result } from '../base/result.js'
import { readDocument } from '../document/read.js'
import { orderProblems } from '../document/report.js'
import { validate } from '../document/validate.js'
import { toPlain, type Value } from '../document/value.js'
import type { Operator } from '../operators/operator.js'
import { findOperator, operators } from '../operators/index.js'
import type { Kind } from '../operators/value.js'
import { parseSize } from '../safetensors/size.js'
import type { OutputDtype } from '../tensor/dtype.js'
import { advise } from './advice.js'
import { inputEntries, readInputs } from './inputs.js'
import { linkNames, stepOf } from './link.js'
import { checkOutputPath } from './output-path.js'
import type { Name, Output, Recipe, Scalar, Step } from './recipe.js'
import { recipeSchema } from './schema.js'
import { readDtypes, readStep } from './step.js'
import { readParams, substitute } from './substitute.js'

/** Options that change a recipe. */
export interface ParseOptions {
  /** Values for the recipe's params, as texts. */
  readonly set?: Readonly<Record<string, string>>
}

const SCHEMA = recipeSchema(operators, { editor: false })
/** Recipes over adapters alone have no models. */
const OF_ADAPTERS = { ...SCHEMA, required: ['smelt', 'adapters', 'outputs'] }

const place = (range: Range): Place => ({ type: 'text', range })
const mapOf = (value: Value | undefined): ReadonlyMap<string, { readonly key: Range; readonly value: Value }> =>
  value?.type === 'map' ? value.entries : new Map()
const get = (value: Value, key: string): Value | undefined => mapOf(value).get(key)?.value
const textOf = (value: Value | undefined): string | undefined => (value?.type === 'string' ? value.value : undefined)

/**
 * Reads a recipe's text. All its problems are reported at once, in order of place: syntax, keys and values, names,
 * kinds, cycles.
 */
export const parse = (source: Source, options: ParseOptions = {}): Result<Recipe> => {
  const document = readDocument(source)
  if (document.type === 'failed') return document
  const { params, problems: paramProblems } = readParams(document.value, options.set ?? {})
  const { value: root, problems: unknownParams, open, computed } = substitute(document.value, params)
  const checked = validate(
    root,
    get(root, 'models') === undefined && get(root, 'adapters') !== undefined ? OF_ADAPTERS : SCHEMA,
  )
  // Keys at the wrong depth make half of a recipe look wrong: nothing else is worth telling before they are put right.
  if (checked.diagnostics.some((d) => d.code === 'indent')) return failed(...checked.diagnostics)
  const steps = readSteps(root)
  const inputKinds = new Map(inputEntries(root).map(({ name, kind }) => [name, kind]))
  const outputs = readOutputs(root, (name) => inputKinds.get(name) ?? steps.get(stepOf(name))?.operator.output)
  const unknown = new Set(open.map((range) => range.start))
  const inKnown = ({ at }: Diagnostic): boolean => at?.type !== 'text' || !unknown.has(at.range.start)
  // A text where a number belongs is not also the name of nothing, and without models, or with steps in a list, nothing has a name.
  const told = new Set(checked.diagnostics.flatMap(({ at }) => (at?.type === 'text' ? [at.range.start] : [])))
  const isFresh = ({ at, code }: Diagnostic): boolean =>
    (at?.type !== 'text' || !told.has(at.range.start)) &&
    !(
      code === 'unknown-name' &&
      ((get(root, 'models') ?? get(root, 'adapters'))?.type !== 'map' || get(root, 'steps')?.type === 'list')
    )
  const problems = orderProblems([
    ...document.diagnostics,
    ...paramProblems,
    ...unknownParams,
    ...[
      ...advise(root, [...checked.diagnostics, ...linkNames(root, steps).filter(isFresh)]),
      ...outputs.problems,
    ].filter(inKnown),
  ])
  if (problems.some((d) => d.severity === 'error')) return failed(...problems)
  const seed = get(root, 'seed')
  return ok(
    {
      source,
      name: textOf(get(root, 'name')) ?? 'recipe',
      seed: seed?.type === 'number' || seed?.type === 'string' ? seed.value : 0,
      params: Object.fromEntries(params) as Readonly<Record<string, Scalar>>,
      computed,
      inputs: readInputs(root),
      steps,
      outputs: outputs.outputs,
    },
    problems,
  )
}

const readSteps = (root: Value): Map<string, Step> =>
  new Map(
    [...mapOf(get(root, 'steps'))].flatMap(([name, { key, value }]) => {
      const operator: Operator | undefined = findOperator(textOf(get(value, 'op')) ?? '')
      return operator === undefined || value.type !== 'map'
        ? []
        : [[name, readStep(name, key, value, operator)] as const]
    }),
  )

/** One name, or a list of names. */
const namesIn = (value: Value | undefined): readonly Name[] =>
  (value?.type === 'list' ? value.items : [value]).flatMap((item) =>
    item?.type === 'string' ? [{ name: item.value, at: place(item.range) }] : [],
  )

/** Outputs are read from recipes with problems too, so that a wrong size or path is told together with the rest. */
const readOutputs = (
  root: Value,
  kindOf: (name: string) => Kind | undefined,
): { outputs: Map<string, Output>; problems: Diagnostic[] } => {
  const problems: Diagnostic[] = []
  const outputs = new Map<string, Output>()
  for (const [name, { key, value }] of mapOf(get(root, 'outputs'))) {
    const [from, path] = [get(value, 'from'), get(value, 'path')]
    if (from?.type !== 'string' || path?.type !== 'string') continue
    const size = get(value, 'shard_size')
    const shards =
      size?.type === 'string'
        ? parseSize(size.value, place(size.range))
        : size?.type === 'number'
          ? ok(size.value)
          : undefined
    if (shards?.type === 'failed') append(problems, shards.diagnostics)
    const wrong =
      path.value === ''
        ? undefined
        : checkOutputPath(
            { name, path: path.value, at: place(path.range), sharded: size !== undefined },
            kindOf(from.value),
          )
    if (wrong !== undefined) problems.push(wrong)
    const dtypes = readDtypes(get(value, 'dtype'))
    outputs.set(name, {
      name,
      at: place(key),
      from: { name: from.value, at: place(from.range) },
      path: path.value,
      pathAt: place(path.range),
      dtype: (dtypes.default ?? 'same') as OutputDtype,
      dtypeRules: dtypes.entries.map(({ pattern, text }) => ({ pattern, dtype: text as OutputDtype })),
      shardBytes: shards?.type === 'ok' ? shards.value : undefined,
      delta: toPlain(get(value, 'delta') ?? { type: 'boolean', value: false, range: path.range }) === true,
      nonFinite: textOf(get(value, 'non_finite')) === 'allow' ? 'allow' : 'error',
      tags: namesIn(get(value, 'tags')),
      metadata: Object.fromEntries([...mapOf(get(value, 'metadata'))].map(([k, e]) => [k, textOf(e.value) ?? ''])),
    })
  }
  return { outputs, problems }
}
