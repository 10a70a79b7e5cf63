import type { Diagnostic, Place } from '../diagnostic.js'
import { entry } from './entry.js'
import { inBytes, inFile } from './file-entry.js'

/** What a path is, if not a regular file. */
export type SpecialKind = keyof typeof KINDS

const KINDS = {
  'block-device': 'a block device',
  device: 'a device',
  fifo: 'a FIFO (named pipe)',
  folder: 'a folder',
  socket: 'a socket',
} as const

const ELSEWHERE = 'write to another path'

/** A file larger than any real one of its kind. */
export const fileOversized = (path: string, wanted: string, size: number, most: number): Diagnostic =>
  entry('file-oversized', `${path} has ${inBytes(size)}; ${wanted} has at most ${inBytes(most)}`, {
    ...inFile(path),
    help: `check that it is ${wanted}`,
  })

/** Something else where a file is to be read; `wanted` is what should be there, such as "a recipe". */
export const notARegularFile = (path: string, kind: SpecialKind, wanted: string): Diagnostic =>
  kind === 'folder'
    ? entry('folder-not-file', `${path} is a folder, not ${wanted}`, { ...inFile(path), help: 'pass the file in it' })
    : entry('not-a-file', `${path} is ${KINDS[kind]}, not ${wanted}`, {
        ...inFile(path),
        help: 'copy its contents to a file, and pass that file',
      })

/** A path through a file, as if it were a folder. */
export const outputBelowFile = (path: string, file: string, at: Place): Diagnostic =>
  entry('output-below-file', `cannot create ${path}: ${file} is a file, not a folder`, { at, help: ELSEWHERE })

/** An output would replace the config of an adapter. */
export const outputIsConfig = (path: string, input: string, at: Place): Diagnostic =>
  entry('output-is-input', `${path} is also read, as the config of \`${input}\``, {
    at,
    help: `${ELSEWHERE}: a merge never changes its inputs`,
  })

/** A symbolic link where a file is to be written. Its target may be shared with others, as in a cache of downloads. */
export const outputIsLink = (path: string, target: string, at: Place): Diagnostic =>
  entry('output-is-link', `${path} is a symbolic link to ${target}, and smelt neither replaces nor follows links`, {
    at,
    help: `use ${target} itself, or remove the link`,
  })

/** An output would be a second model in a folder that an input names. */
export const outputInModel = (path: string, input: string, at: Place): Diagnostic =>
  entry(
    'output-in-model',
    `${path} would be a second model in the folder that \`${input}\` names, which may hold only one`,
    { at, help: 'write to another folder' },
  )

/** An output would be a second model in the folder that another output is. */
export const outputInFolder = (path: string, folder: string, at: Place, other: Place): Diagnostic =>
  entry('output-in-model', `${path} would be a second model in ${folder}, which is an output and may hold only one`, {
    at,
    related: [{ message: 'the folder is written here', at: other }],
    help: 'write to another folder',
  })

/** An output would replace the lock. */
export const outputIsLock = (path: string, at: Place): Diagnostic =>
  entry('output-is-lock', `${path} is the lock of this recipe`, { at, help: ELSEWHERE })

/** A FIFO, a socket or a device where a file is to be written. */
export const outputIsSpecial = (path: string, kind: SpecialKind, at: Place): Diagnostic =>
  entry(kind === 'folder' ? 'output-is-folder' : 'output-is-special', `${path} is ${KINDS[kind]}`, {
    at,
    help: kind === 'folder' ? 'name a file in it' : 'write to a regular file, and copy it from there',
  })

/** `smelt watch` got something that cannot hold events. */
export const eventsNotAFile = (path: string, kind: SpecialKind): Diagnostic =>
  notARegularFile(path, kind, 'a file of events')
