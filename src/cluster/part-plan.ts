import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { deserialize, serialize } from 'node:v8'
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { runFileAltered } from '../base/catalogue/cluster.js'
import { blake3, toDigest, type Digest } from '../base/digest.js'
import { failed, ok, type Result } from '../base/result.js'
import type { Measure } from '../graph/expression.js'
import { createFingerprints } from '../plan/fingerprint.js'
import { targetsOf } from '../plan/jobs.js'
import type { InputFile, Job, Plan, PlannedFile, PlannedModel, PlannedOutput } from '../plan/plan.js'
import type { WorkPlan } from '../run/work.js'
import { ioProblem } from '../safetensors/io-problem.js'

/** What a part has to do, as a plan. */
export interface PartPlan
  extends WorkPlan, Pick<Plan, 'name' | 'seed' | 'digestOf' | 'outcomes' | 'scratchBytes' | 'totals' | 'reports'> {
  readonly models: readonly Pick<PlannedModel, 'files' | 'absent'>[]
  readonly outputs: readonly (Pick<PlannedOutput, 'name'> & {
    readonly files: readonly Pick<PlannedFile, 'path' | 'bytes'>[]
  })[]
}

/** The work of one part. */
export interface OwnWork {
  readonly plan: PartPlan
  /** What the results of measures are handed on under. */
  readonly measures: ReadonlyMap<string, Measure>
}

/** Where in the file of plans that of a part is, and what is there. */
export interface PlanPlace {
  readonly begin: number
  readonly bytes: number
  readonly digest: Digest
}

/** A part's work as it is written down: data alone, in which what is one object stays one. */
interface Written extends Pick<Plan, 'name' | 'seed' | 'jobs' | 'programs' | 'undigested' | 'totals'> {
  readonly outputs: PartPlan['outputs']
  /** Of each job, the steps of each tensor that it writes, and the share that each step has of it. */
  readonly steps: readonly (readonly (readonly string[])[])[]
  readonly shares: readonly ReadonlyMap<string, number>[]
  readonly measures: OwnWork['measures']
}

/** Stands for every output that a part does not write to. */
const OTHER: PartPlan['outputs'][number] = { name: '', files: [] }

/** The outputs of a plan as far as some jobs write to them. */
const outputsFor = (jobs: readonly Job[], { outputs }: Pick<PartPlan, 'outputs'>): PartPlan['outputs'] => {
  const paths = new Map<number, Set<string>>()
  for (const { output, path } of jobs.flatMap(targetsOf)) paths.set(output, (paths.get(output) ?? new Set()).add(path))
  return outputs.map(({ name, files }, index) => {
    const own = paths.get(index)
    if (own === undefined) return OTHER
    return { name, files: files.filter((f) => own.has(f.path)).map(({ path, bytes }) => ({ path, bytes })) }
  })
}

/**
 * The work of a part that depends on no result of another, as bytes; undefined for work that only the recipe's operators
 * can do, such as a solver or a report: a task plans that by itself.
 */
export const encodeWork = ({ plan, measures }: OwnWork): Uint8Array | undefined => {
  if (plan.reports.length > 0 || plan.outcomes.size > 0 || plan.scratchBytes > 0) return undefined
  const { name, seed, jobs, programs, undigested, totals } = plan
  const written: Written = {
    ...{ name, seed, jobs, programs, undigested, totals, measures },
    outputs: outputsFor(jobs, plan),
    steps: jobs.map((job) => targetsOf(job).map(plan.stepsOf)),
    shares: jobs.map(plan.sharesOf),
  }
  try {
    // Names and paths come again and again: it is a tenth as long, and quicker to hash and to write.
    return deflateRawSync(serialize(written), { level: 1 })
  } catch {
    // A function is no data, and neither is what is nested too deep.
    return undefined
  }
}

const decodeWork = (bytes: Uint8Array, inputs: readonly InputFile[]): OwnWork => {
  const { steps, shares, measures, ...plan } = deserialize(inflateRawSync(bytes)) as Written
  const stepsOf = new Map(
    plan.jobs.flatMap((job, i) => targetsOf(job).map((target, k) => [target, steps[i]![k]!] as const)),
  )
  const sharesOf = new Map(plan.jobs.map((job, i) => [job, shares[i]!] as const))
  return {
    measures,
    plan: {
      ...plan,
      models: [{ files: inputs, absent: [] }],
      settings: [],
      reports: [],
      scratchBytes: 0,
      masks: { taken: [], files: [] },
      outcomes: new Map(),
      digestOf: () => undefined,
      stepsOf: (target) => stepsOf.get(target)!,
      sharesOf: (job) => sharesOf.get(job)!,
      fingerprints: (identify) => createFingerprints(() => [], identify),
    },
  }
}

/** Writes the work of parts one after the other into one file. Throws what the system says. */
export const writePlans = (
  path: string,
  parts: readonly (() => OwnWork | undefined)[],
): readonly (PlanPlace | undefined)[] => {
  const file = openSync(path, 'w')
  let begin = 0
  try {
    return parts.map((workOf) => {
      const work = workOf()
      const bytes = work === undefined ? undefined : encodeWork(work)
      if (bytes === undefined) return undefined
      const place = { begin, bytes: bytes.length, digest: toDigest(blake3(bytes)) }
      for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at)
      begin += bytes.length
      return place
    })
  } finally {
    closeSync(file)
  }
}

/** Reads the work of a part; `inputs` are the files that it reads, as they are on this machine. */
export const readWork = (
  path: string,
  { begin, bytes, digest }: PlanPlace,
  inputs: readonly InputFile[],
): Result<OwnWork> => {
  const own = Buffer.alloc(bytes)
  try {
    const file = openSync(path, 'r')
    try {
      for (let at = 0, got = 1; at < bytes && got > 0; at += got) got = readSync(file, own, at, bytes - at, begin + at)
    } finally {
      closeSync(file)
    }
  } catch (error) {
    return failed(ioProblem(error, path, 'read'))
  }
  return toDigest(blake3(own)) === digest ? ok(decodeWork(own, inputs)) : failed(runFileAltered(path))
}
