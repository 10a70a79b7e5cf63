import { existsSync } from 'node:fs'
import { hostname } from 'node:os'
import { runVersion } from '../base/catalogue/cluster.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { ok, type Result } from '../base/result.js'
import { readPackage } from '../base/version.js'
import { placesOf, readResult, type PartResult, type RunPlan } from './layout.js'

/** The major version of Node.js here. */
export const nodeMajor = (): number => Number(process.versions.node.split('.')[0])

/** Why this machine must not work on a run: another version might come to other bytes. */
export const versionProblem = ({ smelt, node }: Pick<RunPlan, 'smelt' | 'node'>): Diagnostic | undefined => {
  const { version } = readPackage()
  if (version !== smelt) return runVersion('smelt', version, smelt, hostname())
  return nodeMajor() === node ? undefined : runVersion('Node.js', process.versions.node, String(node), hostname())
}

/** How many parts a run has. */
export const partsIn = ({ stages }: Pick<RunPlan, 'stages'>): number => stages.reduce((n, s) => n + s.parts, 0)

/** The results of the parts before a number, as far as they can be seen; `missing` is the first that cannot. */
export const readResults = (
  run: string,
  before: number,
): Result<{ readonly results: readonly PartResult[]; readonly missing: readonly number[] }> => {
  const results: PartResult[] = []
  const missing: number[] = []
  for (let part = 0; part < before; part++) {
    const found = readResult(run, part)
    if (found.type === 'failed') return found
    if (found.value === undefined) missing.push(part)
    else results.push(found.value)
  }
  return ok({ results, missing })
}

/** True once a run is committed. */
export const isCommitted = (run: string): boolean => existsSync(placesOf(run).committed)
