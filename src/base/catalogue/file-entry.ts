import type { Diagnostic, Place } from '../diagnostic.js'
import { escapeControls } from '../excerpt.js'
import { entry } from './entry.js'

/** A name from a file, safe to print: it cannot move the cursor, reverse a line or fill the screen. */
export const quoteName = (name: string): string =>
  `\`${escapeControls(name.length > 200 ? `${name.slice(0, 200)}…` : name)}\``

/** A command on a file or folder, ready to paste. */
export const commandOn = (command: string, path: string): string =>
  `\`${command} ${/^[\w./~+=@%,:-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`}\``

/** The command that repairs a file or folder. */
export const repairCommand = (path: string): string => commandOn('smelt repair', path)

/** The first names (or numbers) of a list, and how many more there are. */
export const listNames = (names: readonly (string | number)[], most = 10): string => {
  const shown = names.slice(0, most).map((name) => (typeof name === 'number' ? String(name) : quoteName(name)))
  return shown.join(', ') + (names.length > most ? ` and ${names.length - most} more` : '')
}

/** The shape of a tensor: `[320, 640]`. */
export const shapeText = (shape: readonly number[]): string => `[${shape.join(', ')}]`

/** A number of bytes, with thousands separators. */
export const inBytes = (n: number | bigint): string =>
  `${n.toLocaleString('en-US')} byte${n === 1 || n === 1n ? '' : 's'}`

/** "tensor `x` of FILE", with the number of others if one is shown for `count`. */
export const ofFile = (tensor: string, path: string, count = 1): string => {
  const others = count > 1 ? ` and ${(count - 1).toLocaleString('en-US')} other${count > 2 ? 's' : ''}` : ''
  return `tensor ${quoteName(tensor)}${others} of ${path}`
}

/** The place of a problem in a binary file. */
export const inFile = (path: string, tensor?: string, offset?: number): { at: Place } => ({
  at: { type: 'file', path, ...(tensor === undefined ? {} : { tensor }), ...(offset === undefined ? {} : { offset }) },
})

/** An error in one of the user's files. */
export const refusal = (
  code: string,
  path: string,
  message: string,
  help: string,
  tensor?: string,
  offset?: number,
): Diagnostic => entry(code, message, { ...inFile(path, tensor, offset), help })

/** A warning about one of the user's files. */
export const warning = (code: string, path: string, message: string, help: string, tensor?: string): Diagnostic =>
  entry(code, message, { ...inFile(path, tensor), help, severity: 'warning' })
