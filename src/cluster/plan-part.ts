import { runStageUnseen } from '../base/catalogue/cluster.js'
import { failed, ok, type Result } from '../base/result.js'
import type { Measure } from '../graph/expression.js'
import { programsOf } from '../plan/complete-plan.js'
import type { Draft } from '../plan/draft.js'
import { totalsOf } from '../plan/describe.js'
import { subjectOf, type Fingerprints } from '../plan/fingerprint.js'
import { jobKey, targetsOf, type Asked } from '../plan/jobs.js'
import type { Root } from '../plan/outputs.js'
import type { Job, Plan, Totals } from '../plan/plan.js'
import { bytesFor } from '../tensor/dtype.js'
import { sizeOf, type TensorInfo } from '../tensor/info.js'
import { viewLabel } from '../tensor/view.js'
import { selectJobs, tornMeasure } from './cut.js'
import type { PartResult, RunPart, RunPlan } from './layout.js'
import type { OwnWork } from './part-plan.js'
import { complete, draftRun, identifyShared, knowledgeOf, type DraftAccess } from './ready.js'
import { readResults } from './run-state.js'

/** Asks for a measure in a plan that has nothing else to do. */
export const askFor = (measure: Measure): Asked => {
  const subject = subjectOf(measure)!
  return {
    tensor: measure.over?.tensor ?? viewLabel(subject),
    size: sizeOf(subject.shape),
    step: measure.over?.step ?? '',
    values: [measure],
  }
}

/** Every measure over several tensors that a plan takes, by its fingerprint. */
export const sharedMeasures = (plan: Pick<Plan, 'jobs'>, fingerprints: Fingerprints): ReadonlyMap<string, Measure> => {
  const found = new Map<string, Measure>()
  const seen = new Set<number>()
  for (const { sweeps } of plan.jobs)
    for (const { measure } of sweeps?.passes.flatMap((pass) => pass.takes) ?? []) {
      if (measure.over === undefined || seen.has(measure.id)) continue
      seen.add(measure.id)
      const fingerprint = fingerprints.ofMeasure(measure)
      if (fingerprint !== undefined && !found.has(fingerprint)) found.set(fingerprint, measure)
    }
  return found
}

/** Some jobs of a plan, and tensors that are read for their digests alone, as a plan of their own. */
export const partOf = (plan: Plan, jobs: readonly Job[], undigested: readonly TensorInfo[]): Plan => {
  const totals: Totals = {
    ...totalsOf(jobs, [], [], undigested, plan.totals.cached),
    tensors: jobs.reduce((n, job) => n + targetsOf(job).length, 0),
    writeBytes: jobs.reduce((n, job) => n + targetsOf(job).reduce((m, t) => m + bytesFor(job.size, t.dtype), 0), 0),
  }
  return { ...plan, jobs, undigested, programs: programsOf(jobs), totals }
}

/** How long a directory may lag, in ms, and how often it is looked at. */
const [LAG, LOOK] = [60_000, 1_000]

/** The results that a part reads: those of all parts before its stage. */
const awaitResults = async (
  run: string,
  plan: RunPlan,
  part: RunPart,
  lag: number,
): Promise<Result<readonly PartResult[]>> => {
  const { first } = plan.stages.findLast((stage) => stage.first <= part.number)!
  for (let waited = 0; ; waited += LOOK) {
    const found = readResults(run, first)
    if (found.type === 'failed') return found
    const [missing] = found.value.missing
    if (missing === undefined) return ok(found.value.results)
    if (waited >= lag) return failed(runStageUnseen(missing))
    await new Promise((done) => setTimeout(done, LOOK))
  }
}

/** What planning a part takes besides the run. */
export interface PlanAccess extends DraftAccess {
  /** How long results of earlier parts may take to be seen, in ms. */
  readonly lag?: number
}

/** Plans what one part does from the run's copy of the recipe. */
export const planAnew = async (
  run: string,
  plan: RunPlan,
  part: RunPart,
  access: PlanAccess,
): Promise<Result<OwnWork>> => {
  const drafted = await draftRun(run, plan, access)
  if (drafted.type === 'failed') return drafted
  const earlier = await awaitResults(run, plan, part, access.lag ?? LAG)
  return earlier.type === 'failed' ? earlier : planPart(drafted.value.draft, part, earlier.value, access.signal)
}

/** Plans what one part does, given what those of earlier stages came to. */
const planPart = async (
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
    return ok({ plan: partOf(plan.value, jobs, undigested), measures: none })
  }
  const shared = sharedMeasures(plan.value, plan.value.fingerprints(identifyShared(whole)))
  const measures = new Map(part.measures.map((fingerprint) => [fingerprint, shared.get(fingerprint)!] as const))
  const own = await complete({ ...whole, outputs: [], reports: [] }, known, signal, [...measures.values()].map(askFor))
  return own.type === 'failed' ? own : ok({ plan: own.value, measures })
}
