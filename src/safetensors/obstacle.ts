import { accessSync, constants, lstatSync, readlinkSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { outputBelowFile, outputIsLink, outputIsSpecial } from '../base/catalogue/special-files.js'
import type { Diagnostic, Place } from '../base/diagnostic.js'
import { errorCode, ioProblem } from './io-problem.js'
import { specialKind } from './regular-file.js'

/** What keeps a file from being written at a path: only nothing, or a regular file, may stand there. `label` and `at` are for the words. */
export const obstacleAt = (path: string, label: string, at: Place): Diagnostic | undefined => {
  try {
    const found = lstatSync(path)
    if (found.isSymbolicLink()) return outputIsLink(label, resolve(dirname(path), readlinkSync(path)), at)
    const kind = specialKind(found)
    return kind === undefined ? undefined : outputIsSpecial(label, kind, at)
  } catch (error) {
    // Whatever else keeps it from being looked at is told when it is written.
    if (errorCode(error) === '') throw error
    return undefined
  }
}

/** What keeps files from being made in the folder of a path, or in the nearest one above it that is there. */
export const folderObstacle = (path: string, label: string, at: Place): Diagnostic | undefined => {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    try {
      if (!statSync(folder).isDirectory()) return outputBelowFile(label, folder, at)
      accessSync(folder, constants.W_OK)
      return undefined
    } catch (error) {
      const missing = ['ENOENT', 'ENOTDIR'].includes(errorCode(error))
      if (!missing || dirname(folder) === folder) return { ...ioProblem(error, path, 'create'), at }
    }
  }
}
