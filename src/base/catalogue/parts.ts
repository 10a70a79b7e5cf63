import type { Diagnostic, Place, Range } from '../diagnostic.js'
import { didYouMean } from './did-you-mean.js'
import { entry } from './entry.js'
import { SET_PLACE, settingAt } from './settings.js'

const text = (range: Range): Place => ({ type: 'text', range })
const listed = (names: readonly string[]): string => names.map((name) => `\`${name}\``).join(', ')

/** What a step with `use` needs a file of. */
export const A_PART = 'a part of recipes'

/** Where a step uses the part that a problem lies in. */
export const usedHere = (step: string): string => `step \`${step}\` uses this part here`

/** The file of a part was not read: only a recipe that is read from a file has parts. */
export const partNotRead = (path: string, at: Range): Diagnostic =>
  entry('part-not-read', `the part \`${path}\` was not read`, {
    at: text(at),
    help: 'read the recipe with `readRecipe`, which reads its parts too',
  })

/** A part that uses itself, perhaps by way of others. */
export const partCycle = (path: string, at: Range): Diagnostic =>
  entry('part-cycle', `\`${path}\` uses itself`, {
    at: text(at),
    help: 'take the steps that both need into a part of their own',
  })

/** A step with `use` that is given a result of its own. */
export const usesItself = (step: string, at: Place): Diagnostic =>
  entry('cycle', `circular dependency: a param of \`${step}\` is a result of \`${step}\``, {
    at,
    help: 'pass it another value',
  })

/** Parts that use parts that use parts, each several times, make too many steps. */
export const tooManyUses = (most: number, at: Range): Diagnostic =>
  entry('too-many-uses', `the recipe uses parts more than ${most} times`, {
    at: text(at),
    help: 'let parts use fewer others: each use of a part uses everything in it again',
  })

/** A step with an operator and a part. */
export const useAndOp = (step: string, at: Range): Diagnostic =>
  entry('use-and-op', `step \`${step}\` has \`use\` and \`op\``, {
    at: text(at),
    help: 'remove one of them: `use` takes the steps of another file, and `op` is an operator',
  })

/** The path of a part is no text. */
export const usePath = (step: string, at: Range): Diagnostic =>
  entry('use-path', `\`use\` of step \`${step}\` is not a path`, {
    at: text(at),
    help: 'write the path of a part, relative to this file: `use: parts/protect.yaml`',
  })

/** A recipe was used as a part. */
export const notAPart = (path: string, at: Range): Diagnostic =>
  entry('not-a-part', `\`${path}\` is a recipe, and not a part`, {
    at: text(at),
    help: 'a part has `params`, `steps` and `results`, and no `models` and `outputs`: see docs/recipes.md, “Parts”',
  })

/** A part was given where a recipe is built. */
export const isAPart = (at: Range): Diagnostic =>
  entry('is-a-part', 'this file is a part of recipes: it has `results`, and no `outputs`', {
    at: text(at),
    help: 'build a recipe that uses it: `steps: { mine: { use: THIS-FILE.yaml, … } }`',
  })

/** A step that uses a part with several results, or with results of other names. */
export const whichPartResult = (step: string, results: readonly string[], wanted: string, at: Place): Diagnostic =>
  wanted === ''
    ? entry('which-result', `step \`${step}\` has ${results.length} results`, {
        at,
        help: `write one of ${listed(results.map((result) => `${step}.${result}`))}`,
      })
    : entry('unknown-name', `step \`${step}\` has no result \`${wanted}\``, {
        at,
        help:
          didYouMean(wanted, results) ??
          `write one of ${listed(results.map((result) => `${step}.${result}`))}, which are the \`results\` of its part`,
      })

/** A param whose declaration cannot be right. */
export const badParam = (name: string, flaw: ParamFlaw, at: Range): Diagnostic => {
  switch (flaw.type) {
    case 'default':
      return entry('param-default', `the default of \`${name}\` has to be ${flaw.expected}`, {
        at: text(at),
        help: 'change the default, or what the param may be',
      })
    case 'choices':
      return entry('param-choices', `\`${name}\` is a choice without \`choices\``, {
        at: text(at),
        help: 'list what can be chosen: `choices: [lerp, slerp]`',
      })
    case 'no-default':
      return entry('param-default', `\`${name}\` has no default`, {
        at: text(at),
        help: 'add `default: …`: only the params of a part can be left to those who use it',
      })
  }
}

/** What can be wrong with the declaration of a param. */
export type ParamFlaw =
  | { readonly type: 'default'; readonly expected: string }
  | { readonly type: 'choices' }
  | { readonly type: 'no-default' }

/** What a param may be, as an object of “expected”. */
export const paramExpects = (expected: ParamExpectation): string => {
  switch (expected.type) {
    case 'choice':
      return `one of ${listed(expected.choices)}`
    case 'number':
      return [
        'a number',
        ...(expected.min === undefined ? [] : [`at least ${expected.min}`]),
        ...(expected.max === undefined ? [] : [`at most ${expected.max}`]),
      ].join(', ')
    case 'boolean':
      return '`true` or `false`'
    case 'text':
      return 'a text'
    case 'name':
      return `the name of ${expected.kind === 'adapter' ? 'an adapter' : expected.kind === 'weights' ? 'weights' : `a ${expected.kind}`}`
  }
}

/** The values that a param can have. */
export type ParamExpectation =
  | { readonly type: 'number'; readonly min: number | undefined; readonly max: number | undefined }
  | { readonly type: 'text' | 'boolean' }
  | { readonly type: 'choice'; readonly choices: readonly string[] }
  | { readonly type: 'name'; readonly kind: 'model' | 'mask' | 'weights' | 'adapter' }

/** A value of `--set` that its param does not allow. */
export const paramNotAllowed = (name: string, value: string, expected: string, at: Place = SET_PLACE): Diagnostic => {
  const given = settingAt(name, at)
  return entry('param-not-allowed', `\`${given(value)}\`: \`${name}\` has to be ${expected}`, {
    at,
    blame: 'usage',
    help: `write \`${given('…')}\` with ${expected}`,
  })
}
