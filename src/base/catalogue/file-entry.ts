import type { Diagnostic, Place } from '../diagnostic.js'
import { escapeControls } from '../excerpt.js'
import { entry } from './entry.js'

/** A name out of a file, fit to be printed: nothing in it can move a cursor, reverse a line or fill a screen. */
export const quoteName = (name: string): string =>
  `\`${escapeControls(name.length > 200 ? `${name.slice(0, 200)}…` : name)}\``

/** The command that repairs a file or folder, as it can be typed. */
export const repairCommand = (path: string): string =>
  `\`smelt repair ${/^[\w./~+=@%,:-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`}\``

/** The first names (or numbers) of a list, and how many more there are. */
export const listNames = (names: readonly (string | number)[], most = 10): string => {
  const shown = names.slice(0, most).map((name) => (typeof name === 'number' ? String(name) : quoteName(name)))
  return shown.join(', ') + (names.length > most ? ` and ${names.length - most} more` : '')
}

/** A number of bytes, with the thousands set apart. */
export const inBytes = (n: number | bigint): string =>
  `${n.toLocaleString('en-US')} byte${n === 1 || n === 1n ? '' : 's'}`

/** "tensor `x` of FILE", with the number of others where one stands for `count`. */
export const ofFile = (tensor: string, path: string, count = 1): string => {
  const others = count > 1 ? ` and ${(count - 1).toLocaleString('en-US')} other${count > 2 ? 's' : ''}` : ''
  return `tensor ${quoteName(tensor)}${others} of ${path}`
}

/** The place of a problem in a binary file. */
export const inFile = (path: string, tensor?: string, offset?: number): { at: Place } => ({
  at: { type: 'file', path, ...(tensor === undefined ? {} : { tensor }), ...(offset === undefined ? {} : { offset }) },
})

/** An error that a file of the user's causes. */
export const refusal = (
  code: string,
  path: string,
  message: string,
  help: string,
  tensor?: string,
  offset?: number,
): Diagnostic => entry(code, message, { ...inFile(path, tensor, offset), help })

/** A warning about a file of the user's. */
export const warning = (code: string, path: string, message: string, help: string, tensor?: string): Diagnostic =>
  entry(code, message, { ...inFile(path, tensor), help, severity: 'warning' })
