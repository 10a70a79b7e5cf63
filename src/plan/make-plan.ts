import { unusedStep } from '../base/catalogue/plan.js'
import { failed, ok, type Result } from '../base/result.js'
import { argumentsOf, type Expression, type Measure } from '../graph/expression.js'
import { createGraph, type Graph } from '../graph/graph.js'
import { cutPasses, groupKey, type Pass } from '../graph/passes.js'
import type { Program } from '../graph/program.js'
import type { Note } from '../operators/define.js'
import { orderSteps, stepOf } from '../recipe/link.js'
import type { Recipe, Step } from '../recipe/recipe.js'
import { usesOf } from '../recipe/step.js'
import type { Model } from '../safetensors/model.js'
import { bytesFor } from '../tensor/dtype.js'
import { sizeOf, type TensorInfo } from '../tensor/info.js'
import { createLayerContext } from './context.js'
import { evaluateSteps, type Evaluated } from './evaluate.js'
import { pathProblems, planOutput, type Folders, type OutputRoots, type Root } from './outputs.js'
import type { Job, Plan, PlannedModel, PlannedStep, Totals } from './plan.js'

/** Decides everything a recipe will do, from the headers of its models alone. Touches no file. */
export const makePlan = (recipe: Recipe, models: ReadonlyMap<string, Model>, folders: Folders): Result<Plan> => {
  const graph = createGraph()
  const layers = createLayerContext()
  const wanted = [...recipe.outputs.values()]
  const steps = orderSteps(recipe.steps, wanted.map((o) => o.from.name))
  const needed = new Set(steps.map((s) => s.name))
  const unused = [...recipe.steps.values()].filter((s) => !needed.has(s.name))
  // Unused steps are evaluated too: their mistakes are mistakes of the recipe, although nothing of them is run.
  const all = orderSteps(recipe.steps, [...steps, ...unused].map((s) => s.name))
  const evaluated = evaluateSteps(recipe, all, models, graph, layers)
  const warnings = [...evaluated.diagnostics, ...unused.map((s) => unusedStep(s.name, s.at))]
  if (evaluated.type === 'failed') return failed(...warnings)

  const planned = wanted.map((o, i) => planOutput(recipe, o, i, evaluated.value.values.get(o.from.name)!, layers, folders))
  const modelList = [...models].map(([name, model]): PlannedModel => ({
    name,
    label: recipe.models.get(name)!.path,
    architecture: layers.architecture(model.tensors)?.title,
    tensors: model.tensors.size,
    bytes: model.bytes,
    files: model.files.map((f) => ({ path: f.path, ...f.identity })),
  }))
  const outputs = planned.flatMap((p) => (p.type === 'ok' ? [p.value] : []))
  const problems = [...planned.flatMap((p) => p.diagnostics), ...pathProblems(recipe, outputs.map((o) => o.output), modelList)]
  if (problems.some((d) => d.severity === 'error')) return failed(...warnings, ...problems)

  const written = makeJobs(outputs)
  const jobs = [...written, ...measuringJobs(written, graph)]
  const programs = programsOf(jobs)
  return ok({
    name: recipe.name,
    seed: recipe.seed,
    steps: steps.map((step) => describeStep(step, recipe, evaluated.value)),
    unused: unused.map((s) => s.name),
    outputs: outputs.map((o) => o.output),
    jobs,
    programs,
    models: modelList,
    totals: totalsOf(jobs, models, outputs),
    warnings: [...warnings, ...problems],
  }, [...warnings, ...problems])
}

/** The stored tensor whose bytes are the root's, unless something has to be computed. */
const copiedFrom = ({ value, target }: Root): TensorInfo | undefined =>
  (value.type === 'read' && value.tensor.dtype === target.dtype ? value.tensor : undefined)

/** Roots of one name and size become one job, so that what several outputs share is computed once. Jobs are in the order of their bytes in the first output. */
const makeJobs = (outputs: readonly OutputRoots[]): Job[] => {
  const groups = new Map<string, Root[]>()
  for (const root of outputs.flatMap((o) => o.roots)) {
    const key = `${sizeOf(root.shape)} ${root.target.tensor}`
    groups.set(key, [...(groups.get(key) ?? []), root])
  }
  return [...groups.values()].flatMap((roots): Job[] => {
    const size = sizeOf(roots[0]!.shape)
    if (size === 0) return []
    const computed = roots.filter((r) => copiedFrom(r) === undefined)
    return [{
      tensor: roots[0]!.target.tensor,
      size,
      copies: roots.flatMap((r) => {
        const from = copiedFrom(r)
        return from === undefined ? [] : [{ from, to: r.target }]
      }),
      targets: computed.map((r) => r.target),
      sweeps: computed.length === 0 ? undefined : cutPasses(computed.map((r) => ({ value: r.value, dtype: r.target.dtype }))),
    }]
  })
}

/** The stored tensor an expression is about: the first it reads. */
const subjectOf = (e: Expression): TensorInfo | undefined => {
  if (e.type === 'read' || e.type === 'read-mask') return e.tensor
  for (const argument of argumentsOf(e)) {
    const found = subjectOf(argument)
    if (found !== undefined) return found
  }
  return undefined
}

/** Measures over a whole model need all its tensors, also those that no output holds: jobs that write nothing. */
const measuringJobs = (jobs: readonly Job[], graph: Graph): Job[] => {
  const taken = new Map(jobs.flatMap(passesOf).flatMap((p) => p.takes).map((t) => [t.measure.id, groupKey(t.measure)] as const))
  const groups = new Set(taken.values())
  const missing = new Map<string, Measure[]>()
  for (const measure of graph.grouped().filter((m) => groups.has(groupKey(m)) && !taken.has(m.id))) {
    const name = subjectOf(measure)?.name ?? ''
    missing.set(name, [...(missing.get(name) ?? []), measure])
  }
  return [...missing].flatMap(([tensor, measures]): Job[] => {
    const size = sizeOf(subjectOf(measures[0]!)?.shape ?? [0])
    return size === 0 ? [] : [{ tensor, size, copies: [], targets: [], sweeps: cutPasses([], measures) }]
  })
}

const passesOf = (job: Job): readonly Pass[] => (job.sweeps === undefined ? [] : [...job.sweeps.passes, ...job.sweeps.locates.values()])

const programsOf = (jobs: readonly Job[]): Program[] =>
  [...new Map(jobs.flatMap(passesOf).map((p) => [p.program.key, p.program] as const)).values()]

const describeStep = (step: Step, recipe: Recipe, { values, notes }: Evaluated): PlannedStep => {
  const value = values.get(step.name) ?? values.get(`${step.name}.1`)!
  const counts: Record<string, number> = {}
  for (const note of notes.get(step.name) ?? ([] as Note[])) counts[note.type] = (counts[note.type] ?? 0) + 1
  const users = [...recipe.steps.values()].filter((s) => usesOf(s).some((u) => stepOf(u.name) === step.name)).map((s) => s.name)
  const outputs = [...recipe.outputs.values()].filter((o) => stepOf(o.from.name) === step.name).map((o) => o.name)
  return {
    name: step.name,
    op: step.operator.id,
    kind: step.operator.output,
    space: value.kind === 'model' ? value.space : undefined,
    uses: [...new Set(usesOf(step).map((u) => u.name))],
    wantedBy: [...users, ...outputs],
    tensors: value.kind === 'model' ? value.tensors.size : value.kind === 'mask' ? value.shapes.size : value.numbers.size,
    counts,
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
    tensors: outputs.reduce((n, o) => n + o.roots.length, 0),
    copied: jobs.reduce((n, job) => n + job.copies.length, 0),
    computed: jobs.reduce((n, job) => n + job.targets.length, 0),
    readBytes: read,
    writeBytes: outputs.reduce((n, o) => n + o.output.files.reduce((m, f) => m + f.bytes, 0), 0),
    skippedBytes: stored.filter((info) => !touched.has(info)).reduce((n, info) => n + info.end - info.begin, 0),
    operations: jobs.reduce((n, job) => n + (job.sweeps?.passes ?? []).reduce((m, p) => m + p.program.instructions.length * job.size, 0), 0),
  }
}
