import type { Diagnostic } from '../diagnostic.js'
import { entry } from './entry.js'
import { inBytes, inFile, quoteName, refusal } from './file-entry.js'

/** What was being done to a file when the system call failed. */
export type IoOperation = 'create' | 'read' | 'rename' | 'sync' | 'write'

/** A URL where a path is needed. */
export const addressNotPath = (path: string, address: string): Diagnostic =>
  refusal(
    'address-not-path',
    path,
    `${quoteName(address)} is a URL, and a path on this machine is needed here`,
    'download the file and pass its path; for a model on the Hugging Face hub, pass the name of its repository, such as `org/name`',
  )

/** A missing path with backslashes, on a system where they are part of the name. */
export const backslashInPath = (path: string, meant: string, exists: boolean): Diagnostic =>
  refusal(
    'file-missing',
    path,
    `there is no file ${path}: on this system a backslash is part of the name`,
    exists
      ? `did you mean ${quoteName(meant)}?`
      : 'write the path with `/`, and check it: paths in a recipe are relative to the recipe',
  )

/** The disk or the quota is full. */
export const diskFull = (path: string, doing: IoOperation, code: string): Diagnostic =>
  entry('disk-full', `no space left to ${doing} ${path} (${code})`, {
    ...inFile(path),
    blame: 'retry',
    help: 'free some space or raise the quota, then run the same command again',
  })

/** Too little disk space, noticed before work starts. */
export const diskTooSmall = (path: string, need: number, free: number): Diagnostic =>
  entry('disk-too-small', `not enough space in ${path}: ${inBytes(need)} needed, ${inBytes(free)} free`, {
    ...inFile(path),
    blame: 'retry',
    help: 'free some space or choose another folder, then run the same command again',
  })

/** A file that cannot be used at the moment. */
export const fileBusy = (path: string, doing: IoOperation, code: string): Diagnostic =>
  entry('file-busy', `cannot ${doing} ${path} at the moment (${code})`, {
    ...inFile(path),
    blame: 'retry',
    help: 'close the program that uses it, or some open files, then run the same command again',
  })

/** A missing file, with similar names. */
export const fileMissing = (path: string, near: readonly string[]): Diagnostic => {
  const help =
    near.length > 0
      ? `did you mean ${near.map(quoteName).join(' or ')}?`
      : 'check the path: no file there has a similar name'
  return refusal('file-missing', path, `there is no file ${path}`, help)
}

/** A file larger than the file system or a process limit allows. */
export const fileTooLarge = (path: string, doing: IoOperation): Diagnostic =>
  refusal(
    'file-too-large',
    path,
    `cannot ${doing} ${path}: it would be larger than the file system or \`ulimit -f\` allows`,
    'raise the limit, write to another disk, or write shards',
  )

/** A path through a missing folder. */
export const folderMissing = (path: string, folder: string): Diagnostic =>
  refusal(
    'file-missing',
    path,
    `there is no file ${path}: the folder ${folder} does not exist or cannot be listed`,
    'check the path: paths in a recipe are relative to the recipe',
  )

/** Any other failed file operation. */
export const ioFailed = (path: string, doing: IoOperation, code: string): Diagnostic =>
  entry('io-failed', `cannot ${doing} ${path} (${code})`, {
    ...inFile(path),
    blame: 'run',
    help: 'check the disk and the connection to it (the system log may tell more), then run the same command again',
  })

/** A symbolic link to something that is not there. */
export const linkBroken = (path: string, target: string): Diagnostic =>
  refusal(
    'file-missing',
    path,
    `${path} is a symbolic link to ${quoteName(target)}, and nothing is there`,
    'download the file again, or pass another path; a folder of such links, as in the Hugging Face cache, is copied with `cp -rL`',
  )

/** Symbolic links that lead to each other. */
export const linkLoop = (path: string): Diagnostic =>
  refusal(
    'link-loop',
    path,
    `${path} leads nowhere: its symbolic links lead in a circle`,
    'remove the link, or point it at the file itself',
  )

/** A path, or a part of one, of more letters than the file system allows. */
export const nameTooLong = (path: string, doing: IoOperation): Diagnostic =>
  refusal(
    'name-too-long',
    path,
    `cannot ${doing} ${path}: its name is too long`,
    'choose a shorter name: most file systems allow 255 bytes for each part of a path',
  )

/** A path that needs a folder where a file is, or a file where a folder is. */
export const notAPlace = (path: string, doing: IoOperation, code: string): Diagnostic =>
  refusal(
    'not-a-place',
    path,
    `cannot ${doing} ${path}: something else is in the way (${code})`,
    'choose another path: every part before the last has to be a folder, and the last must not be one',
  )

/** Missing permissions, or a read-only file system. */
export const notPermitted = (path: string, doing: IoOperation, code: string): Diagnostic =>
  refusal(
    'not-permitted',
    path,
    `permission denied: cannot ${doing} ${path} (${code})`,
    'check its permissions and those of its folder, or choose another path',
  )

/** A file that has become shorter than its header said when it was opened. */
export const readPastEnd = (path: string, offset: number, missing: number): Diagnostic =>
  entry(
    'read-past-end',
    `${path} ends at byte ${offset}, ${inBytes(missing)} too early: it was truncated while it was read`,
    {
      ...inFile(path, undefined, offset),
      blame: 'run',
      help: 'make sure that no other program writes to it, then run the same command again',
    },
  )
