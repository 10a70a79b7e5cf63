import { progressWords } from '../../base/catalogue/dashboard.js'
import type { OutlinedStep as PlanStep } from '../plan-outline.js'
import { formatCount, plural } from '../text.js'
import type { StepStatus } from './glyphs.js'
import { rateOver } from './rates.js'
import type { DashboardState, StepState } from './state.js'

/** A step of the plan; plans of other versions may have fewer or more fields. */
export type OutlinedStep = Omit<PlanStep, 'reason' | 'neededBy'> &
  Partial<Pick<PlanStep, 'reason' | 'neededBy'>> & {
    /** Its parameters, with `--set` applied. */
    readonly numbers?: Readonly<Record<string, string | number | boolean>>
  }

/** A step as the screen shows it; `total` counts the tensors that it computes. */
export interface ShownStep {
  readonly outlined: OutlinedStep
  readonly standing: StepStatus
  readonly done: number
  readonly total: number
  readonly seconds: number
  readonly reason: string
}

const NEVER_BEGUN: StepState = { planned: undefined, done: 0, seconds: 0, begun: false }

const standingOf = (
  { phase }: DashboardState,
  { neededBy }: OutlinedStep,
  { done, begun }: StepState,
  total: number,
): StepStatus => {
  if (neededBy?.length === 0 && !begun) return 'reused'
  if (phase === 'finished' || (done >= total && done > 0)) return 'done'
  if (phase === 'failed') return begun ? 'failed' : 'stopped'
  return begun ? 'running' : 'waiting'
}

/** The steps of a build in the order of its plan. */
export const shownSteps = (state: DashboardState): readonly ShownStep[] =>
  (state.plan?.steps ?? []).map((outlined: OutlinedStep): ShownStep => {
    const step = state.steps.get(outlined.name) ?? NEVER_BEGUN
    const total = step.planned ?? outlined.tensors
    const standing = standingOf(state, outlined, step, total)
    return {
      outlined,
      standing,
      // A step that is drawn on only for its masks or numbers has tensors of its own that no output counts.
      done: standing === 'done' ? total : Math.min(step.done, total),
      total,
      seconds: step.seconds,
      reason: outlined.reason ?? (outlined.wantedBy.length === 0 ? '' : `used by ${outlined.wantedBy.join(', ')}`),
    }
  })

/** Displayed rates cover the last two seconds, the estimate of the time left the last ten. */
const [NOW, STEADY] = [2_000, 10_000]

/** Bytes read and written a second, at a moment while a build runs. */
export const rateNow = ({ samples, phase }: DashboardState, now: number) =>
  phase === 'running' || phase === 'stopping' ? rateOver(samples, now, NOW) : undefined

/** Seconds until the build is done if it goes on as in the last seconds; undefined while that cannot be told. */
export const secondsLeft = (
  { read, written, share, samples, phase }: DashboardState,
  now: number,
): number | undefined => {
  const rate = rateOver(samples, now, STEADY)
  if (phase !== 'running' || rate === undefined || rate.read + rate.written <= 0 || share === 0) return undefined
  return ((read + written) * (1 / share - 1)) / (rate.read + rate.written)
}

/** Seconds since the run began, or that it took. */
export const secondsSpent = ({ began, seconds }: DashboardState, now: number): number | undefined =>
  seconds ?? (began === undefined ? undefined : Math.max(0, now - began) / 1000)

/**
 * Tensors done, and how many there are in all, each once for every output that has it. Outputs that are up to date do
 * not count.
 */
export const tensorsDone = ({
  finished,
  plannedTensors,
  run,
}: DashboardState): { readonly done: number; readonly total: number | undefined } => ({
  done: finished.computed + finished.copied + finished.reused,
  total: plannedTensors > 0 ? plannedTensors : run?.jobs,
})

/** What the cache and copies save, in words; empty if everything is computed. */
export const savings = ({ run, finished }: DashboardState): readonly string[] => [
  ...(run?.cached === undefined ? [] : [run.cached === 0 ? 'no hits' : `${plural(run.cached, 'hit')}`]),
  ...((run?.reused ?? finished.reused) === 0
    ? []
    : [progressWords.reused(formatCount(run?.reused ?? finished.reused))]),
  ...(finished.copied === 0 ? [] : [progressWords.copied(formatCount(finished.copied))]),
]
