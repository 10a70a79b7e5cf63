import type { Diagnostic } from '../diagnostic.js'
import { entry } from './entry.js'

/** A lock file that cannot be parsed. */
export const lockInvalid = (path: string, reason: string): Diagnostic =>
  entry('lock-invalid', `${path} is not a lock file this version of smelt can read: ${reason}`, {
    at: { type: 'file', path },
    blame: 'lock',
    help: 'restore it from git, or delete it and build without `--frozen` to make a new one',
  })

/** A lock that cannot be read, where a build writes a new one. */
export const lockReplaced = ({ code, message, at }: Diagnostic): Diagnostic =>
  entry(code, `${message}; this build replaces it, and cannot say what changed`, {
    severity: 'warning',
    ...(at === undefined ? {} : { at }),
    help: 'to compare with the last build, restore the lock from git (after a merge, without the marks of its conflicts) and build again',
  })

/** A lock file that cannot be read. */
export const lockUnreadable = (path: string, code: string): Diagnostic =>
  entry('lock-unreadable', `${path} cannot be read (${code})`, {
    at: { type: 'file', path },
    blame: 'lock',
    help: 'check its permissions, or delete it',
  })

/** A command needs a lock and there is none. */
export const lockMissing = (path: string): Diagnostic =>
  entry('lock-missing', `there is no lock at ${path}`, {
    at: { type: 'file', path },
    blame: 'lock',
    help: 'run `smelt build` on the recipe once, without `--frozen`: that writes the lock; keep it in git',
  })

/** The inputs or results of a frozen build differ from its lock. */
export const lockDiffers = (path: string, what: string): Diagnostic =>
  entry('lock-differs', `the lock does not match: ${what}`, {
    at: { type: 'file', path },
    blame: 'lock',
    help: 'restore what changed, or build without `--frozen` to update the lock; `smelt why` shows what differs',
  })

/** A file differs from the lock. */
const notAsLocked = (path: string, what: string, type: 'input' | 'output'): Diagnostic =>
  entry('not-as-locked', `${path} ${what}`, {
    at: { type: 'file', path },
    blame: 'lock',
    help:
      type === 'input'
        ? 'restore the file that the lock was made with, or build again to lock this one'
        : 'build the recipe again: `smelt build --force` writes it again',
  })

/** The tensors of a file differ from the lock. */
export const digestNotAsLocked = (path: string, found: string, locked: string, type: 'input' | 'output'): Diagnostic =>
  notAsLocked(path, `has content ${found}, but the lock says ${locked}`, type)

/** The bytes of a file differ from the lock. */
export const sha256NotAsLocked = (path: string, found: string, locked: string, type: 'input' | 'output'): Diagnostic =>
  notAsLocked(path, `has sha256 ${found}, but the lock says ${locked}`, type)

/** The metadata or config of an input differs from the lock. */
export const factsNotAsLocked = (path: string, change: string): Diagnostic =>
  notAsLocked(path, `does not match the lock: ${change}`, 'input')

/** The cache cannot be written, so later builds cannot reuse this one. */
export const storeUnwritable = (folder: string, code: string): Diagnostic =>
  entry('store-unwritable', `the cache at ${folder} cannot be written (${code}), so later builds start from scratch`, {
    severity: 'warning',
    at: { type: 'file', path: folder },
    help: 'check its permissions and the free space, or choose another folder with the environment variable SMELT_CACHE',
  })

/**
 * Something was taken over from an earlier run and turned out not to be what it was. Nothing is written; whoever asked
 * computes everything anew.
 */
export const reuseBroken = (path: string, tensor: string): Diagnostic =>
  entry(
    'reuse-broken',
    `\`${tensor}\` of ${path} is not what an earlier run wrote, although the file looks untouched: everything is recomputed`,
    {
      blame: 'retry',
      at: { type: 'file', path, tensor },
      help: 'check the disk: silent corruption usually means it is failing',
    },
  )

/** The process that builds an output, by its number if known; `here` if it runs on this host. */
export const builder = (pid: string | undefined, here: boolean): string =>
  pid === undefined ? 'another process' : `process ${pid}${here ? '' : ' on another host'}`

/** Another process builds the same output. */
export const outputClaimed = (path: string, owner: string, claim: string): Diagnostic =>
  entry('output-claimed', `${path} is being built by ${owner}`, {
    at: { type: 'file', path },
    blame: 'retry',
    help: `wait until it is done, then run the same command again; if that process no longer runs, delete ${claim}`,
  })
