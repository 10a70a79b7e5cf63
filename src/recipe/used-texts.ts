import { isAbsolute, posix } from 'node:path'
import type { Source } from '../base/diagnostic.js'
import type { Result } from '../base/result.js'

/**
 * The texts of the parts and presets that a recipe uses, or what is wrong with their files, by path: relative to the
 * recipe's folder, or absolute.
 */
export type Parts = ReadonlyMap<string, Result<Source>>

/** The path of a file by which {@link Parts} knows it, given the path of the document that names it. */
export const partPath = (path: string, user: string): string =>
  isAbsolute(path) || path.startsWith('~') ? path : posix.join(posix.dirname(user), path)
