import { groupKey } from '../graph/groups.js'
import type { Measure } from '../graph/expression.js'
import { jobKey, passesOf, targetsOf } from '../plan/jobs.js'
import type { Job, Plan, Target } from '../plan/plan.js'
import { bytesFor } from '../tensor/dtype.js'
import { viewBytes } from '../tensor/view.js'

/** Jobs that need each other's results, and so are one part's. */
export interface Bundle {
  /** By `jobKey`; the jobs of solvers come with those that use them. */
  readonly jobs: readonly string[]
  /** Bytes that they read and write. */
  readonly bytes: number
  /** The first tensor that they write. */
  readonly first: Target | undefined
  /** One measure of each group over several tensors that they take. */
  readonly shared: readonly Measure[]
}

/** The work of a plan, cut so that no part needs what another of the same stage makes. */
export interface Cut {
  /** Measures that are taken first, since they span more than one part can do: of each bundle its own. */
  readonly early: readonly (readonly Measure[])[]
  /** Each the bundles of one part. */
  readonly parts: readonly (readonly Bundle[])[]
}

const bytesOf = (job: Job): number => {
  const read = passesOf(job).reduce((n, pass) => n + pass.reads.reduce((m, view) => m + viewBytes(view), 0), 0)
  const copied = job.copies.reduce((n, { from }) => n + (from === undefined ? 0 : viewBytes(from)), 0)
  const written = targetsOf(job).reduce((n, t) => n + bytesFor(job.size, t.dtype), 0)
  return read + copied + written
}

/** Sets of numbers that are joined one by one. */
const createSets = (count: number) => {
  const parents = Array.from({ length: count }, (_, i) => i)
  const find = (at: number): number => {
    let root = at
    while (parents[root] !== root) root = parents[root]!
    for (let next = at; parents[next] !== root;) {
      const above = parents[next]!
      parents[next] = root
      next = above
    }
    return root
  }
  return { find, join: (x: number, y: number): void => void (parents[find(x)] = find(y)) }
}

const isShared = (m: Measure): boolean => groupKey(m) !== `#${m.id}`

const takenBy = (job: Job): readonly Measure[] =>
  job.solve === undefined ? passesOf(job).flatMap((pass) => pass.takes.map((t) => t.measure)) : [job.solve.measure]

/**
 * Finds the jobs of a plan that need each other: where one needs what another measures or solves, and where they measure
 * the same group. Measures of the groups in `given` do not count: their results are there.
 */
export const bundlesOf = ({ jobs }: Pick<Plan, 'jobs'>, given: ReadonlySet<string> = new Set()): readonly Bundle[] => {
  const sets = createSets(jobs.length)
  const takers = new Map<string, number>()
  for (const [index, job] of jobs.entries())
    for (const measure of takenBy(job)) {
      const key = groupKey(measure)
      const other = takers.get(key)
      if (other === undefined) takers.set(key, index)
      else if (!given.has(key)) sets.join(index, other)
    }
  for (const [index, job] of jobs.entries())
    for (const need of passesOf(job).flatMap((pass) => pass.needs)) {
      const taker = given.has(groupKey(need)) ? undefined : takers.get(groupKey(need))
      if (taker !== undefined) sets.join(index, taker)
    }
  const members = new Map<number, Job[]>()
  for (const [index, job] of jobs.entries()) {
    const root = sets.find(index)
    const known = members.get(root)
    if (known === undefined) members.set(root, [job])
    else known.push(job)
  }
  return [...members.values()].map((own) => ({
    jobs: own.filter((job) => job.solve === undefined).map(jobKey),
    bytes: own.reduce((n, job) => n + bytesOf(job), 0),
    first: own.flatMap(targetsOf).sort(inOrder)[0],
    shared: [
      ...new Map(
        own
          .flatMap(takenBy)
          .filter(isShared)
          .map((m) => [groupKey(m), m] as const),
      ).values(),
    ],
  }))
}

const inOrder = (x: Target, y: Target): number =>
  x.output - y.output || (x.path < y.path ? -1 : x.path > y.path ? 1 : x.begin - y.begin)

/** How much more than its share a part may have, before its work is cut further. */
const MORE = 1.5

/** Cuts neighbours into so many runs of about equal bytes, each of one at least. */
const divide = (bundles: readonly Bundle[], count: number): (readonly Bundle[])[] => {
  const total = bundles.reduce((n, b) => n + b.bytes, 0)
  const runs: Bundle[][] = []
  let before = 0
  for (const bundle of bundles) {
    const at = Math.min(count - 1, Math.floor((count * (before + bundle.bytes / 2)) / Math.max(1, total)))
    ;(runs[at] ??= []).push(bundle)
    before += bundle.bytes
  }
  return runs.filter((run) => run !== undefined)
}

/**
 * Cuts a plan into parts of about as many bytes as `sizeFor` says of all that there are. A file is one part's where that fits, for then it needs no copying.
 * `canWait` tells of which measures the results can be handed from one part to another.
 */
export const cutPlan = (
  plan: Pick<Plan, 'jobs'>,
  sizeFor: (bytes: number) => number,
  canWait: (m: Measure) => boolean,
): Cut => {
  const tied = bundlesOf(plan)
  const size = sizeFor(tied.reduce((n, b) => n + b.bytes, 0))
  const early = tied
    .filter((b) => b.bytes > MORE * size)
    .map((b) => b.shared.filter(canWait))
    .filter((measures) => measures.length > 0)
  const given = new Set(early.flat().map(groupKey))
  const bundles = [...bundlesOf(plan, given)].sort((x, y) =>
    x.first === undefined || y.first === undefined
      ? Number(x.first === undefined) - Number(y.first === undefined)
      : inOrder(x.first, y.first),
  )
  const files = new Map<string, Bundle[]>()
  for (const bundle of bundles) {
    const path = bundle.first?.path ?? ''
    const known = files.get(path)
    if (known === undefined) files.set(path, [bundle])
    else known.push(bundle)
  }
  const parts: (readonly Bundle[])[] = []
  let open: Bundle[] = []
  let held = 0
  const close = (): void => {
    if (open.length > 0) parts.push(open)
    open = []
    held = 0
  }
  for (const own of files.values()) {
    const bytes = own.reduce((n, b) => n + b.bytes, 0)
    if (held + bytes > MORE * size) close()
    if (bytes > MORE * size) for (const run of divide(own, Math.round(bytes / size))) parts.push(run)
    else {
      for (const bundle of own) open.push(bundle)
      held += bytes
      if (held >= size) close()
    }
  }
  close()
  return { early, parts }
}

/** The jobs of a plan that have some keys, and those of the solvers that they use. */
export const selectJobs = (jobs: readonly Job[], keys: ReadonlySet<string>): readonly Job[] => {
  const solvers = new Map(
    jobs.flatMap((job) => (job.solve === undefined ? [] : [[job.solve.measure.id, job] as const])),
  )
  const used = new Set<Job>()
  const use = (job: Job): void => {
    for (const need of passesOf(job).flatMap((pass) => pass.needs)) {
      const solver = solvers.get(need.id)
      if (solver === undefined || used.has(solver)) continue
      used.add(solver)
      use(solver)
    }
  }
  const own = jobs.filter((job) => job.solve === undefined && keys.has(jobKey(job)))
  own.forEach(use)
  return jobs.filter((job) => used.has(job) || (job.solve === undefined && keys.has(jobKey(job))))
}

/**
 * A measure that some jobs take or need, and that others of the plan take too: what the first come to by themselves is
 * wrong then. Undefined if there is none.
 */
export const tornMeasure = (jobs: readonly Job[], own: readonly Job[]): Measure | undefined => {
  const mine = new Set(own)
  const elsewhere = new Set(
    jobs
      .filter((job) => !mine.has(job))
      .flatMap(takenBy)
      .map(groupKey),
  )
  const used = (job: Job): readonly Measure[] => [...takenBy(job), ...passesOf(job).flatMap((pass) => pass.needs)]
  return own.flatMap(used).find((m) => elsewhere.has(groupKey(m)))
}
