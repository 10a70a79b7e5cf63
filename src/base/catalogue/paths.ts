import type { Diagnostic, Place } from '../diagnostic.js'
import { entry } from './entry.js'
import { quoteName } from './file-entry.js'

/** What a place in a file is to a problem that is told at the file's place in the recipe. */
export const FILE_NOTE = 'in this file'

/** An output whose path names no file. */
export const outputNamesFolder = (path: string, better: string, at: Place): Diagnostic =>
  entry('output-names-folder', `${quoteName(path)} names a folder, and an output is a file`, {
    at,
    help: `add the name of the file: ${quoteName(better)}`,
  })

/** An output of tensors whose ending says that it is something else, or nothing. */
export const outputEnding = (path: string, kind: 'mask' | 'model', better: string, at: Place): Diagnostic =>
  entry(
    'output-ending',
    `a ${kind} is written as safetensors, and ${quoteName(path)} does not end in \`.safetensors\``,
    {
      at,
      help: `write ${quoteName(better)}: other programs decide by the file extension how to read a file`,
    },
  )

/** The home folder of someone else, which only a shell knows. */
export const otherHome = (path: string, at: Place): Diagnostic =>
  entry('other-home', `${quoteName(path)} begins with the name of a user, which smelt does not look up`, {
    at,
    help: 'write `~/` for your own home folder, or the whole path',
  })

/** A path of Windows, on a system where a backslash is a character of the name. */
export const windowsPath = (path: string, better: string, at: Place): Diagnostic =>
  entry(
    'windows-path',
    `${quoteName(path)} is a path of Windows: on this system a backslash or a drive letter is part of the name`,
    { at, help: `write it with \`/\`: ${quoteName(better)}` },
  )
