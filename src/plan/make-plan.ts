import { unusedStep } from '../base/catalogue/plan.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { contentDigest, type Digest } from '../base/digest.js'
import { append } from '../base/lists.js'
import { failed, ok, type Result } from '../base/result.js'
import { atOnce, type Sliced } from '../base/slices.js'
import { orderProblems } from '../document/report.js'
import type { Mask, Measure } from '../graph/expression.js'
import { createGraph } from '../graph/graph.js'
import { groupKey } from '../graph/passes.js'
import type { Program } from '../graph/program.js'
import { orderSteps, stepOf } from '../recipe/link.js'
import type { Recipe, Step } from '../recipe/recipe.js'
import type { Model } from '../safetensors/model.js'
import type { StoredMask } from '../store/masks.js'
import type { StoredOutcome } from '../store/outcomes.js'
import { bytesFor } from '../tensor/dtype.js'
import { sizeOf, type TensorInfo } from '../tensor/info.js'
import { isWhole, wholeOf, type View } from '../tensor/view.js'
import { createLayerContext } from './context.js'
import {
  byPath,
  destinationProblems,
  destinationsOf,
  reservedFor,
  reservedInputs,
  type Destination,
  type NamesOf,
} from './destinations.js'
import type { Draft, Evaluation } from './draft.js'
import { describeInputs, describeStep, totalsOf, usersOf } from './describe.js'
import { evaluateSteps, type Evaluated, type StepCache } from './evaluate.js'
import { createFingerprints } from './fingerprint.js'
import type { OpenedInputs } from './inputs.js'
import { completeGroups, makeJobs, passesOf, plainCopy } from './jobs.js'
import { NO_PRIOR_STATE, type PriorState } from './prior-state.js'
import { headerFactsBefore } from './make-lock.js'
import { createMasks, encodingOf, layOutMasks, type KeepableMasks } from './masks.js'
import { planOutput, type Folders, type OutputRoots, type Root, type Setting } from './outputs.js'
import type { Copy, Job, Plan, PlannedOutput, PlannedReport, PlannedStep, HeaderFacts } from './plan.js'
import { fingerprintReport, planReport } from './reports.js'
import { stepShares } from './step-shares.js'

/** How far to plan. */
export interface PlanOptions {
  /** False finds every mistake and leaves out the jobs: enough to check a recipe, and several times faster. */
  readonly jobs?: boolean
}

/** Where a command writes. */
export interface PlacesOptions {
  /** Tells which paths lead to one file. */
  readonly namesOf?: NamesOf
  /** What the command writes besides the outputs of the recipe. */
  readonly more?: readonly Destination[]
}

/**
 * Evaluates a recipe under one or more settings of its params, with pauses. What they have in common is evaluated, and
 * later computed, once.
 */
export function* draftInSlices(
  settings: readonly Setting[],
  folders: Folders,
  { namesOf = byPath, more = [] }: PlacesOptions = {},
): Sliced<Result<Draft>> {
  const graph = createGraph()
  const layers = createLayerContext()
  const memory: StepCache = new Map()
  const masks: KeepableMasks = new Map()
  const evaluations: Evaluation[] = []
  const problems: Diagnostic[] = []
  const unusedNames = new Set<string>()
  for (const [index, setting] of settings.entries()) {
    const { recipe } = setting
    const steps = orderSteps(
      recipe.steps,
      [...recipe.outputs.values()].map((o) => o.from.name),
    )
    const needed = new Set(steps.map((s) => s.name))
    const unused = [...recipe.steps.values()].filter((s) => !needed.has(s.name))
    // Unused steps are evaluated too: their mistakes are mistakes of the recipe, although nothing of them is run.
    const all = orderSteps(
      recipe.steps,
      [...steps, ...unused].map((s) => s.name),
    )
    const evaluated = yield* evaluateSteps(recipe, all, setting.inputs, {
      graph,
      layers,
      memory,
      masks,
      setting: index,
    })
    for (const { name } of unused) unusedNames.add(name)
    append(problems, [...evaluated.diagnostics, ...unused.map((s) => unusedStep(s.name, s.at))])
    if (evaluated.type === 'ok') evaluations.push({ setting, steps, evaluated: evaluated.value })
  }
  if (evaluations.length < settings.length) return failed(...orderProblems(problems))

  const outputs: OutputRoots[] = []
  const reports: PlannedReport[] = []
  for (const [index, { setting, evaluated }] of evaluations.entries()) {
    for (const output of setting.recipe.outputs.values()) {
      yield
      const value = evaluated.values.get(output.from.name)!
      const planned =
        value.kind === 'report'
          ? planReport(output, index, value, folders)
          : planOutput(setting, index, output, outputs.length, value, { graph, layers }, folders)
      append(problems, planned.diagnostics)
      if (planned.type === 'failed') continue
      if ('roots' in planned.value) outputs.push(planned.value)
      else reports.push(planned.value)
    }
  }
  const models = describeInputs(settings, layers)
  const destinations = [
    ...destinationsOf(
      settings,
      outputs.map((o) => o.output),
      reports,
    ),
    ...more,
  ]
  const reserved = [...reservedInputs(models), ...reservedFor(folders.recipe, settings[0]!.recipe)]
  const warnings = orderProblems([
    ...problems,
    ...destinationProblems(
      destinations,
      reserved,
      namesOf,
      settings.map((s) => s.label),
    ),
  ])
  if (warnings.some((d) => d.severity === 'error')) return failed(...warnings)
  return ok({ evaluations, outputs, reports, models, unused: [...unusedNames], graph, masks, warnings }, warnings)
}

/** Like {@link draftInSlices}, without a pause. */
export const draftPlan = (settings: readonly Setting[], folders: Folders, places: PlacesOptions = {}): Result<Draft> =>
  atOnce(draftInSlices(settings, folders, places))

/** Like {@link completeInSlices}, without a pause. */
export const completePlan = (draft: Draft, known: PriorState = NO_PRIOR_STATE): Plan =>
  atOnce(completeInSlices(draft, known))

/** Decides what has to be done, given what earlier runs left, with pauses. */
export function* completeInSlices(draft: Draft, known: PriorState = NO_PRIOR_STATE): Sliced<Plan> {
  const { evaluations, graph } = draft
  const roots: (readonly Root[])[] = []
  for (const output of draft.outputs) roots.push(yield* output.roots())
  // A fingerprint is over all members of a group: they must be there before the first is taken.
  completeGroups(graph)
  const byContent = createFingerprints(graph.grouped, known.digestOf)
  const byFile = createFingerprints(graph.grouped, known.identify)
  const settings = evaluations.map(({ setting, steps }) => ({
    label: setting.label,
    recipe: setting.recipe,
    steps,
    inputs: setting.inputs,
  }))
  const opened = settings.flatMap((s) => [...s.inputs.values()].map(({ file }) => [file.path, file] as const))
  const models = [...new Map(opened).values()]

  const copyOf = (root: Root): Copy | undefined => {
    const { target } = root
    const unfinished = known.unfinished.get(target.path)
    if (unfinished !== undefined) {
      const done = unfinished.tensors.get(byFile.of(target.value, target) ?? '')
      if (done?.begin === target.begin) return { from: undefined, to: target, expect: done.digest }
    }
    const plain = plainCopy(root)
    if (plain !== undefined || known.earlier.size === 0) return plain
    return earlierCopy(root, known, byContent)
  }
  /** The digest of what stands in a root's place, if it was made as the root would be. */
  const standing = (root: Root): Digest | undefined => {
    const made = byContent.of(root.target.value, root.target)
    return made === undefined
      ? undefined
      : known.earlier.get(made)?.find((e) => e.file === root.target.path && e.begin === root.target.begin)?.digest
  }
  const reports = draft.reports.map((report): PlannedReport => {
    const before = known.reportAt(report.path)
    return { ...report, kept: before !== undefined && before === fingerprintReport(report, byContent) }
  })
  const kept = yield* keptOutputs(draft, known, roots, standing)
  const outputs = draft.outputs.map(({ output }): PlannedOutput => ({ ...output, kept: kept.get(output) }))
  const outcomes = new Map<Measure, StoredOutcome>()
  const asked = new Map<string, StoredOutcome | undefined>()
  const isKnown = (m: Measure): boolean => {
    if (m.type === 'tally' || m.type === 'peaks' || known.outcome === NO_PRIOR_STATE.outcome) return false
    const key = groupKey(m)
    if (!asked.has(key)) {
      const made = byContent.ofMeasure(m)
      asked.set(key, made === undefined ? undefined : known.outcome(made))
    }
    const outcome = asked.get(key)
    if (outcome !== undefined) outcomes.set(m, outcome)
    return outcome !== undefined
  }
  const findMask = (mask: Mask): StoredMask | undefined => {
    const made = known.mask === NO_PRIOR_STATE.mask ? undefined : byContent.of(mask, encodingOf(mask))
    return made === undefined ? undefined : known.mask(made)
  }
  const masks = createMasks(draft.masks, findMask)
  if (known.outcome !== NO_PRIOR_STATE.outcome || known.mask !== NO_PRIOR_STATE.mask) yield* byContent.prepare()
  const { jobs, files } = yield* makeJobs(
    roots.filter((_, i) => outputs[i]!.kept === undefined).flat(),
    reports.filter((r) => !r.kept),
    graph,
    {
      copyOf,
      isKnown,
      masks,
      keep: (wanted) => layOutMasks(wanted, draft.masks, known.room),
    },
  )
  // Without outputs there is no lock, for which alone the contents of whole inputs are needed.
  yield
  const undigested = outputs.length === 0 ? [] : undigestedOf(models, jobs, known)
  yield
  const nameOf = nameUnder(evaluations)
  const working = new Set(jobs.flatMap((j) => j.targets).map((t) => t.output))
  return {
    name: settings[0]!.recipe.name,
    seed: settings[0]!.recipe.seed,
    steps: describeSteps(
      evaluations,
      (setting) =>
        new Set([
          ...outputs.filter((o, i) => o.setting === setting && working.has(i)).map((o) => o.name),
          ...reports.filter((r) => r.setting === setting && !r.kept).map((r) => r.name),
        ]),
      nameOf,
    ),
    nameOf,
    stepsOf: stepsBehind(evaluations, outputs, nameOf),
    sharesOf: (job) => stepShares(job, graph, nameOf),
    unused: draft.unused,
    outputs,
    targets: roots.map((own) => own.map((r) => r.target)),
    reports,
    jobs,
    programs: programsOf(jobs),
    models: draft.models,
    settings,
    undigested,
    digestOf: known.digestOf,
    lock: known.lock,
    outcomes,
    masks: { taken: masks.taken(), files },
    fingerprints: (identify) => createFingerprints(graph.grouped, identify),
    resumed: new Map(
      outputs
        .filter((o) => o.kept === undefined)
        .flatMap((o) => o.files)
        .flatMap(({ path }) => {
          const unfinished = known.unfinished.get(path)
          return unfinished === undefined ? [] : [[path, unfinished.path] as const]
        }),
    ),
    existing: known.existing,
    totals: totalsOf(jobs, models, outputs, undigested, outcomes.size),
    warnings: draft.warnings,
  }
}

/** The copy of an earlier output's tensor that was made in the same way. */
const earlierCopy = (
  { target, shape }: Root,
  known: PriorState,
  byContent: ReturnType<typeof createFingerprints>,
): Copy | undefined => {
  const made = byContent.of(target.value, target)
  const found = made === undefined ? undefined : known.earlier.get(made)
  const source = found?.find((e) => e.file === target.path) ?? found?.[0]
  if (source === undefined) return undefined
  const end = source.begin + bytesFor(sizeOf(shape), target.dtype)
  const from: TensorInfo = {
    name: target.tensor,
    dtype: target.dtype,
    shape,
    file: source.file,
    begin: source.begin,
    end,
  }
  return { from: wholeOf(from), to: target, expect: source.digest }
}

/**
 * The outputs that stand as they would be written, headers included, with their digests. A setting's outputs bear the
 * digest of all of them, so they stand together.
 */
function* keptOutputs(
  draft: Draft,
  known: PriorState,
  roots: readonly (readonly Root[])[],
  standing: (root: Root) => Digest | undefined,
): Sliced<ReadonlyMap<PlannedOutput, Digest>> {
  const kept = new Map<PlannedOutput, Digest>()
  if (known.earlier.size === 0) return kept
  function* digestOf(output: PlannedOutput, own: readonly Root[]): Sliced<Digest | undefined> {
    const digests = new Map<string, Digest>()
    for (const root of own) {
      yield
      const digest = standing(root)
      if (digest === undefined) return undefined
      digests.set(root.target.tensor, digest)
    }
    return contentDigest(output.tensors.map((t) => ({ ...t, digest: digests.get(t.name)! })))
  }
  for (const [index, { setting, steps }] of draft.evaluations.entries()) {
    const digests = new Map<PlannedOutput, Digest | undefined>()
    for (const [i, o] of draft.outputs.entries())
      if (o.setting === index) digests.set(o.output, yield* digestOf(o.output, roots[i]!))
    if (digests.size === 0 || [...digests.values()].includes(undefined)) continue
    const facts = headerFactsBefore(setting, steps, [...digests.keys()], known, (output) => digests.get(output)!)
    if (facts === undefined || ![...digests.keys()].every((output) => stands(output, facts, known))) continue
    for (const [output, digest] of digests) kept.set(output, digest!)
  }
  return kept
}

const stands = (output: PlannedOutput, facts: HeaderFacts, known: PriorState): boolean => {
  const headers = output.finalizeHeader(facts)
  const { index } = output
  return (
    output.files.every((f, i) => known.stands(f.path, headers[i]!, f.bytes)) &&
    (index === undefined || known.stands(index.path, index.bytes, index.bytes.length))
  )
}

/** What has to be read for its digest alone. */
const undigestedOf = (models: readonly Model[], jobs: readonly Job[], known: PriorState): TensorInfo[] => {
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
  const found: TensorInfo[] = []
  for (const model of models) {
    for (const t of model.tensors.values())
      if (t.begin < t.end && read.get(t.file)?.has(t.name) !== true && known.digestOf(t) === undefined) found.push(t)
  }
  return found
}

const valueOf = ({ evaluated }: Evaluation, name: string): unknown =>
  evaluated.values.get(name) ?? evaluated.values.get(`${name}.1`)

/** What a name of the recipe is called under a setting: steps that differ from setting to setting bear its label. */
const nameUnder =
  (evaluations: readonly Evaluation[]) =>
  (setting: number, name: string): string => {
    const step = stepOf(name)
    const own = evaluations[setting]!
    const shared = evaluations.some((other, i) => i !== setting && valueOf(other, step) === valueOf(own, step))
    return shared || evaluations.length === 1 || !own.setting.recipe.steps.has(step)
      ? name
      : `${step}[${own.setting.label}]${name.slice(step.length)}`
  }

/** The steps of all settings, those that settings have in common once. */
const describeSteps = (
  evaluations: readonly Evaluation[],
  workingOf: (setting: number) => ReadonlySet<string>,
  nameOf: (setting: number, name: string) => string,
): PlannedStep[] => {
  const seen = new Set<unknown>()
  return evaluations.flatMap(({ setting: { recipe }, steps, evaluated }, setting) => {
    const working = workingOf(setting)
    const users = usersOf(steps)
    const behind = new Map(
      [...recipe.outputs.values()].map((o) => [o.name, new Set(orderSteps(recipe.steps, [o.from.name]))] as const),
    )
    const neededBy = (step: Step): readonly string[] =>
      [...behind].filter(([name, below]) => working.has(name) && below.has(step)).map(([name]) => name)
    return steps.flatMap((step) => {
      const value = valueOf(evaluations[setting]!, step.name)
      if (seen.has(value)) return []
      seen.add(value)
      return [
        describeStep(step, setting, users.get(step.name) ?? [], recipe, evaluated, {
          neededBy,
          nameOf: (name) => nameOf(setting, name),
        }),
      ]
    })
  })
}

/**
 * For each output the steps behind it, in order, that do something to a tensor; steps that do not say what they touch
 * touch everything.
 */
const stepsBehind = (
  evaluations: readonly Evaluation[],
  outputs: readonly PlannedOutput[],
  nameOf: (setting: number, name: string) => string,
): Plan['stepsOf'] => {
  const touched = new Map<Evaluated, ReadonlyMap<string, ReadonlySet<string> | undefined>>()
  const touchedIn = ({ evaluated }: Evaluation): ReadonlyMap<string, ReadonlySet<string> | undefined> => {
    const known =
      touched.get(evaluated) ??
      new Map(
        [...evaluated.notes].map(
          ([step, notes]) =>
            [
              step,
              notes.length === 0 ? undefined : new Set(notes.filter((n) => n.type === 'merged').map((n) => n.tensor)),
            ] as const,
        ),
      )
    touched.set(evaluated, known)
    return known
  }
  const behind = outputs.map(({ setting, from }) => orderSteps(evaluations[setting]!.setting.recipe.steps, [from]))
  /** Most tensors are the work of the same steps: one list for all of them. */
  const lists = new Map<string, readonly string[]>()
  return ({ output, tensor }) => {
    const { setting } = outputs[output]!
    const touches = touchedIn(evaluations[setting]!)
    const names = behind[output]!.filter((s) => touches.get(s.name)?.has(tensor) !== false).map((s) =>
      nameOf(setting, s.name),
    )
    const same = lists.get(names.join()) ?? names
    lists.set(names.join(), same)
    return same
  }
}

const programsOf = (jobs: readonly Job[]): Program[] => [
  ...new Map(jobs.flatMap(passesOf).map((p) => [p.program.key, p.program] as const)).values(),
]

/** Decides everything a recipe will do, from the headers of its inputs alone. Touches no file. */
export const makePlan = (
  recipe: Recipe,
  inputs: OpenedInputs,
  folders: Folders,
  { jobs = true }: PlanOptions = {},
): Result<Plan> => {
  const draft = draftPlan([{ recipe, inputs, label: '' }], folders)
  if (draft.type === 'failed') return draft
  return ok(completePlan(jobs ? draft.value : withoutWork(draft.value)), draft.diagnostics)
}

/** A draft whose plan has no jobs: mistakes are found before, and cutting the work takes longer than all the rest. */
export const withoutWork = (draft: Draft): Draft => ({
  ...draft,
  outputs: draft.outputs.map((o) => ({ ...o, roots: noRoots })),
  reports: [],
})

function* noRoots(): Sliced<readonly Root[]> {
  yield
  return []
}
