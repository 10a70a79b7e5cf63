import { linkSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { outputClaimed } from '../base/catalogue/store.js'
import { failed, ok, type Result } from '../base/result.js'
import { errorCode, ioProblem } from './io-problem.js'
import { makeFolder } from './make-folder.js'
import { processOf, type RunId } from './run-id.js'
import { claimName, isStaleClaim, readOwner } from './temporary.js'

/**
 * A file beside an output that says which run writes it, so that two builds do not do the same work. It does not
 * protect the output: the rename does.
 */
export interface Claim {
  /**
   * Updates the claim's time, which shows other hosts that the run is still alive: they cannot see its process. Called
   * every few seconds.
   */
  renew(): void
  release(): void
}

/** How often a stale claim is removed before giving up. */
const TRIES = 3

/** Claims an output path for a run; fails, naming the owner, if another run that seems to be alive has claimed it. */
export const claimOutput = async (path: string, runId: RunId): Promise<Result<Claim>> => {
  const file = join(dirname(path), claimName(basename(path)))
  try {
    makeFolder(dirname(path))
    for (let round = 0; round < TRIES; round++) {
      if (tryCreate(file, runId)) return ok({ renew: () => touch(file), release: () => release(file) })
      const owner = readOwner(file)
      if (owner === undefined) continue
      if (!isStaleClaim(file)) return failed(outputClaimed(path, processOf(owner), file))
      removeStaleClaim(file, runId, owner)
    }
    return failed(outputClaimed(path, processOf(readOwner(file) ?? ''), file))
  } catch (error) {
    return failed(ioProblem(error, path, 'create'))
  }
}

const touch = (file: string): void => {
  try {
    utimesSync(file, new Date(), new Date())
  } catch {
    // If the claim is gone, another build may do the same work: that costs time and nothing else.
  }
}

const release = (file: string): void => {
  try {
    rmSync(file, { force: true })
  } catch {
    // If the disk fails now, the build has failed already; the claim of an ended process is stale.
  }
}

/** Creates the claim with its content atomically, by a hard link; on file systems without links, in two steps. */
const tryCreate = (file: string, runId: RunId): boolean => {
  const whole = `${file}.${runId}`
  try {
    writeFileSync(whole, runId, { flag: 'wx' })
    linkSync(whole, file)
    return true
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false
    if (!['EPERM', 'ENOTSUP', 'ENOSYS', 'EOPNOTSUPP', 'EMLINK'].includes(errorCode(error))) throw error
    return createInSteps(file, runId)
  } finally {
    rmSync(whole, { force: true })
  }
}

const createInSteps = (file: string, runId: RunId): boolean => {
  try {
    writeFileSync(file, runId, { flag: 'wx' })
    return true
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false
    throw error
  }
}

/**
 * Removes a stale claim by first renaming it to a unique name, so that of two builds that try at once only one removes
 * it.
 */
const removeStaleClaim = (file: string, runId: RunId, owner: string): void => {
  const aside = `${file}.${runId}`
  try {
    renameSync(file, aside)
  } catch {
    return
  }
  // Another build may have removed the stale claim and made its own in between: then put that one back.
  if (readOwner(aside) === owner) rmSync(aside, { force: true })
  else renameSync(aside, file)
}
