import type { Diagnostic, Place } from '../diagnostic.js'
import { entry } from './entry.js'

/** Why a range has no values. */
export type RangeProblem =
  | { readonly type: 'form' }
  | { readonly type: 'step' }
  | { readonly type: 'many'; readonly count: number; readonly most: number }

/** Where values for params are given on the command line. */
export const SET_PLACE = { type: 'option', name: '--set' } as const
/** Where a file of them is named. */
export const SET_FILE_PLACE = { type: 'option', name: '--set-file' } as const

/** How a value of a param is written where values are given: `--set keep=0.5`, or `keep=0.5` in a file. */
export const settingAt =
  (name: string, at: Place) =>
  (value: string): string =>
    `${at.type === 'option' && at.name === '--set' ? '--set ' : ''}${name}=${value}`

const blameOf = (at: Place) => (at.type === 'option' ? 'usage' : 'input')

/** The expected kind of file, for messages. */
export const A_SET_FILE = 'a CSV file of settings'

/** A range of numbers for a param that cannot be read, or is too long. */
export const badRange = (name: string, text: string, problem: RangeProblem, at: Place): Diagnostic => {
  const what = (): string => {
    if (problem.type === 'form') return `is not a range of numbers`
    if (problem.type === 'step') return `never reaches its end`
    return `has ${problem.count} values, and one build does at most ${problem.most}`
  }
  return entry('bad-range', `\`${text}\`, for \`${name}\`, ${what()}`, {
    at,
    blame: blameOf(at),
    help:
      problem.type === 'many'
        ? 'use a larger step, or build in several runs'
        : 'write `start:end:step`, for example `0:1:0.1`, whose step leads from the start to the end',
  })
}

/** A value of `grid` that its param cannot have. */
export const gridValueWrong = (name: string, text: string, expected: string, at: Place): Diagnostic =>
  entry('grid-value', `\`${name}\` has to be ${expected}; \`${text}\` is not`, {
    at,
    help: `write ${expected}, or change what \`params\` says of \`${name}\``,
  })

/** Lists and ranges that give too many combinations. */
export const tooManySettings = (count: number, most: number, at: Place): Diagnostic =>
  entry(
    'too-many-settings',
    `the values given for params make ${count} combinations, and one build does at most ${most}`,
    {
      at,
      blame: blameOf(at),
      help: 'give fewer values, or build in several runs',
    },
  )

/** What is wrong with a file of settings. */
export type SetFileProblem =
  | { readonly type: 'empty' }
  | { readonly type: 'quote' }
  | { readonly type: 'name'; readonly name: string }
  | { readonly type: 'cells'; readonly found: number; readonly expected: number }
  | { readonly type: 'separator'; readonly found: 'semicolons' | 'tabs' }

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`

/** A file of settings that cannot be read. */
export const badSetFile = (problem: SetFileProblem, at: Place = SET_FILE_PLACE): Diagnostic => {
  const what = (): string => {
    switch (problem.type) {
      case 'empty':
        return 'this file of settings has no rows'
      case 'quote':
        return 'this quoted value has no closing quote'
      case 'name':
        return problem.name === '' ? 'a column has no name' : `two columns are called \`${problem.name}\``
      case 'cells':
        return `this row has ${counted(problem.found, 'value')}; the first line names ${counted(problem.expected, 'param')}`
      case 'separator':
        return `this file separates values by ${problem.found}`
    }
  }
  return entry('bad-set-file', what(), {
    at,
    blame: 'usage',
    help:
      problem.type === 'separator'
        ? 'save it with commas between the values, and with decimal points: `0.3,0.5`'
        : 'write the names of params in the first line, such as `keep,density`, and one setting in each line below, such as `0.3,0.5`',
  })
}

const TABLE_PLACE = { type: 'option', name: '--table' } as const

/** A table of outputs in a form that there is not. */
export const tableEnding = (path: string, endings: readonly string[]): Diagnostic =>
  entry('table-ending', `cannot write a table as ${path}: unknown extension`, {
    at: TABLE_PLACE,
    blame: 'usage',
    help: `end the path in ${endings.map((ending) => `.${ending}`).join(' or ')}`,
  })

/** The table of outputs could not be written; the build itself is done. */
export const tableNotWritten = (path: string, reason: string): Diagnostic =>
  entry('table-not-written', `the table ${path} could not be written: ${reason}`, {
    severity: 'warning',
    blame: 'run',
    at: TABLE_PLACE,
    help: 'choose another place and build again, which is quick: the outputs are up to date',
  })

/** An option that would write over the file of settings. */
export const writesSettings = (option: string, path: string): Diagnostic =>
  entry('writes-settings', `\`${option}\` would write over ${path}, which \`--set-file\` reads`, {
    at: { type: 'option', name: option },
    blame: 'usage',
    help: 'name another file',
  })
