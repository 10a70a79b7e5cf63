import type { Diagnostic, Place } from '../diagnostic.js'
import { entry } from './entry.js'
import { quoteName } from './file-entry.js'

/** The note on a place in a file, for a problem that is shown where the recipe names the file. */
export const FILE_NOTE = 'in this file'

/** An output path that is a folder. */
export const outputNamesFolder = (path: string, better: string, at: Place): Diagnostic =>
  entry('output-names-folder', `${quoteName(path)} names a folder, and a file is to be written`, {
    at,
    help: `add the name of the file: ${quoteName(better)}`,
  })

/** An output of tensors whose extension is not that of safetensors. */
export const outputEnding = (path: string, kind: 'mask' | 'model' | 'adapter', better: string, at: Place): Diagnostic =>
  entry(
    'output-ending',
    `${kind === 'adapter' ? 'an' : 'a'} ${kind} is written as safetensors, and ${quoteName(path)} does not end in \`.safetensors\``,
    {
      at,
      help: `write ${quoteName(better)}: other programs decide by the file extension how to read a file`,
    },
  )

/** A path with a null character, which no system allows. */
export const nullInPath = (path: string, at: Place): Diagnostic =>
  entry('null-in-path', `${quoteName(path)} contains a null character, which no path may`, {
    at,
    help: 'write the path without it',
  })

/** `~user`, which only a shell expands. */
export const otherHome = (path: string, at: Place): Diagnostic =>
  entry('other-home', `${quoteName(path)} begins with the home folder of another user, which smelt does not look up`, {
    at,
    help: 'write `~/` for your own home folder, or the whole path',
  })

/** A Windows path, on a system where a backslash is part of the name. */
export const windowsPath = (path: string, better: string, at: Place): Diagnostic =>
  entry(
    'windows-path',
    `${quoteName(path)} is a Windows path: on this system a backslash or a drive letter is part of the name`,
    { at, help: `write it with \`/\`: ${quoteName(better)}` },
  )
