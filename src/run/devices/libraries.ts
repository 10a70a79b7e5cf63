import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DRIVER, LIBRARIES } from './cuda-parts.js'
import { loadLibrary, unloadLibrary } from './ffi.js'
import type { LibraryLocation } from './places.js'

/** A library that CUDA needs. */
export interface FoundLibrary {
  /** The name that others ask for. */
  readonly name: string
  /** Where it was found; undefined where it was not. */
  readonly path: string | undefined
  /** Why what was found cannot be loaded. */
  readonly failure: string | undefined
}

/** The file of a library that this process has loaded, by the system's own list. */
const mappedAs = (name: string): string | undefined => {
  const stem = name.replace(/(\.\d+)*$/, '')
  try {
    return readFileSync('/proc/self/maps', 'utf8')
      .split('\n')
      .map((line) => /\/.*$/.exec(line)?.[0] ?? '')
      .find((path) => path.slice(path.lastIndexOf('/') + 1).startsWith(stem))
  } catch {
    return undefined
  }
}

const fromFolder = (names: readonly string[], folder: string): FoundLibrary[] | undefined => {
  const paths = names.map((name) => join(folder, name))
  if (!paths.every((path) => existsSync(path))) return undefined
  return names.map((name, i) => {
    const loading = loadLibrary(paths[i]!)
    return { name, path: paths[i], failure: loading.type === 'failed' ? loading.reason : undefined }
  })
}

const fromLoader = (names: readonly string[]): FoundLibrary[] | undefined => {
  const failing = names.findIndex((name) => loadLibrary(name).type === 'failed')
  if (failing === -1) return names.map((name) => ({ name, path: mappedAs(name) ?? name, failure: undefined }))
  for (const name of names.slice(0, failing)) unloadLibrary(name)
  return undefined
}

const findGroup = (names: readonly string[], places: readonly LibraryLocation[]): FoundLibrary[] => {
  for (const place of places) {
    const found = place.type === 'folder' ? fromFolder(names, place.path) : fromLoader(names)
    if (found !== undefined) return found
  }
  return names.map((name) => ({ name, path: undefined, failure: undefined }))
}

/**
 * Finds the libraries and loads each as soon as it is found, in the order of their dependencies: later libraries and
 * the provider find a loaded one by name. Libraries that belong together come from one place. If the first one found
 * cannot be loaded, the search does not go on: which one is used must not depend on luck.
 */
export const loadLibraries = (places: readonly LibraryLocation[]): readonly FoundLibrary[] =>
  [...LIBRARIES.map((group) => group.map((part) => part.name)), [DRIVER]].flatMap((names) => findGroup(names, places))
