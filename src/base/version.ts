import { readFileSync } from 'node:fs'

/** What the package says of itself. */
export interface PackageFacts {
  readonly version: string
  readonly engines: { readonly node: string }
}

/** Reads the package's own description, two folders up from the compiled program. */
export const readPackage = (): PackageFacts =>
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as PackageFacts
