import { paramExpects } from '../base/catalogue/parts.js'
import { unknownParam } from '../base/catalogue/recipe.js'
import { badRange, gridValueWrong, type RangeProblem } from '../base/catalogue/settings.js'
import type { Diagnostic, Place } from '../base/diagnostic.js'
import { append } from '../base/lists.js'
import { find, toPlain, type Value } from '../document/value.js'
import type { Declaration, Declarations } from './params.js'
import { expandRange } from './ranges.js'
import { readParams } from './substitute.js'

/** The most settings of one build. */
export const MOST_SETTINGS = 100

/** A param and the values that it takes in turn. */
export interface Axis {
  readonly name: string
  /** Each once, as texts, in the order in which they are given. */
  readonly values: readonly string[]
}

/** The values that one text stands for: those of a range where the param is a number, else the text itself. */
export const valuesOf = (
  declared: Declaration | undefined,
  text: string,
): { readonly values: readonly string[] } | { readonly text: string; readonly problem: RangeProblem } => {
  if (declared?.expected.type !== 'number' || !text.includes(':')) return { values: [text] }
  const range = expandRange(text, MOST_SETTINGS)
  return range.type === 'values' ? range : { text, problem: range.problem }
}

const gridAxis = (
  declared: Declaration,
  declarations: Declarations,
  value: Value,
): { readonly axis: Axis; readonly problems: readonly Diagnostic[] } => {
  const { name } = declared
  const problems: Diagnostic[] = []
  const values = new Set<string>()
  for (const item of value.type === 'list' ? value.items : [value]) {
    // The schema tells of what is no scalar.
    if (item.type === 'map' || item.type === 'list' || item.type === 'null') continue
    const at: Place = { type: 'text', range: item.range }
    const given = valuesOf(declared, String(toPlain(item)))
    if ('problem' in given) {
      problems.push(badRange(name, given.text, given.problem, at))
      continue
    }
    const wrong = given.values.find((text) => readParams(declarations, { [name]: text }).problems.length > 0)
    if (wrong !== undefined) problems.push(gridValueWrong(name, wrong, paramExpects(declared.expected), at))
    else for (const text of given.values) values.add(text)
  }
  return { axis: { name, values: [...values] }, problems }
}

/** Reads the `grid` of a recipe: lists and ranges of values for its params. */
export const readGrid = (
  root: Value,
  declarations: Declarations,
): { readonly axes: readonly Axis[]; readonly problems: readonly Diagnostic[] } => {
  const block = find(root, ['grid'])
  const axes: Axis[] = []
  const problems: Diagnostic[] = []
  for (const [name, { key, value }] of block?.type === 'map' ? block.entries : []) {
    const declared = declarations.get(name)
    if (declared === undefined) {
      problems.push(unknownParam(name, [...declarations.keys()], key))
      continue
    }
    if (declared.default === undefined) continue
    const read = gridAxis(declared, declarations, value)
    append(problems, read.problems)
    if (read.axis.values.length > 0) axes.push(read.axis)
  }
  return { axes, problems }
}
