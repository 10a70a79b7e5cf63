import * as say from '../base/catalogue/advice.js'
import { tellsMissing } from '../base/catalogue/document.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { toPlain, type MapValue, type Value } from '../document/value.js'
import type { OtherName } from '../base/catalogue/other-names.js'
import { COMMON } from '../operators/aliases.js'
import { knownAs, namedOperators } from '../operators/known-as.js'
import type { Operator } from '../operators/operator.js'
import { findOperator, operators } from '../operators/index.js'
import type { InputSpec, ParamSpec } from '../operators/params.js'
import { adviseNames, adviseShape, mapOf, textOf, type Adviser } from './advice-shape.js'
import { wordsOfAliases } from './words-of-aliases.js'
import { DTYPE_WORDS, INPUT_WORDS, OP_WORDS, OUTPUT_WORDS, PARAMETER_WORDS } from './other-words.js'

/** The numbers of a value, one for each model: of a list its own, else the same for all. */
const shares =
  (value: Value) =>
  (i: number): number | undefined => {
    const own = value.type === 'list' ? value.items[i] : value
    return own === undefined ? undefined : numberOf(own)
  }
const numberOf = (value: Value): number | undefined => (value.type === 'number' ? value.value : undefined)

const manyOf = (operator: Operator): (InputSpec & { type: 'model'; many: true }) | undefined =>
  Object.values(operator.inputs).find(
    (input): input is InputSpec & { type: 'model'; many: true } => input.type === 'model' && input.many,
  )

const namesIn = (value: Value | undefined): readonly string[] => {
  if (value?.type === 'map') return [...value.entries.keys()]
  return value?.type === 'list'
    ? value.items
        .map((item) => textOf(item.type === 'map' ? item.entries.get('model')?.value : item))
        .filter((name) => name !== '')
    : []
}

/** An entry of a table by a word of the user's, which may be `constructor`. */
const wordIn = <T>(table: Readonly<Record<string, T>>, word: string): T | undefined =>
  Object.hasOwn(table, word) ? table[word] : undefined

/** Advice on a parameter that one of some others is called by other programs. */
const adviseWord = (
  problem: Diagnostic,
  word: string,
  value: Value,
  params: Readonly<Record<string, ParamSpec>>,
  taken: ReadonlySet<string>,
): Diagnostic | undefined => {
  for (const own of Object.keys(params)) {
    const turn = taken.has(own) ? undefined : wordIn(PARAMETER_WORDS[own] ?? {}, word)
    if (turn === undefined) continue
    return { same: say.otherWord, turned: say.turnedWord, either: say.eitherWord }[turn](
      problem,
      word,
      own,
      numberOf(value),
    )
  }
  return undefined
}

/** Advice on a word that the aliases of an operator explain. */
const adviseAlias = (problem: Diagnostic, word: string, operator: Operator): Diagnostic | undefined => {
  const found = wordsOfAliases(word, operator)
  return found.length === 0
    ? undefined
    : say.wordsOfAliases(
        problem,
        found.map(({ alias: { name, from }, says }) => ({ name, from, says })),
      )
}

/** Advice on a list where a number of each layer belongs. */
const adviseList = (
  advisers: Map<number, Adviser>,
  entries: MapValue['entries'],
  params: Readonly<Record<string, ParamSpec>>,
): void => {
  for (const [key, { value }] of entries) {
    const spec = Object.hasOwn(params, key) ? params[key] : undefined
    if (spec?.type !== 'number' || !('per' in spec) || value.type !== 'list') continue
    const numbers = value.items.map(numberOf)
    if (numbers.length > 1 && numbers.every((n) => n !== undefined))
      advisers.set(value.range.start, (problem) =>
        problem.code === 'no-such-form' ? say.listAsGradient(problem, key, numbers) : problem,
      )
  }
}

/** The key of a map that a word of other programs stands for. */
const ownName = (
  word: string,
  keys: readonly string[],
  words: Readonly<Record<string, readonly string[]>>,
  taken: MapValue,
): string | undefined => keys.find((key) => !taken.entries.has(key) && words[key]?.includes(word) === true)

/** The keys that a map is said to lack, and has by another name. */
const renamed = (
  map: MapValue,
  keys: readonly string[],
  words: Readonly<Record<string, readonly string[]>>,
): readonly string[] =>
  [...map.entries.keys()].flatMap((word) => (keys.includes(word) ? [] : (ownName(word, keys, words, map) ?? [])))

/** True for a list of models where an operator takes two. */
const isList = (key: string, { inputs }: Operator): boolean =>
  key === 'models' && !('models' in inputs) && 'a' in inputs && 'b' in inputs

/** Keys that name single models where an operator takes a list. */
const sidesOf = (step: MapValue, operator: Operator): readonly string[] =>
  manyOf(operator) === undefined || step.entries.has('models')
    ? []
    : [...step.entries.keys()].filter(
        (key) =>
          !Object.hasOwn(operator.inputs, key) &&
          SIDES.has(key) &&
          ownName(key, Object.keys(operator.inputs), INPUT_WORDS, step) === undefined,
      )

const SIDES: ReadonlySet<string> = new Set(['a', 'b', 'c'].flatMap((side) => [side, ...INPUT_WORDS[side]!]))

/** Keys of an output that are looked for in a step. */
const OF_OUTPUT = ['dtype', 'path', 'shard_size', 'metadata', 'non_finite']

/** Advice on an unknown key of a step; `told` where another of its keys has it. */
const adviseStepKey = (
  problem: Diagnostic,
  key: string,
  value: Value,
  step: MapValue,
  operator: Operator,
): Diagnostic | 'told' | undefined => {
  const taken = new Set(step.entries.keys())
  const many = manyOf(operator)
  if (isList(key, operator)) return say.twoModels(problem, operator.id, namesIn(value))
  const sides = sidesOf(step, operator)
  if (sides.includes(key))
    return sides[0] === key
      ? say.listOfModels(
          problem,
          operator.id,
          sides.map((side) => textOf(step.entries.get(side)!.value)),
        )
      : 'told'
  if (many !== undefined && Object.hasOwn(many.each, key))
    return say.ofEachModel(problem, key, namesIn(step.entries.get('models')?.value), shares(value))
  const word =
    adviseWord(problem, key, value, operator.params, taken) ??
    adviseAlias(problem, key, operator) ??
    (many === undefined ? undefined : adviseWord(problem, key, value, many.each, new Set()))
  if (word !== undefined) return word
  const input = ownName(key, Object.keys(operator.inputs), INPUT_WORDS, step)
  if (input !== undefined) return say.otherWord(problem, key, input, undefined)
  if (key === 'parameters' || key === 'params') return say.withoutNesting(problem, key, [...mapOf(value).keys()])
  return OF_OUTPUT.includes(key) ? say.ofOutput(problem, key) : undefined
}

const lastOf = (name: string): string => name.split('.').at(-1)!.toLowerCase()

/** The operators that other programs have by a name, or by its part behind a dot; undefined where there is none. */
export const operatorLike = (name: string): readonly [OtherName, ...OtherName[]] | undefined => {
  const whole = knownAs(name)
  const found = whole.length > 0 ? whole : knownAs(lastOf(name))
  const ofPrograms = found.filter(({ alias }) => alias.from !== COMMON)
  const names = new Map<string, OtherName>()
  for (const { operator, alias } of ofPrograms.length > 0 ? ofPrograms : found) {
    const key = JSON.stringify([operator.id, alias.settings])
    const from = alias.from === COMMON ? [] : [...(names.get(key)?.from ?? []), alias.from]
    names.set(key, { ...alias, id: operator.id, from })
  }
  const [first, ...others] = names.values()
  return first === undefined ? undefined : [first, ...others]
}

const adviseOperator = (problem: Diagnostic, found: string): Diagnostic => {
  const last = lastOf(found)
  const whole = operators.map((operator) => operator.id).filter((id) => id.split('.')[1] === last)
  if (whole.length > 0) return say.wholeOperator(problem, found, whole)
  const own = operatorLike(found)
  return own === undefined ? problem : say.otherOperator(problem, own)
}

const adviseStep = (advisers: Map<number, Adviser>, step: { readonly key: number; readonly value: MapValue }): void => {
  const { entries } = step.value
  const op = entries.get('op')
  const operator = findOperator(textOf(op?.value))
  if (op === undefined) {
    const [word, entry] = [...entries].find(([key]) => OP_WORDS.includes(key)) ?? []
    advisers.set(step.key, (problem) =>
      problem.code !== 'missing-key'
        ? problem
        : entry === undefined
          ? say.opMissing(problem)
          : say.opInstead(problem, word!, textOf(entry.value)),
    )
  } else if (operator === undefined)
    advisers.set(op.value.range.start, (problem) =>
      problem.code === 'unknown-choice' ? adviseOperator(problem, textOf(op.value)) : problem,
    )
  if (operator === undefined) return
  adviseList(advisers, entries, operator.params)
  for (const [key, entry] of entries) {
    if (operator.params[key]?.type === 'dtypes') adviseDtype(advisers, entry.value)
    advisers.set(entry.key.start, (problem) => {
      if (problem.code !== 'unknown-key') return problem
      const advice = adviseStepKey(problem, key, entry.value, step.value, operator)
      return advice === 'told' ? undefined : (advice ?? problem)
    })
  }
  if ([...entries.keys()].some((key) => isList(key, operator)) || sidesOf(step.value, operator).length > 0)
    advisers.set(step.key, (problem) => (problem.code === 'missing-key' ? undefined : problem))
  else
    advisers.set(step.key, (problem) =>
      renamed(step.value, Object.keys(operator.inputs), INPUT_WORDS).some((key) => tellsMissing(problem, key))
        ? undefined
        : problem,
    )
  const each = manyOf(operator)?.each
  const items = Object.keys(operator.inputs).flatMap((key) => {
    const value = entries.get(key)?.value
    return value?.type === 'list' ? value.items : []
  })
  for (const item of each === undefined ? [] : items) {
    adviseList(advisers, mapOf(item), each!)
    for (const [key, { key: range, value }] of mapOf(item)) {
      advisers.set(range.start, (problem) =>
        problem.code !== 'unknown-key'
          ? problem
          : (adviseWord(problem, key, value, each!, new Set(mapOf(item).keys())) ??
            adviseAlias(problem, key, operator) ??
            (key === 'parameters' ? say.withoutNesting(problem, key, [...mapOf(value).keys()]) : problem)),
      )
    }
  }
}

const adviseDtype = (advisers: Map<number, Adviser>, value: Value): void => {
  const dtype = wordIn(DTYPE_WORDS, textOf(value).toLowerCase())
  if (dtype !== undefined) advisers.set(value.range.start, (problem) => say.otherDtype(problem, textOf(value), dtype))
}

const adviseOutput = (advisers: Map<number, Adviser>, start: number, output: MapValue): void => {
  const keys = Object.keys(OUTPUT_WORDS)
  advisers.set(start, (problem) =>
    renamed(output, keys, OUTPUT_WORDS).some((key) => tellsMissing(problem, key)) ? undefined : problem,
  )
  for (const [key, { key: range, value }] of output.entries) {
    const own = ownName(key, keys, OUTPUT_WORDS, output)
    if (own !== undefined)
      advisers.set(range.start, (problem) =>
        problem.code === 'unknown-key' ? say.otherWord(problem, key, own, undefined) : problem,
      )
    if (key === 'dtype') adviseDtype(advisers, value)
  }
}

/** Advice on an option of a command line that other programs have, as {@link advise} gives it on a key. */
export const adviseOption = (
  problem: Diagnostic,
  operator: Operator,
  word: string,
  text: string | undefined,
): Diagnostic => {
  const number = Number(text === undefined || text === '' ? Number.NaN : text)
  const range = { source: { path: '', text: '' }, start: 0, end: 0 }
  const value: Value = Number.isFinite(number)
    ? { type: 'number', value: number, range }
    : { type: 'null', value: null, range }
  const advice = adviseWord(problem, word, value, { ...operator.params, ...manyOf(operator)?.each }, new Set())
  return advice === undefined ? problem : say.asOptions(advice)
}

/**
 * The problems that a schema found in a recipe, with advice for those who know other programs: their words, and which
 * way their numbers point.
 */
export const advise = (root: Value, problems: readonly Diagnostic[]): readonly Diagnostic[] => {
  if (problems.length === 0) return problems
  const top = mapOf(root)
  const [method] = problems.filter(
    ({ at }) => at?.type === 'text' && at.range.start === top.get('merge_method')?.key.start,
  )
  if (method !== undefined) {
    const name = String(toPlain(top.get('merge_method')!.value))
    return [say.mergekitConfig(method, name, namedOperators(name).length > 0 || knownAs(name).length > 0)]
  }
  const advisers = new Map<number, Adviser>()
  adviseShape(advisers, root)
  for (const [, { key, value }] of mapOf(top.get('steps')?.value))
    if (value.type === 'map') {
      adviseStep(advisers, { key: key.start, value })
      adviseNames(advisers, value, top)
    }
  for (const [, { key, value }] of mapOf(top.get('outputs')?.value))
    if (value.type === 'map') adviseOutput(advisers, key.start, value)
  const advised = problems.flatMap((problem) => {
    const adviser = problem.at?.type === 'text' ? advisers.get(problem.at.range.start) : undefined
    return adviser === undefined ? [problem] : (adviser(problem) ?? [])
  })
  // What is left out is said by another problem, so something is left.
  return advised.length === 0 ? problems : advised
}
