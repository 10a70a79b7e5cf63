import { mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { errorCode } from './io-problem.js'

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true

const makeOne = (path: string): void => {
  try {
    mkdirSync(path)
  } catch (error) {
    // Another process may have made it meanwhile.
    if (errorCode(error) === 'ENOENT' || !isFolder(path)) throw error
  }
}

/**
 * Makes a folder, and those above it that are missing. Throws what the file system says; Node's own recursive `mkdir`
 * tries for ever where a folder
 * that is there takes no other, as /proc does.
 */
export const makeFolder = (path: string): void => {
  try {
    makeOne(path)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT' || dirname(path) === path) throw error
    makeFolder(dirname(path))
    makeOne(path)
  }
}
