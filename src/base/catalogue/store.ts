import type { Diagnostic } from '../diagnostic.js'
import { entry } from './entry.js'

/** A lock that is no lock. */
export const lockInvalid = (path: string, reason: string): Diagnostic =>
  entry('lock-invalid', `${path} is no lock that this version of smelt can read: ${reason}`, {
    at: { type: 'file', path }, blame: 'lock', help: 'take it from git again, or remove it and build without `--frozen` to make a new one',
  })

/** A lock that the system does not let be read. */
export const lockUnreadable = (path: string, code: string): Diagnostic =>
  entry('lock-unreadable', `${path} cannot be read (${code})`, { at: { type: 'file', path }, blame: 'lock', help: 'see to its permissions, or remove it' })

/** Something asks for a lock and there is none. */
export const lockMissing = (path: string): Diagnostic =>
  entry('lock-missing', `there is no lock at ${path}`, { at: { type: 'file', path }, blame: 'lock', help: 'build the recipe once without `--frozen`, and keep the lock in git' })

/** A frozen build would give, or is made of, something else than its lock says. */
export const lockDiffers = (path: string, what: string): Diagnostic =>
  entry('lock-differs', `the lock does not match: ${what}`, {
    at: { type: 'file', path }, blame: 'lock', help: 'restore what changed, or build without `--frozen` to lock the new state; `smelt why` tells what makes a step differ',
  })

/** What stands on the disk is not what the lock says. */
export const notAsLocked = (path: string, what: string, help: string): Diagnostic =>
  entry('not-as-locked', `${path} ${what}`, { at: { type: 'file', path }, blame: 'lock', help })

/** The store cannot be written, so later builds have to compute again. */
export const storeUnwritable = (folder: string, code: string): Diagnostic =>
  entry('store-unwritable', `the store at ${folder} cannot be written (${code}), so later builds start from nothing`, {
    severity: 'warning', at: { type: 'file', path: folder }, help: 'see to its permissions and to free space, or choose another folder with the environment variable SMELT_CACHE',
  })

/** Something was taken over from an earlier run and turned out not to be what it was. Nothing is written; whoever asked computes everything anew. */
export const reuseBroken = (path: string, tensor: string): Diagnostic =>
  entry('reuse-broken', `\`${tensor}\` of ${path} is not what an earlier run wrote, although the file looks untouched: everything is computed anew`, {
    blame: 'retry', at: { type: 'file', path, tensor }, help: 'have a look at the disk: bytes that change by themselves are a sign of its end',
  })

/** Another process builds the same output. */
export const outputClaimed = (path: string, owner: string, claim: string): Diagnostic =>
  entry('output-claimed', `${path} is being built by ${owner}`, {
    at: { type: 'file', path }, blame: 'retry', help: `wait until it is done, then run the same command again; if it is gone for good, remove ${claim}`,
  })
