import { adapterTitle } from '../architectures/adapters/guess.js'
import { unusedStep } from '../base/catalogue/plan.js'
import { failed, ok, type Result } from '../base/result.js'
import { createGraph } from '../graph/graph.js'
import type { Program } from '../graph/program.js'
import type { Note } from '../operators/define.js'
import { orderSteps, stepOf } from '../recipe/link.js'
import type { Value } from '../operators/value.js'
import type { Recipe, Step } from '../recipe/recipe.js'
import { usesOf } from '../recipe/step.js'
import type { AdapterFile } from '../safetensors/adapter-file.js'
import type { Model } from '../safetensors/model.js'
import { bytesFor } from '../tensor/dtype.js'
import type { TensorInfo } from '../tensor/info.js'
import { createLayerContext } from './context.js'
import { evaluateSteps, type Evaluated } from './evaluate.js'
import { makeJobs, passesOf } from './jobs.js'
import { pathProblems, pathsOf, planOutput, type Folders, type OutputRoots } from './outputs.js'
import { planReport } from './reports.js'
import type { Job, Plan, PlannedModel, PlannedStep, Totals } from './plan.js'

/** How far to plan. */
export interface PlanOptions {
  /** False finds every mistake and leaves out the jobs: enough to check a recipe, and several times faster. */
  readonly jobs?: boolean
}

/** Decides everything a recipe will do, from the headers of its models and adapters alone. Touches no file. */
export const makePlan = (
  recipe: Recipe, models: ReadonlyMap<string, Model>, folders: Folders, adapters: ReadonlyMap<string, AdapterFile> = new Map(),
  { jobs: wantsJobs = true }: PlanOptions = {},
): Result<Plan> => {
  const graph = createGraph()
  const layers = createLayerContext()
  const wanted = [...recipe.outputs.values()]
  const steps = orderSteps(recipe.steps, wanted.map((o) => o.from.name))
  const needed = new Set(steps.map((s) => s.name))
  const unused = [...recipe.steps.values()].filter((s) => !needed.has(s.name))
  // Unused steps are evaluated too: their mistakes are mistakes of the recipe, although nothing of them is run.
  const all = orderSteps(recipe.steps, [...steps, ...unused].map((s) => s.name))
  const evaluated = evaluateSteps(recipe, all, { models, adapters }, graph, layers)
  const warnings = [...evaluated.diagnostics, ...unused.map((s) => unusedStep(s.name, s.at))]
  if (evaluated.type === 'failed') return failed(...warnings)

  const asked = wanted.map((output) => ({ output, value: evaluated.value.values.get(output.from.name)! }))
  const plannedReports = asked.flatMap(({ output, value }) => (value.kind === 'report' ? [planReport(output, value, folders)] : []))
  const planned = asked.filter(({ value }) => value.kind !== 'report').map(({ output, value }, i) => planOutput(recipe, output, i, value, layers, folders, adapters))
  const modelList = [
    ...[...models].map(([name, model]) => planFile(name, recipe.models.get(name)!.path, model, layers.architecture(model.tensors)?.title)),
    ...[...adapters].map(([name, file]) => planFile(name, recipe.adapters.get(name)!.path, file, adapterTitle(file.tensors))),
  ]
  const outputs = planned.flatMap((p) => (p.type === 'ok' ? [p.value] : []))
  const reports = plannedReports.flatMap((p) => (p.type === 'ok' ? [p.value] : []))
  const places = [...outputs.map(({ output: o }) => ({ ...o, paths: pathsOf(o) })), ...reports.map((r) => ({ ...r, paths: [r.path] }))]
  const problems = [...[...planned, ...plannedReports].flatMap((p) => p.diagnostics), ...pathProblems(recipe, folders, places, modelList)]
  if (problems.some((d) => d.severity === 'error')) return failed(...warnings, ...problems)

  const jobs = wantsJobs ? makeJobs(outputs, reports, graph) : []
  const programs = programsOf(jobs)
  return ok({
    name: recipe.name,
    seed: recipe.seed,
    steps: steps.map((step) => describeStep(step, steps, recipe, evaluated.value)),
    unused: unused.map((s) => s.name),
    outputs: outputs.map((o) => o.output),
    reports,
    jobs,
    programs,
    models: modelList,
    totals: totalsOf(jobs, models, outputs),
    warnings: [...warnings, ...problems],
  }, [...warnings, ...problems])
}

const planFile = (name: string, label: string, { path, tensors, bytes, files }: Model, architecture: string | undefined): PlannedModel =>
  ({ name, label, path, architecture, tensors: tensors.size, bytes, files: files.map((f) => ({ path: f.path, ...f.identity })) })

const programsOf = (jobs: readonly Job[]): Program[] =>
  [...new Map(jobs.flatMap(passesOf).map((p) => [p.program.key, p.program] as const)).values()]

const describeStep = (step: Step, needed: readonly Step[], recipe: Recipe, { values, notes }: Evaluated): PlannedStep => {
  const value = values.get(step.name) ?? values.get(`${step.name}.1`)!
  const counts: Record<string, number> = {}
  for (const note of notes.get(step.name) ?? ([] as Note[])) counts[note.type] = (counts[note.type] ?? 0) + 1
  const users = needed.filter((s) => usesOf(s).some((u) => stepOf(u.name) === step.name)).map((s) => s.name)
  const outputs = [...recipe.outputs.values()].filter((o) => stepOf(o.from.name) === step.name).map((o) => o.name)
  return {
    name: step.name,
    op: step.operator.id,
    kind: step.operator.output,
    space: value.kind === 'model' ? value.space : undefined,
    uses: [...new Set(usesOf(step).map((u) => u.name))],
    wantedBy: [...users, ...outputs],
    tensors: countTensors(value),
    counts,
  }
}

const countTensors = (value: Value): number => {
  switch (value.kind) {
    case 'model': return value.tensors.size
    case 'mask': return value.shapes.size
    case 'weights': return value.numbers.size
    case 'adapter': return value.file.tensors.size
    case 'report': return value.measured.length
  }
}

const totalsOf = (jobs: readonly Job[], models: ReadonlyMap<string, Model>, outputs: readonly OutputRoots[]): Totals => {
  const touched = new Set<TensorInfo>()
  const sizeIn = (infos: readonly TensorInfo[], size: number): number => infos.reduce((n, info) => {
    touched.add(info)
    return n + bytesFor(size, info.dtype)
  }, 0)
  const read = jobs.reduce((n, job) =>
    n + sizeIn(job.copies.map((c) => c.from), job.size) + (job.sweeps?.passes ?? []).reduce((m, p) => m + sizeIn(p.reads, job.size), 0), 0)
  const stored = [...models.values()].flatMap((m) => [...m.tensors.values()])
  return {
    tensors: outputs.reduce((n, o) => n + o.output.tensors.length, 0),
    copied: jobs.reduce((n, job) => n + job.copies.length, 0),
    computed: jobs.reduce((n, job) => n + job.targets.length, 0),
    readBytes: read,
    writeBytes: outputs.reduce((n, o) => n + o.output.files.reduce((m, f) => m + f.bytes, 0), 0),
    skippedBytes: stored.filter((info) => !touched.has(info)).reduce((n, info) => n + info.end - info.begin, 0),
    operations: jobs.reduce((n, job) => n + (job.sweeps?.passes ?? []).reduce((m, p) => m + p.program.instructions.length * job.size, 0), 0),
  }
}
