import type { Diagnostic } from '../diagnostic.js'
import { didYouMean } from './did-you-mean.js'
import { entry } from './entry.js'

const ofCall = (call: string, option: string) =>
  ({ at: { type: 'option', name: `${call}: ${option}` }, blame: 'usage' }) as const

/** A call of the library with something else than it takes at one place. */
export const argumentWrong = (call: string, name: string, expected: string, found: string): Diagnostic =>
  entry('argument-wrong', `\`${name}\` of \`${call}\` is ${found}, and ${expected} is needed`, {
    ...ofCall(call, name),
    help: `pass ${expected}`,
  })

/** An option of the library that there is not. */
export const optionUnknown = (call: string, name: string, known: readonly string[]): Diagnostic =>
  entry('option-unknown', `\`${call}\` has no option \`${name}\``, {
    ...ofCall(call, name),
    help: didYouMean(name, known) ?? `use some of ${known.map((k) => `\`${k}\``).join(', ')}`,
  })

/** A plan that was made to find mistakes only, and would write empty files. */
export const planWithoutWork = (call: string): Diagnostic =>
  entry('plan-without-work', `this plan was made with \`jobs: false\` and says nothing of how to build its outputs`, {
    ...ofCall(call, 'plan'),
    help: 'make it without `jobs: false`',
  })
