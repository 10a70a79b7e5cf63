import { atOnce, type Sliced } from '../base/slices.js'
import type { Program } from '../graph/program.js'
import type { Model } from '../safetensors/model.js'
import type { TensorInfo } from '../tensor/info.js'
import { isWhole, type View } from '../tensor/view.js'
import type { Draft } from './draft.js'
import { totalsOf } from './describe.js'
import { createFingerprints } from './fingerprint.js'
import { completeGroups, makeJobs, passesOf, type Asked } from './jobs.js'
import { createMasks, layOutMasks } from './masks.js'
import type { Root } from './outputs.js'
import type { Job, Plan, PlannedOutput, PlannedReport } from './plan.js'
import { describeSteps, nameUnder, stepsBehind } from './planned-steps.js'
import { NO_PRIOR_STATE, type PriorState } from './prior-state.js'
import { copyOf, createKnownOutcomes, findMask, keptOutputs, markKeptReports } from './reuse.js'
import { findStandIns, ITSELF, standInOf, type StandIns } from './stand-ins.js'
import { stepShares } from './step-shares.js'

/** Like {@link completeInSlices}, without a pause. */
export const completePlan = (draft: Draft, known: PriorState = NO_PRIOR_STATE): Plan =>
  atOnce(completeInSlices(draft, known))

/**
 * Decides what has to be done, given what earlier builds left; yields between parts of the work. `more` is asked for
 * besides what outputs and reports need. Of the outputs, what is not `isWanted` has no jobs of its own; whatever others
 * need of it has.
 */
export function* completeInSlices(
  draft: Draft,
  known: PriorState = NO_PRIOR_STATE,
  more: readonly Asked[] = [],
  isWanted: (root: Root) => boolean = () => true,
  standIns: StandIns = ITSELF,
): Sliced<Plan> {
  const { evaluations, graph } = draft
  const roots = yield* buildRoots(draft, standIns)
  // A fingerprint is over all members of a group: they must be there before the first is taken.
  completeGroups(graph)
  const byContent = createFingerprints(graph.grouped, known.digestOf)
  const byFile = createFingerprints(graph.grouped, known.identify)

  const reports = markKeptReports(draft.reports, known, byContent)
  const kept = yield* keptOutputs(draft, known, roots, byContent)
  const outputs = draft.outputs.map(({ output }): PlannedOutput => ({ ...output, kept: kept.get(output) }))

  const byOutcome = known.outcomesBy === undefined ? byContent : createFingerprints(graph.grouped, known.outcomesBy)
  const outcomes = createKnownOutcomes(known, byOutcome)
  const masks = createMasks(
    draft.masks,
    known.mask === NO_PRIOR_STATE.mask ? undefined : (mask) => findMask(mask, known, byContent),
  )
  if (known.outcome !== NO_PRIOR_STATE.outcome || known.mask !== NO_PRIOR_STATE.mask) yield* byOutcome.prepare()
  const { jobs, files, scratchBytes } = yield* makeJobs(
    roots.filter((_, i) => outputs[i]!.kept === undefined).flatMap((own) => own.filter(isWanted)),
    [...reports.filter((r) => !r.kept).flatMap(askedBy), ...more],
    graph,
    {
      copyOf: (root) => copyOf(root, known, byContent, byFile),
      isKnown: outcomes.isKnown,
      masks,
      keep: (wanted) => layOutMasks(wanted, draft.masks, known.room, standIns),
    },
  )
  yield
  const settings = evaluations.map(({ setting, steps, vocabulary }) => ({
    vocabulary,
    label: setting.label,
    recipe: setting.recipe,
    steps,
    inputs: setting.inputs,
  }))
  const models = modelsOf(settings)
  // Without outputs there is no lock, for which alone the contents of whole inputs are needed.
  const undigested = outputs.length === 0 ? [] : undigestedOf(models, jobs, known, standIns)
  yield
  const nameOf = nameUnder(evaluations)
  return {
    name: settings[0]!.recipe.name,
    seed: settings[0]!.recipe.seed,
    steps: describeSteps(evaluations, workingUnder(outputs, reports, jobs), nameOf),
    nameOf,
    stepsOf: stepsBehind(evaluations, outputs, nameOf),
    sharesOf: (job) => stepShares(job, graph, nameOf),
    unused: draft.unused,
    outputs,
    targets: roots.map((own) => own.map((r) => r.target)),
    reports,
    jobs,
    standsFor: ({ tensor }) => standIns.count(tensor),
    programs: programsOf(jobs),
    models: draft.models,
    settings,
    undigested,
    digestOf: known.digestOf,
    lock: known.lock,
    outcomes: outcomes.found,
    masks: { taken: masks.taken(), files },
    scratchBytes,
    fingerprints: (identify) => createFingerprints(graph.grouped, identify),
    resumed: resumedFiles(outputs, known),
    existing: known.existing,
    totals: totalsOf(jobs, models, outputs, undigested, outcomes.found.size, standIns),
    unanswered: [...new Set([...draft.questions.values()].map(({ step }) => step))],
    warnings: draft.warnings,
  }
}

/**
 * A plan that is only to be shown. Where nothing of its inputs is known, and so nothing can be reused, it has the jobs of
 * some tensors, which stand for those of all others like them.
 */
export function* outlineInSlices(draft: Draft, known: PriorState): Sliced<Plan> {
  const standIns = isUnread(draft, known) && draft.reports.length === 0 ? findStandIns(draft.outputs) : undefined
  if (standIns !== undefined) {
    const plan = yield* completeInSlices(draft, known, [], () => true, standIns)
    // Work on tensors of other names, or of whole tensors, may be for several.
    if (plan.jobs.every(({ tensor, solve }) => solve === undefined && standIns.of(tensor) === tensor)) return plan
  }
  return yield* completeInSlices(draft, known)
}

/** True where no fingerprint can be known: nothing tells what any input contains. */
const isUnread = ({ evaluations }: Draft, known: PriorState): boolean =>
  known.earlier.size === 0 &&
  known.unfinished.size === 0 &&
  known.outcomesBy === undefined &&
  evaluations.every(({ setting }) =>
    [...setting.inputs.values()].every(({ file }) =>
      [...file.tensors.values()].every((t) => known.digestOf(t) === undefined),
    ),
  )

/** What a report needs measured. */
const askedBy = ({ step, value }: PlannedReport): readonly Asked[] =>
  value.measured.map(({ tensor, size, scalars, tallies = {} }) => ({
    tensor,
    size,
    step,
    values: [...Object.values(scalars), ...Object.values(tallies)],
  }))

/** The roots of each output. */
function* buildRoots({ outputs }: Draft, standIns: StandIns): Sliced<readonly (readonly Root[])[]> {
  const roots: (readonly Root[])[] = []
  for (const output of outputs) roots.push(yield* output.roots((name) => standIns.of(name) === name))
  return roots
}

/** The models and adapters of all settings, each once. */
const modelsOf = (settings: Plan['settings']): readonly Model[] => [
  ...new Map(settings.flatMap((s) => [...s.inputs.values()].map(({ file }) => [file.path, file] as const))).values(),
]

/** The tensors that are read only to hash them. */
const undigestedOf = (
  models: readonly Model[],
  jobs: readonly Job[],
  known: PriorState,
  standIns: StandIns,
): TensorInfo[] => {
  /** By file and name: no text is made for each of many tensors. */
  const read = new Map<string, Set<string>>()
  const note = (view: View): void => {
    if (!isWhole(view)) return
    const { file, name } = view.tensor
    const names = read.get(file)
    if (names === undefined) read.set(file, new Set([name]))
    else names.add(name)
  }
  for (const { copies, sweeps } of jobs) {
    for (const { expect, from } of copies) if (expect === undefined && from !== undefined) note(from)
    for (const pass of sweeps?.passes ?? []) pass.reads.forEach(note)
  }
  const isRead = (t: TensorInfo | undefined): boolean => t !== undefined && read.get(t.file)?.has(t.name) === true
  const found: TensorInfo[] = []
  for (const model of models) {
    for (const t of model.tensors.values())
      if (t.begin < t.end && !isRead(standInOf(standIns, model, t)) && known.digestOf(t) === undefined) found.push(t)
  }
  return found
}

/** The outputs and reports of a setting for which there is something to compute, by name. */
const workingUnder = (
  outputs: readonly PlannedOutput[],
  reports: readonly PlannedReport[],
  jobs: readonly Job[],
): ((setting: number) => ReadonlySet<string>) => {
  const working = new Set(jobs.flatMap((j) => j.targets).map((t) => t.output))
  return (setting) =>
    new Set([
      ...outputs.filter((o, i) => o.setting === setting && working.has(i)).map((o) => o.name),
      ...reports.filter((r) => r.setting === setting && !r.kept).map((r) => r.name),
    ])
}

/** The unfinished files that the build resumes, by the final path of each. */
const resumedFiles = (outputs: readonly PlannedOutput[], known: PriorState): ReadonlyMap<string, string> =>
  new Map(
    outputs
      .filter((o) => o.kept === undefined)
      .flatMap((o) => o.files)
      .flatMap(({ path }) => {
        const unfinished = known.unfinished.get(path)
        return unfinished === undefined ? [] : [[path, unfinished.path] as const]
      }),
  )

/** The programs of some jobs, each once. */
export const programsOf = (jobs: readonly Job[]): Program[] => {
  const programs = new Map<string, Program>()
  for (const job of jobs) for (const { program } of passesOf(job)) programs.set(program.key, program)
  return [...programs.values()]
}
