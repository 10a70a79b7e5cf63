import type { Diagnostic } from '../diagnostic.js'
import { entry } from './entry.js'

/** Worker threads need more address space than the process may have. `fitting` is how many would fit. */
export const addressSpaceTooSmall = (
  threads: number,
  needed: number,
  left: number,
  limit: number,
  fitting: number,
): Diagnostic => {
  const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`
  return entry(
    'address-space-too-small',
    `${threads} worker${threads === 1 ? '' : 's'} would reserve ${gigabytes(needed)} of address space, but this process has ${gigabytes(left)} of ${gigabytes(limit)} left`,
    {
      blame: 'run',
      help: `${fitting > 0 ? `use \`--workers ${fitting}\`, or ` : ''}raise the limit with \`ulimit -v unlimited\`; memory is reserved, not used`,
    },
  )
}

/** An allocation failed; `reason` is the system's message. */
export const tooLittleMemory = (reason: string): Diagnostic =>
  entry('too-little-memory', `there is not enough memory: ${reason}`, {
    blame: 'run',
    help: 'raise the limit with `ulimit -v unlimited`, or free some memory, then run the same command again',
  })

/** The limit on open files is too low; `reason` is the system's message. */
export const tooManyOpenFiles = (reason: string): Diagnostic =>
  entry('too-many-open-files', `this process may not open as many files as smelt needs: ${reason}`, {
    blame: 'retry',
    help: 'raise the limit with `ulimit -n 4096`, or use fewer workers, then run the same command again',
  })
