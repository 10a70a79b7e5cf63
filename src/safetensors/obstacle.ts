import { accessSync, constants, lstatSync, readlinkSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { outputBelowFile, outputIsLink, outputIsSpecial } from '../base/catalogue/special-files.js'
import type { Diagnostic, Place } from '../base/diagnostic.js'
import { errorCode, ioProblem } from './io-problem.js'
import { specialKind } from './regular-file.js'

/**
 * What keeps a file from being written at a path: only nothing, or a regular file, may stand there. `label` and `at`
 * are for the words.
 */
export const obstacleAt = (path: string, label: string, at: Place): Diagnostic | undefined => {
  try {
    const found = lstatSync(path)
    if (found.isSymbolicLink()) return outputIsLink(label, resolve(dirname(path), readlinkSync(path)), at)
    const kind = specialKind(found)
    return kind === undefined ? undefined : outputIsSpecial(label, kind, at)
  } catch (error) {
    // Whatever else keeps it from being looked at is told when it is written.
    if (errorCode(error) === '') throw error
    return errorCode(error) === 'ENAMETOOLONG' ? { ...ioProblem(error, path, 'create'), at } : undefined
  }
}

/**
 * What keeps a file from being made below the nearest thing above its path that is there: it has to be a folder, and,
 * for what is `written` in any case, one that takes new files.
 */
export const folderObstacle = (path: string, label: string, at: Place, written: boolean): Diagnostic | undefined => {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    try {
      if (!statSync(folder).isDirectory()) return outputBelowFile(label, folder, at)
      if (written) accessSync(folder, constants.W_OK)
      return undefined
    } catch (error) {
      const missing = ['ENOENT', 'ENOTDIR'].includes(errorCode(error))
      // Whether what is perhaps not written could be is told when it is.
      if (!missing || dirname(folder) === folder)
        return written ? { ...ioProblem(error, path, 'create'), at } : undefined
    }
  }
}
