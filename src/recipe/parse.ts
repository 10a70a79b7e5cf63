import { notATemplate } from '../base/catalogue/model-folders.js'
import { isAPart, usesItself } from '../base/catalogue/parts.js'
import { isPresets } from '../base/catalogue/presets.js'
import { SET_PLACE } from '../base/catalogue/settings.js'
import type { Diagnostic, Place, Range, Source } from '../base/diagnostic.js'
import { append } from '../base/lists.js'
import { failed, ok, type Result } from '../base/result.js'
import { readDocument } from '../document/read.js'
import { orderProblems } from '../document/report.js'
import { validate } from '../document/validate.js'
import { toPlain, type Value } from '../document/value.js'
import { operators } from '../operators/index.js'
import type { Kind } from '../operators/value.js'
import { parseSize } from '../safetensors/size.js'
import type { OutputDtype } from '../tensor/dtype.js'
import { advise } from './advice.js'
import { readGrid } from './grid.js'
import { inputEntries, inputProblems, readInputs } from './inputs.js'
import { findCycles, linkNames } from './link.js'
import { checkOutputPath } from './output-path.js'
import { readDeclarations, type Declarations } from './params.js'
import { atRecipe, openUses, readSteps } from './parts.js'
import { expandPresets, presetPaths } from './presets.js'
import type { ChatTemplate, Name, Output, Recipe, Scalar } from './recipe.js'
import { recipeSchema } from './schema.js'
import { flatten, kindIn, stepOf, type Scope } from './scope.js'
import { readDtypes, usesOf } from './step.js'
import { readParams, substitute, type ParamValues } from './substitute.js'
import { readTokenizerChoice } from './tokenizer.js'
import type { Parts } from './used-texts.js'

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
 * kinds, cycles. `parts` are the texts of the parts and presets that it uses.
 */
export const parse = (source: Source, options: ParseOptions = {}, parts: Parts = new Map()): Result<Recipe> => {
  const document = readDocument(source)
  if (document.type === 'failed') return document
  const { declarations, problems: declared } = readDeclarations(document.value, false)
  const { params, problems: paramProblems } = readParams(declarations, options.set ?? {})
  const { value: replaced, problems: unknownParams, open, computed } = substitute(document.value, params)
  const other = otherFile(replaced)
  if (other !== undefined) return failed(other)
  const { value: whole, problems: presetProblems, open: openPresets } = expandPresets(replaced, 'recipe', parts)
  const { plain: root, uses, problems: useProblems } = openUses(whole, atRecipe(whole, parts))
  const checked = validate(
    root,
    get(root, 'models') === undefined && get(root, 'adapters') !== undefined ? OF_ADAPTERS : SCHEMA,
  )
  // Keys at the wrong depth make half of a recipe look wrong: nothing else is worth telling before they are put right.
  if (checked.diagnostics.some((d) => d.code === 'indent')) return failed(...checked.diagnostics)
  const scope: Scope = {
    isRecipe: true,
    declarations: withValues(declarations, params, options.set ?? {}),
    steps: readSteps(root),
    uses,
    results: new Map(),
  }
  const { steps, loops, resolve } = flatten(scope)
  const inputKinds = new Map(inputEntries(root).map(({ name, kind }) => [name, kind]))
  const outputs = readOutputs(root, (name) => inputKinds.get(name) ?? kindIn(scope, name))
  const tokenizer = readTokenizerChoice(root, resolve)
  const linked = [
    ...linkNames(whole, scope),
    ...findCycles(steps, (name) => inputKinds.has(name) || declarations.has(name)),
    ...[...loops].map(({ name, at }) => usesItself(name, at)),
  ]
  const unknown = new Set([...open, ...openPresets].map((range) => range.start))
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
    ...declared,
    ...paramProblems,
    ...readGrid(document.value, declarations).problems,
    ...unknownParams,
    ...presetProblems,
    ...useProblems,
    ...[
      ...advise(root, [...checked.diagnostics, ...linked.filter(isFresh)]),
      ...inputProblems(root),
      ...outputs.problems,
      ...tokenizer.problems,
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
      idleUses: idleUses(scope, outputs.outputs),
      parts: uses.size === 0 && presetPaths(whole).length === 0 ? new Map() : textsOf(parts),
      tokenizer: tokenizer.choice,
      outputs: new Map([...outputs.outputs].map(([name, output]) => [name, renameOutput(output, resolve)])),
    },
    problems,
  )
}

/** A part or a file of presets in the place of a recipe. */
const otherFile = (root: Value): Diagnostic | undefined => {
  if (root.type !== 'map' || root.entries.has('outputs')) return undefined
  const [results, presets] = [root.entries.get('results'), root.entries.get('presets')]
  if (results !== undefined) return isAPart(results.key)
  return presets === undefined || root.entries.has('steps') ? undefined : isPresets(presets.key)
}

/** Declarations with the values that params have been set to as their defaults. */
const withValues = (
  declarations: Declarations,
  params: ParamValues,
  set: Readonly<Record<string, string>>,
): Declarations =>
  new Map(
    [...declarations].map(([name, declared]) => [
      name,
      { ...declared, default: params.get(name), ...(Object.hasOwn(set, name) ? { given: SET_PLACE } : {}) },
    ]),
  )

const renameOutput = (output: Output, resolve: (name: string) => string): Output => ({
  ...output,
  from: { ...output.from, name: resolve(output.from.name) },
  files: output.files === undefined ? undefined : { ...output.files, name: resolve(output.files.name) },
  tags: output.tags.map((tag) => ({ ...tag, name: resolve(tag.name) })),
})

/** The uses of parts that no step, no other use and no output refers to. */
const idleUses = (
  { steps, uses, declarations }: Scope,
  outputs: ReadonlyMap<string, Output>,
): ReadonlyMap<string, Place> => {
  const named = new Set(
    [
      ...[...steps.values()].flatMap(usesOf),
      ...[...uses.values()].flatMap(({ args }) => [...args.values()]),
      ...[...outputs.values()].flatMap(({ from, files, tags }) => [
        from,
        ...(files === undefined ? [] : [files]),
        ...tags,
      ]),
      ...[...declarations.values()].map((declared) => ({ name: String(declared.default) })),
    ].map(({ name }) => stepOf(name)),
  )
  return new Map([...uses].flatMap(([name, { at }]) => (named.has(name) ? [] : [[name, at] as const])))
}

/** The texts that were read, by path. */
const textsOf = (parts: Parts): ReadonlyMap<string, Source> =>
  new Map(
    [...parts]
      .sort(([x], [y]) => (x < y ? -1 : 1))
      .flatMap(([path, read]) => (read.type === 'ok' ? [[path, read.value] as const] : [])),
  )

/** One name, or a list of names. */
const namesIn = (value: Value | undefined): readonly Name[] =>
  (value?.type === 'list' ? value.items : [value]).flatMap((item) =>
    item?.type === 'string' ? [{ name: item.value, at: place(item.range) }] : [],
  )

/** A template is text with braces, which no name has. */
const readChatTemplate = (value: Value | undefined): ChatTemplate | undefined => {
  if (value?.type !== 'string') return undefined
  const [text, at] = [value.value, place(value.range)]
  if (text === 'auto') return { type: 'auto', at }
  return text.includes('{') ? { type: 'text', text, at } : { type: 'model', name: text, at }
}

/** Outputs are read from recipes with problems too, so that a wrong size or path is told together with the rest. */
const readOutputs = (
  root: Value,
  kindOf: (name: string) => Kind | undefined,
): { outputs: Map<string, Output>; problems: Diagnostic[] } => {
  const problems: Diagnostic[] = []
  const models = inputEntries(root).flatMap(({ name, kind }) => (kind === 'model' ? [name] : []))
  const outputs = new Map<string, Output>()
  for (const [name, { key, value }] of mapOf(get(root, 'outputs'))) {
    const [from, path] = [get(value, 'from'), get(value, 'path')]
    if (from?.type !== 'string' || path?.type !== 'string') continue
    const size = get(value, 'shard_size')
    const shards =
      size?.type === 'string'
        ? parseSize(size.value, place(size.range))
        : size?.type === 'number'
          ? parseSize(String(size.value), place(size.range))
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
    const template = readChatTemplate(get(value, 'chat_template'))
    if (template?.type === 'model' && !models.includes(template.name))
      problems.push(notATemplate(template.at, template.name, models))
    outputs.set(name, {
      name,
      at: place(key),
      from: { name: from.value, at: place(from.range) },
      path: path.value,
      pathAt: place(path.range),
      folder: path.value.endsWith('/'),
      files: namesIn(get(value, 'files'))[0],
      chatTemplate: template,
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
