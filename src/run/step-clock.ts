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

/** A clock for the steps of a plan: those that made a tensor share its time in proportion to their operations, whichever outputs it goes to. */
export const createStepClock = ({ jobs, sharesOf }: Pick<Plan, 'jobs' | 'sharesOf'>): StepClock => {
  const jobOf = new Map<string, Job>()
  for (const job of jobs) {
    for (const name of [job.tensor, ...job.targets.map((t) => t.tensor), ...job.copies.map((c) => c.to.tensor)]) if (!jobOf.has(name)) jobOf.set(name, job)
  }
  const shares = new Map<Job, ReadonlyMap<string, number>>()
  /** Most jobs are alike: equal shares are kept once. */
  const distinct = new Map<string, ReadonlyMap<string, number>>()
  const sharesIn = (job: Job): ReadonlyMap<string, number> => {
    const known = shares.get(job)
    if (known !== undefined) return known
    const own = sharesOf(job)
    const key = JSON.stringify([...own])
    const kept = distinct.get(key) ?? own
    distinct.set(key, kept)
    shares.set(job, kept)
    return kept
  }
  const spent = new Map<string, { all: number; told: number }>()
  const totals = new Map<string, number>()
  return {
    spend: (tensor, seconds) => {
      const known = spent.get(tensor)
      if (known === undefined) spent.set(tensor, { all: seconds, told: 0 })
      else known.all += seconds
      const job = jobOf.get(tensor)
      for (const [step, share] of job === undefined ? [] : sharesIn(job)) totals.set(step, (totals.get(step) ?? 0) + share * seconds)
    },
    secondsOf: (tensor) => spent.get(tensor)?.all ?? 0,
    takeOf: (tensor) => {
      const [known, job] = [spent.get(tensor), jobOf.get(tensor)]
      if (known === undefined || job === undefined) return {}
      const since = known.all - known.told
      known.told = known.all
      return Object.fromEntries([...sharesIn(job)].map(([step, share]) => [step, share * since]))
    },
    totals: () => totals,
  }
}
