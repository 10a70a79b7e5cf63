import { createRequire } from 'node:module'
import type * as Koffi from 'koffi'
import { reasonOf } from '../../base/reason.js'

type Library = ReturnType<typeof Koffi.load>

/** A shared library of this process, or why there is none. It stays loaded until the process ends. */
export type Loading =
  | { readonly type: 'loaded'; readonly library: Library }
  | { readonly type: 'failed'; readonly reason: string }

let koffi: typeof Koffi | undefined

/** Required late: a platform without its binary must be able to build on the CPU. */
const open = (): typeof Koffi => (koffi ??= createRequire(import.meta.url)('koffi') as typeof Koffi)

/** Why no library can be called from here at all; undefined where they can. */
export const whyNoCalls = (): string | undefined => {
  try {
    open()
    return undefined
  } catch (error) {
    return reasonOf(error).split('\n')[0]
  }
}

const kept = new Map<string, Library>()

/**
 * Loads a library by path, or by the name the system's loader knows it by. What other libraries need of it they find by
 * its name from then on.
 */
export const loadLibrary = (path: string): Loading => {
  try {
    const library = kept.get(path) ?? open().load(path, { global: true })
    kept.set(path, library)
    return { type: 'loaded', library }
  } catch (error) {
    return { type: 'failed', reason: reasonOf(error).replace(/^Failed to load shared library: /, '') }
  }
}

/** Takes back a load by name. */
export const unloadLibrary = (path: string): void => {
  kept.get(path)?.unload()
  kept.delete(path)
}

/**
 * A function of a library by its C declaration; undefined where the library lacks it. It gives a status, 0 for done.
 */
export const bind = (library: Library, declaration: string): ((...args: readonly unknown[]) => number) | undefined => {
  try {
    return library.func(declaration)
  } catch {
    return undefined
  }
}

/**
 * Where in memory a view begins. It stays there as long as nothing else says so: a WebAssembly memory that grows may
 * move.
 */
export const addressOf = (view: Uint8Array): bigint => open().address(view)

/**
 * Sets a word of the environment that libraries read. What a worker thread sees of it is a copy, which they never read.
 */
export const setForLibraries = (name: string, value: string): void => {
  bind(open().load(null), 'int setenv(const char *name, const char *value, int overwrite)')?.(name, value, 1)
}
