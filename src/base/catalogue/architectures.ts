import type { Diagnostic, Place } from '../diagnostic.js'
import { entry } from './entry.js'
import { listNames } from './file-entry.js'

/** A block-weight list for an architecture that has no standard one. */
export const noBlockWeightList = (architecture: string | undefined, at?: Place): Diagnostic =>
  entry('no-block-weight-list', `${architecture ?? 'an unknown architecture'} has no standard list of block weights`, {
    at,
    help: 'give numbers by pattern instead, for example `"block:layer.{0..7}": 0.3`, or a `gradient` over the layers',
  })

/** A block-weight list of a length that the architecture's lists do not have. */
export const wrongBlockWeightCount = (
  architecture: string,
  given: number,
  allowed: readonly number[],
  at?: Place,
): Diagnostic =>
  entry(
    'wrong-block-weight-count',
    `${architecture} takes ${allowed.join(', ').replace(/, (\d+)$/, ' or $1')} block weights, not ${given}`,
    {
      at,
      help: 'see `smelt ops weights.mbw` for the positions; a list made for another architecture does not fit',
    },
  )

/** What the names of a model of unknown architecture look like, as the end of a sentence; empty without tensors. */
export const seenInstead = ({
  resemblance,
  beginnings,
}: {
  readonly resemblance:
    | { readonly title: string; readonly fitting: number; readonly tensors: number; readonly shaped: boolean }
    | undefined
  readonly beginnings: readonly string[]
}): string => {
  if (resemblance !== undefined) {
    const { title, fitting, tensors, shaped } = resemblance
    return `${shaped ? 'only ' : ''}${fitting} of ${tensors} tensors are named as in ${title}${shaped ? '' : ', but with other shapes'}`
  }
  return beginnings.length === 0 ? '' : `the names begin with ${listNames(beginnings, 5)}`
}
