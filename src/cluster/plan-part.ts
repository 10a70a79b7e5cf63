import { ok, type Result } from '../base/result.js'
import type { Measure } from '../graph/expression.js'
import { programsOf } from '../plan/complete-plan.js'
import type { Draft } from '../plan/draft.js'
import { jobKey } from '../plan/jobs.js'
import type { Root } from '../plan/outputs.js'
import type { Plan } from '../plan/plan.js'
import { sizeOf } from '../tensor/info.js'
import { selectJobs, tornMeasure } from './cut.js'
import { askFor, sharedMeasures } from './lay-out.js'
import type { PartResult, RunPart } from './layout.js'
import { complete, identifyShared, knowledgeOf } from './ready.js'

/** The work of one part as a plan. */
export interface OwnWork {
  readonly plan: Plan
  /** What the results of measures are handed on under. */
  readonly measures: ReadonlyMap<string, Measure>
}

/** Plans what one part does, given what those of earlier stages came to. */
export const planPart = async (
  whole: Draft,
  part: RunPart,
  earlier: readonly PartResult[],
  signal: AbortSignal | undefined,
): Promise<Result<OwnWork>> => {
  const known = knowledgeOf(whole, earlier)
  const none = new Map<string, Measure>()
  if (part.type === 'report') {
    const reports = whole.reports.filter((r) => part.reports.includes(r.path))
    const plan = await complete({ ...whole, outputs: [], reports }, known, signal)
    return plan.type === 'failed' ? plan : ok({ plan: plan.value, measures: none })
  }
  const keys = new Set(part.jobs)
  // Jobs of other parts are made only as far as they take the same measures, which shows where a part would be torn.
  const isOwn = ({ target, shape }: Root): boolean =>
    part.type !== 'tensors' || keys.has(jobKey({ tensor: target.tensor, size: sizeOf(shape) }))
  const plan = await complete({ ...whole, reports: [] }, known, signal, [], isOwn)
  if (plan.type === 'failed') return plan
  if (part.type === 'tensors') {
    const jobs = selectJobs(plan.value.jobs, keys)
    const found = new Set(jobs.map(jobKey))
    const lost = part.jobs.find((key) => !found.has(key))
    if (lost !== undefined) throw new Error(`part ${part.number} has no job ${lost}`)
    const torn = tornMeasure(plan.value.jobs, jobs)
    if (torn !== undefined) throw new Error(`part ${part.number} would take only some of a ${torn.type}`)
    const reads = new Set(part.reads.map(({ path, tensor }) => `${path}\0${tensor}`))
    const undigested = plan.value.undigested.filter(({ file, name }) => reads.has(`${file}\0${name}`))
    return ok({ plan: { ...plan.value, jobs, undigested, programs: programsOf(jobs) }, measures: none })
  }
  const shared = sharedMeasures(plan.value, plan.value.fingerprints(identifyShared(whole)))
  const measures = new Map(part.measures.map((fingerprint) => [fingerprint, shared.get(fingerprint)!] as const))
  const own = await complete({ ...whole, outputs: [], reports: [] }, known, signal, [...measures.values()].map(askFor))
  return own.type === 'failed' ? own : ok({ plan: own.value, measures })
}
