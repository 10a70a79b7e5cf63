import { noTokenizer, promptWithoutTokens, tokenizerFails } from '../base/catalogue/moe.js'
import type { Diagnostic, Place } from '../base/diagnostic.js'
import { append } from '../base/lists.js'
import { reasonOf } from '../base/reason.js'
import { failed, ok, type Result } from '../base/result.js'
import type { ParamSpecs } from '../operators/params.js'
import type { ModelFolder } from '../plan/model-folder.js'
import { usedFiles } from '../plan/provenance.js'
import type { Name, RawArgument, Recipe, Step } from '../recipe/recipe.js'

/** Turns a text into the ids of its tokens, the beginning token in front where a model has one. */
type Tokenize = (text: string) => readonly number[]

type Arguments = Readonly<Record<string, RawArgument>>

const NAME = 'tokenizer.json'

/** The specifications of the parameters of each model of a step’s list. */
const eachSpecs = ({ operator }: Step): ParamSpecs =>
  Object.values(operator.inputs).flatMap((i) => (i.type === 'model' && i.many ? [i.each] : []))[0] ?? {}

/** The texts among prompts. */
const textsIn = (specs: ParamSpecs, args: Arguments): readonly string[] =>
  Object.entries(args).flatMap(([key, argument]) =>
    specs[key]?.type === 'prompts' && argument.type === 'value'
      ? (argument.value as readonly unknown[]).filter((prompt) => typeof prompt === 'string')
      : [],
  )

const hasTexts = (step: Step): boolean =>
  textsIn(step.operator.params, step.params).length > 0 ||
  step.each.some((args) => textsIn(eachSpecs(step), args).length > 0)

/** True where a step has prompts that are texts. */
export const needsTokens = ({ steps }: Recipe): boolean => [...steps.values()].some(hasTexts)

const textOf = (token: unknown): string | undefined => {
  if (typeof token === 'string') return token
  const content = typeof token === 'object' && token !== null && 'content' in token ? token.content : undefined
  return typeof content === 'string' ? content : undefined
}

/** The tokenizer of a folder; a text where it cannot be read. */
const readTokenizer = async (files: ModelFolder['files']): Promise<Tokenize | string> => {
  try {
    const { Tokenizer } = await import('@huggingface/tokenizers')
    const parse = (name: string): Record<string, unknown> => {
      const bytes = files.get(name)
      return bytes === undefined ? {} : (JSON.parse(Buffer.from(bytes).toString('utf8')) as Record<string, unknown>)
    }
    const config = parse('tokenizer_config.json')
    const tokenizer = new Tokenizer(parse(NAME), config)
    const first = textOf(config['bos_token']) ?? textOf(parse('special_tokens_map.json')['bos_token']) ?? ''
    return (text) => tokenizer.encode(first + text, { add_special_tokens: false }).ids
  } catch (error) {
    return reasonOf(error)
  }
}

/** A step whose prompts are tokens; `refuse` is told of prompts that have none. */
const withTokens = (step: Step, tokenize: Tokenize, refuse: (prompt: string, at: Place) => void): Step => {
  const least = tokenize('').length
  const tokensOf = (prompt: string, at: Place): readonly number[] => {
    const tokens = tokenize(prompt)
    if (tokens.length <= least) refuse(prompt, at)
    return tokens
  }
  const replace = (specs: ParamSpecs, args: Arguments): Arguments =>
    Object.fromEntries(
      Object.entries(args).map(([key, argument]) => {
        if (specs[key]?.type !== 'prompts' || argument.type !== 'value') return [key, argument]
        const value = (argument.value as readonly unknown[]).map((p) =>
          typeof p === 'string' ? tokensOf(p, argument.at) : p,
        )
        return [key, { ...argument, value }]
      }),
    )
  const each = eachSpecs(step)
  return {
    ...step,
    params: replace(step.operator.params, step.params),
    each: step.each.map((args) => replace(each, args)),
  }
}

/** What a step refers to first. */
const firstName = (step: Step): Name | undefined => {
  const [names] = Object.values(step.inputs)
  return names === undefined || 'name' in names ? names : names[0]
}

/**
 * Turns prompts that are texts into tokens, by the tokenizer beside the first model of their step: a recipe means the
 * same tokens wherever it is planned.
 */
export const tokenizePrompts = async (
  recipe: Recipe,
  folders: ReadonlyMap<string, ModelFolder>,
): Promise<Result<Recipe>> => {
  if (!needsTokens(recipe)) return ok(recipe)
  const problems: Diagnostic[] = []
  const known = new Map<string, Tokenize | string>()
  const steps = new Map<string, Step>()
  for (const [name, step] of recipe.steps) {
    const base = hasTexts(step) ? firstName(step) : undefined
    const model = base === undefined ? undefined : usedFiles(recipe, base.name)[0]
    if (base === undefined || model === undefined) {
      steps.set(name, step)
      continue
    }
    const files = folders.get(model)?.files
    const at: Place = base.at
    if (files?.has(NAME) !== true) append(problems, [noTokenizer(at, `\`${model}\``)])
    else {
      const tokenize = known.get(model) ?? (await readTokenizer(files))
      known.set(model, tokenize)
      if (typeof tokenize === 'string') append(problems, [tokenizerFails(at, model, tokenize)])
      else
        steps.set(
          name,
          withTokens(step, tokenize, (prompt, where) => problems.push(promptWithoutTokens(where, prompt, model))),
        )
    }
  }
  return problems.length > 0 ? failed(...problems) : ok({ ...recipe, steps })
}
