import type { Diagnostic } from '../diagnostic.js'
import { didYouMean } from './did-you-mean.js'
import { entry } from './entry.js'

const ofCall = (call: string, option: string) =>
  ({ at: { type: 'option', name: `${call}: ${option}` }, blame: 'usage' }) as const

/** A library function was called with a wrong argument. */
export const argumentWrong = (call: string, name: string, expected: string, found: string): Diagnostic =>
  entry('argument-wrong', `\`${name}\` of \`${call}\` is ${found}; expected ${expected}`, {
    ...ofCall(call, name),
    help: `pass ${expected}`,
  })

/** A library function was called with an unknown option. */
export const optionUnknown = (call: string, name: string, known: readonly string[]): Diagnostic =>
  entry('option-unknown', `\`${call}\` has no option \`${name}\``, {
    ...ofCall(call, name),
    help: didYouMean(name, known) ?? `use one of ${known.map((k) => `\`${k}\``).join(', ')}`,
  })

/** A plan that was made only to find mistakes: running it would write empty files. */
export const planWithoutWork = (call: string): Diagnostic =>
  entry('plan-without-work', `this plan was made with \`jobs: false\`, so it cannot be run`, {
    ...ofCall(call, 'plan'),
    help: 'make it without `jobs: false`',
  })
