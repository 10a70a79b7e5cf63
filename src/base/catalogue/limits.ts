import type { Diagnostic } from '../diagnostic.js'
import { entry } from './entry.js'

/** Threads need more address space than the process may have. `fitting` is how many would do. */
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
    `${threads} worker${threads === 1 ? '' : 's'} would reserve ${gigabytes(needed)} of address space, and this process has ${gigabytes(left)} of ${gigabytes(limit)} left`,
    {
      blame: 'run',
      help: `${fitting > 0 ? `use \`--workers ${fitting}\`, or ` : ''}raise the limit with \`ulimit -v unlimited\`; memory is reserved, not used`,
    },
  )
}

/** The system has no memory left for a part of smelt; `reason` is what it said. */
export const tooLittleMemory = (reason: string): Diagnostic =>
  entry('too-little-memory', `there is not enough memory: ${reason}`, {
    blame: 'run',
    help: 'raise the limit with `ulimit -v unlimited`, or free some memory, then run the same command again',
  })

/** The process may not open as many files as smelt needs; `reason` is what the system said. */
export const tooManyOpenFiles = (reason: string): Diagnostic =>
  entry('too-many-open-files', `this process may not open as many files as smelt needs: ${reason}`, {
    blame: 'retry',
    help: 'raise the limit with `ulimit -n 4096`, or use fewer workers, then run the same command again',
  })
