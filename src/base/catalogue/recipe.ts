import type { Diagnostic, Place, Range } from '../diagnostic.js'
import { didYouMean } from './did-you-mean.js'
import { entry } from './entry.js'
import { SET_PLACE, settingAt } from './settings.js'

const text = (range: Range): Place => ({ type: 'text', range })
const oneOf = (names: readonly string[]): string =>
  names
    .slice(0, MOST_LISTED)
    .map((n) => `\`${n}\``)
    .join(', ') + (names.length > MOST_LISTED ? ', …' : '')
const anyOf = (kinds: readonly (keyof typeof KINDS)[]): string =>
  new Intl.ListFormat('en', { type: 'disjunction' }).format(kinds.map((kind) => KINDS[kind]))
const homeOf = (kinds: readonly (keyof typeof KINDS)[]): string =>
  [
    ...(kinds.includes('model') ? ['`models`'] : []),
    ...(kinds.includes('adapter') ? ['`adapters`'] : ['`steps`']),
  ].join(' or ')

const MOST_LISTED = 12

const EXPECTED = { operand: 'a number, a param or `(`', sign: '`+`, `-`, `*`, `/` or the end', ')': '`)`' } as const

/** An expression in `${…}` cannot be computed. */
export const badArithmetic = (expression: string, problem: ArithmeticFlaw, at: Range): Diagnostic => {
  const shown = `\`\${${expression}}\``
  switch (problem.type) {
    case 'syntax':
      return entry(
        'bad-arithmetic',
        `${shown} expects ${EXPECTED[problem.expected]}${problem.found === '' ? ' at its end' : `, not \`${problem.found}\``}`,
        {
          at: text(at),
          help: 'write numbers, params, `+ - * /` and parentheses, such as `${1 - keep}`',
        },
      )
    case 'deep':
      return entry('bad-arithmetic', `${shown} has too many parentheses or signs inside each other`, {
        at: text(at),
        help: 'write a simpler expression',
      })
    case 'not-a-number':
      return entry('bad-arithmetic', `${shown} computes with \`${problem.name}\`, which is not a number`, {
        at: text(at),
        help: `give \`${problem.name}\` a number under \`params\`, or write it as \`$${problem.name}\` alone`,
      })
    case 'minus-in-name':
      return entry('bad-arithmetic', `unknown param \`${problem.name}\``, {
        at: text(at),
        help: `put spaces around the minus: \`${problem.name.replaceAll('-', ' - ')}\` (names may contain \`-\`)`,
      })
    case 'function':
      return entry('bad-arithmetic', `${shown} calls \`${problem.name}\`, and there are no functions`, {
        at: text(at),
        help: 'write numbers, params, `+ - * /` and parentheses, such as `${1 - keep}`',
      })
    case 'infinite':
      return entry('bad-arithmetic', `${shown} divides by zero or is too large for a number`, {
        at: text(at),
        help: 'check the params that it divides by',
      })
  }
}

/** A mistake in an expression. */
export type ArithmeticFlaw =
  | { readonly type: 'syntax'; readonly found: string; readonly expected: keyof typeof EXPECTED }
  | { readonly type: 'deep' | 'infinite' }
  | { readonly type: 'not-a-number' | 'minus-in-name' | 'function'; readonly name: string }

/** Steps that need each other's results. */
export const cycle = (edges: readonly { from: string; to: string; at: Place }[]): Diagnostic =>
  entry('cycle', `circular dependency: ${[edges[0]!.from, ...edges.map((e) => e.to)].join(' → ')}`, {
    at: edges[0]!.at,
    related: edges.slice(1).map((e) => ({ at: e.at, message: `\`${e.from}\` uses \`${e.to}\`` })),
    help: 'change one of these references so that no step needs its own result',
  })

/** A name that is defined twice. */
export const nameTwice = (name: string, at: Range, first: Range): Diagnostic =>
  entry('name-twice', `\`${name}\` is defined twice`, {
    at: text(at),
    related: [{ at: text(first), message: 'first defined here' }],
    help: 'rename one of the two: models, adapters, params and steps share one namespace',
  })

/** A value of `--set` that does not have the type of its param. */
export const paramWrongType = (
  name: string,
  value: string,
  type: string,
  meant?: number,
  at: Place = SET_PLACE,
): Diagnostic => {
  const given = settingAt(name, at)
  return entry('param-wrong-type', `\`${given(value)}\` is not a ${type}, but \`${name}\` is a ${type} in the recipe`, {
    at,
    blame: 'usage',
    help:
      meant === undefined
        ? `write \`${given('…')}\` with ${type === 'boolean' ? '`true` or `false`' : `a ${type}`}`
        : `write \`${given(String(meant))}\``,
  })
}

/**
 * A name that nothing in the recipe has, where a value of one of some kinds is needed; `fitting` are the names of such
 * values, `known` all names.
 */
export const unknownName = (
  name: string,
  kinds: readonly (keyof typeof KINDS)[],
  fitting: readonly string[],
  known: readonly string[],
  at: Place,
): Diagnostic =>
  entry('unknown-name', `unknown name \`${name}\``, {
    at,
    help:
      didYouMean(name, known) ??
      (kinds.length === 1 && kinds[0] === 'weights'
        ? `write a number, or the name of a step that yields weights${fitting.length === 0 ? '' : `: ${oneOf(fitting)}`}`
        : `write the name of ${anyOf(kinds)} (${fitting.length === 0 ? 'there is none yet' : oneOf(fitting)}), or add \`${name}\` under ${homeOf(kinds)}`),
  })

/** `--set` for a param that the recipe does not have. */
export const unknownOverride = (name: string, known: readonly string[], at: Place = SET_PLACE): Diagnostic =>
  entry('unknown-override', `the recipe has no param \`${name}\` to set`, {
    at,
    blame: 'usage',
    help:
      didYouMean(name, known) ??
      (known.length === 0
        ? `declare it in the recipe: \`params: { ${name}: 0.5 }\``
        : `set one of its params: ${oneOf(known)}`),
  })

/** A `$name` without a param. */
export const unknownParam = (name: string, known: readonly string[], at: Range): Diagnostic =>
  entry('unknown-param', `unknown param \`${name}\``, {
    at: text(at),
    help:
      didYouMean(name, known) ??
      `declare it: \`params: { ${name}: 0.5 }\`${known.length === 0 ? '' : `; the recipe has ${oneOf(known)}`}`,
  })

/** How messages name the kinds of value. */
const KINDS = {
  model: 'a model',
  delta: 'a difference of two models',
  mask: 'a mask',
  weights: 'a weights step',
  adapter: 'an adapter',
  report: 'a report',
  param: 'a param',
} as const

/**
 * A step's result is of another kind than the place it is used at asks for. `isInput` is true for what stands under
 * `models`, and `makers` are operators that make what is asked for.
 */
export const wrongKind = (
  name: string,
  found: keyof typeof KINDS,
  expected: readonly (keyof typeof KINDS)[],
  at: Place,
  definedAt: Place,
  isInput: boolean,
  makers: readonly string[],
): Diagnostic => {
  const needed = anyOf(expected)
  const [maker] = makers
  const numbers = expected.includes('weights') ? 'write a number, such as `0.5`, or ' : ''
  const help = (): string => {
    if (found === 'param') return `write \`$${name}\` for the value of the param`
    if (expected.includes('delta')) return 'use the name of a step that makes one, such as `model.subtract`'
    if (isInput && expected.length === 1 && expected[0] === 'adapter')
      return `if its file is a LoRA or similar, move \`${name}\` from \`models\` to \`adapters\``
    return maker === undefined
      ? `${numbers}use the name of ${needed}; \`smelt ops\` shows what each operator yields`
      : `${numbers}use the name of ${needed}; ${oneOf(makers.slice(0, 3))} and others make one: see \`smelt ops ${maker.split('.')[0]!}\``
  }
  return entry('wrong-kind', `expected ${needed}; \`${name}\` is ${KINDS[found]}`, {
    at,
    related: [{ at: definedAt, message: `\`${name}\` is defined here` }],
    help: help(),
  })
}

/** A step with several results is used without saying which. */
export const whichResult = (name: string, count: number, at: Place): Diagnostic =>
  entry('which-result', `step \`${name}\` has ${count} results`, {
    at,
    help: `write one of ${Array.from({ length: count }, (_, i) => `\`${name}.${i + 1}\``).join(', ')}`,
  })
