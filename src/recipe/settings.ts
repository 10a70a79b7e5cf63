import { badRange, SET_PLACE, tooManySettings } from '../base/catalogue/settings.js'
import type { Diagnostic, Place, Source } from '../base/diagnostic.js'
import { append, groupBy } from '../base/lists.js'
import { failed, ok, type Result } from '../base/result.js'
import { readDocument } from '../document/read.js'
import { find, type Value } from '../document/value.js'
import { MOST_SETTINGS, readGrid, valuesOf, type Axis } from './grid.js'
import { readDeclarations, type Declaration, type Declarations } from './params.js'
import { placeOfRow } from './set-file.js'
import { readParams } from './substitute.js'

/** Values for some params of a recipe. */
export interface ParamChoice {
  /** Its label, such as `keep=0.4`; empty if there is only one setting. */
  readonly label: string
  readonly set: Readonly<Record<string, string>>
}

/** True where a path of the outputs is made of a param. */
const isInPath = (name: string, root: Value): boolean => {
  const outputs = find(root, ['outputs'])
  return (
    outputs?.type === 'map' &&
    [...outputs.entries.values()].some(({ value }) => {
      const path = find(value, ['path'])
      return path?.type === 'string' && path.value.includes(`\${${name}}`)
    })
  )
}

/**
 * True where a comma separates values: always in a number, a boolean or the name of an input or step, and in other
 * texts when paths are made of them.
 */
const isList = ({ name, expected }: Declaration, text: string, root: Value): boolean => {
  if (expected.type === 'choice' && expected.choices.includes(text)) return false
  return ['number', 'boolean', 'name'].includes(expected.type) || isInPath(name, root)
}

const labelOf = (choice: ParamChoice, more: string): string => (choice.label === '' ? more : `${choice.label}, ${more}`)

/**
 * All settings of a build: every combination of the lists and ranges that the recipe's `grid` and `--set` give, for each
 * of the `rows` of `--set-file`. `keep=0.2,0.4` is two settings, `keep=0:1:0.1` eleven. What `--set` gives wins over a
 * row, and that over the grid.
 */
export const expandSettings = (
  source: Source,
  set: Readonly<Record<string, string>>,
  rows: readonly Readonly<Record<string, string>>[] = [],
): Result<readonly ParamChoice[]> => {
  const whole: ParamChoice = { label: '', set }
  const isPlain = rows.length === 0 && !/\bgrid\b/.test(source.text)
  if (isPlain && !Object.values(set).some((text) => /[,:]/.test(text))) return ok([whole])
  const document = readDocument(source)
  // What is wrong with the text is told when it is parsed.
  if (document.type === 'failed') return ok([whole])
  const root = document.value
  const { declarations } = readDeclarations(root, false)
  const grid = readGrid(root, declarations)
  if (grid.problems.length > 0) return ok([whole])
  const problems: Diagnostic[] = []
  const listed = Object.entries(set).flatMap(([name, text]): Axis[] => {
    const declared = declarations.get(name)
    const texts = declared !== undefined && isList(declared, text, root) ? text.split(',').map((t) => t.trim()) : [text]
    const values = texts.flatMap((one) => {
      const given = valuesOf(declared, one)
      if ('values' in given) return given.values
      problems.push(badRange(name, given.text, given.problem, SET_PLACE))
      return []
    })
    return values.length === 1 && values[0] === text ? [] : [{ name, values: [...new Set(values)] }]
  })
  append(problems, problemsOf(rows, set, declarations))
  if (problems.length > 0) return failed(...problems)
  const given = new Set([...Object.keys(set), ...rows.flatMap((row) => Object.keys(row))])
  const axes = [...grid.axes.filter(({ name }) => !given.has(name)), ...listed]
  const count = axes.reduce((n, { values }) => n * values.length, Math.max(1, rows.length))
  if (count > MOST_SETTINGS) return failed(tooManySettings(count, MOST_SETTINGS, placeOf(root, listed, rows.length)))
  const ofRows = rows.map((row): ParamChoice => ({
    label: rows.length === 1 ? '' : labelOfRow(row, set),
    set: { ...row, ...set },
  }))
  const choices = axes.reduce<readonly ParamChoice[]>(
    (before, { name, values }) =>
      before.flatMap((choice) =>
        values.map((value) => ({
          label: labelOf(choice, `${name}=${value}`),
          set: { ...choice.set, [name]: value },
        })),
      ),
    ofRows.length === 0 ? [whole] : ofRows,
  )
  // By values, not by words: 0.1 and 0.10 are one, and so are a default and what is left out.
  const key = ({ set: chosen }: ParamChoice): string => {
    const { params, problems: wrong } = readParams(declarations, chosen)
    return JSON.stringify(wrong.length > 0 ? chosen : [...params])
  }
  return ok([...groupBy(choices, key).values()].map(([first]) => first!))
}

/** What is wrong with the rows of a file: names that are no params once, values in each row. */
const problemsOf = (
  rows: readonly Readonly<Record<string, string>>[],
  set: Readonly<Record<string, string>>,
  declarations: Declarations,
): readonly Diagnostic[] => {
  const seen = new Set<string>()
  return rows.flatMap((row) => {
    const own = Object.entries(row).filter(
      ([name]) => !Object.hasOwn(set, name) && (declarations.has(name) || !seen.has(name)),
    )
    for (const [name] of own) seen.add(name)
    return readParams(declarations, Object.fromEntries(own), placeOfRow(row)).problems
  })
}

const labelOfRow = (row: Readonly<Record<string, string>>, set: Readonly<Record<string, string>>): string =>
  Object.entries(row)
    .filter(([name]) => !Object.hasOwn(set, name))
    .map(([name, value]) => `${name}=${value}`)
    .join(', ')

/** Whom too many settings are told of. */
const placeOf = (root: Value, listed: readonly Axis[], rows: number): Place => {
  const grid = find(root, ['grid'])
  if (listed.length > 0 || (rows === 0 && grid === undefined)) return SET_PLACE
  return rows > 0 || grid === undefined ? { type: 'option', name: '--set-file' } : { type: 'text', range: grid.range }
}
