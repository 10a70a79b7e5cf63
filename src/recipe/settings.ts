import { tooManySettings } from '../base/catalogue/recipe.js'
import type { Source } from '../base/diagnostic.js'
import { failed, ok, type Result } from '../base/result.js'
import { readDocument } from '../document/read.js'
import type { Value } from '../document/value.js'

/** Values for some params of a recipe. */
export interface ParamChoice {
  /** Its label, such as `keep=0.4`; empty if there is only one setting. */
  readonly label: string
  readonly set: Readonly<Record<string, string>>
}

/** The most settings of one build. */
const MOST = 100

const under = (root: Value, key: string): Value | undefined =>
  root.type === 'map' ? root.entries.get(key)?.value : undefined

/** True where a comma separates values: always in a number or a boolean, and in a text when paths are made of it. */
const isList = (name: string, root: Value): boolean => {
  const declared = under(under(root, 'params') ?? root, name)
  if (declared?.type === 'number' || declared?.type === 'boolean') return true
  const outputs = under(root, 'outputs')
  return (
    declared?.type === 'string' &&
    outputs?.type === 'map' &&
    [...outputs.entries.values()].some(({ value }) => {
      const path = under(value, 'path')
      return path?.type === 'string' && path.value.includes(`\${${name}}`)
    })
  )
}

/** All settings that `--set` gives: `keep=0.2,0.4` is two, and lists of several params give every combination. */
export const expandSettings = (
  source: Source,
  set: Readonly<Record<string, string>>,
): Result<readonly ParamChoice[]> => {
  const whole: ParamChoice = { label: '', set }
  if (!Object.values(set).some((text) => text.includes(','))) return ok([whole])
  const document = readDocument(source)
  // What is wrong with the text is told when it is parsed.
  if (document.type === 'failed') return ok([whole])
  const lists = Object.entries(set).filter(([name, text]) => text.includes(',') && isList(name, document.value))
  const choices = lists.reduce<readonly ParamChoice[]>(
    (before, [name, text]) =>
      before.flatMap((choice) =>
        [...new Set(text.split(',').map((t) => t.trim()))].map((value): ParamChoice => ({
          label: [...(choice.label === '' ? [] : [choice.label]), `${name}=${value}`].join(', '),
          set: { ...choice.set, [name]: value },
        })),
      ),
    [whole],
  )
  return choices.length > MOST ? failed(tooManySettings(choices.length, MOST)) : ok(choices)
}
