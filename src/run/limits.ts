import { tooLittleMemory, tooManyOpenFiles } from '../base/catalogue/limits.js'
import type { Diagnostic } from '../base/diagnostic.js'

/**
 * What the system, the loader of libraries and V8 say when there are no descriptors left, and when there is no memory.
 */
const [FILES, MEMORY] = [
  /\b(EMFILE|ENFILE)\b|too many open files/i,
  /\bENOMEM\b|cannot allocate (wasm )?memory|could not allocate memory|allocation failed|failed to map segment/i,
]

/**
 * Recognises, from an error's text, that a limit of the process caused it: a library that cannot be loaded gives no
 * error code. Imports next to nothing, so that it can be loaded first.
 */
export const explainLimit = (reason: string): Diagnostic | undefined => {
  const [line = ''] = reason.split('\n')
  if (FILES.test(line)) return tooManyOpenFiles(line)
  return MEMORY.test(line) ? tooLittleMemory(line) : undefined
}
