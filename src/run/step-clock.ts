import type { Job, Plan } from '../plan/plan.js'

/** Sorts the workers' seconds by tensor and by step. */
export interface StepClock {
  /** Counts seconds that a worker spent on a tensor. */
  spend(tensor: string, seconds: number): void
  /** All seconds spent on a tensor so far. */
  secondsOf(tensor: string): number
  /** By step, the seconds spent on a tensor since this was last asked. */
  takeOf(tensor: string): Readonly<Record<string, number>>
  /** By step, all seconds so far. */
  totals(): ReadonlyMap<string, number>
}

type Shares = ReadonlyMap<string, number>

/**
 * A clock for the steps of a plan: those that made a tensor share its time in proportion to their operations, whichever
 * outputs it goes to.
 */
export const createStepClock = ({ jobs, sharesOf }: Pick<Plan, 'jobs' | 'sharesOf'>): StepClock => {
  // Of each tensor its job, and numbers in lists beside each other: there may be a hundred thousand.
  const places = new Map<string, number>()
  const jobAt: Job[] = []
  const place = (tensor: string, job: Job): void => {
    if (!places.has(tensor)) places.set(tensor, jobAt.push(job) - 1)
  }
  for (const job of jobs) {
    place(job.tensor, job)
    for (const target of job.targets) place(target.tensor, job)
    for (const { to } of job.copies) place(to.tensor, job)
  }
  const [spent, told] = [new Float64Array(jobAt.length), new Float64Array(jobAt.length)]
  const shares = jobAt.map((): Shares | undefined => undefined)
  /** Most jobs are alike: equal shares are kept once. */
  const distinct = new Map<string, Shares>()
  const sharesAt = (at: number): Shares => {
    const known = shares[at]
    if (known !== undefined) return known
    const own = sharesOf(jobAt[at]!)
    const key = JSON.stringify([...own])
    const kept = distinct.get(key) ?? own
    distinct.set(key, kept)
    shares[at] = kept
    return kept
  }
  const totals = new Map<string, number>()
  return {
    spend: (tensor, seconds) => {
      const at = places.get(tensor)
      if (at === undefined) return
      spent[at]! += seconds
      for (const [step, share] of sharesAt(at)) totals.set(step, (totals.get(step) ?? 0) + share * seconds)
    },
    secondsOf: (tensor) => spent[places.get(tensor) ?? -1] ?? 0,
    takeOf: (tensor) => {
      const at = places.get(tensor)
      if (at === undefined || spent[at] === told[at]) return {}
      const since = spent[at]! - told[at]!
      told[at] = spent[at]!
      return Object.fromEntries([...sharesAt(at)].map(([step, share]) => [step, share * since]))
    },
    totals: () => totals,
  }
}
