import type { Sliced } from '../base/slices.js'
import { argumentsOf, isMeasure, type Expression, type Mask, type Measure, type Solve } from '../graph/expression.js'
import type { Graph } from '../graph/graph.js'
import { familyKey } from '../graph/groups.js'
import { cutPasses, measuresOf, operandPass, type Pass } from '../graph/passes.js'
import { createAssembler, type Assembler, type HeldIn } from '../graph/assemble.js'
import { createIdSet } from '../graph/walk.js'
import { sizeOf, type TensorInfo } from '../tensor/info.js'
import { viewLabel } from '../tensor/view.js'
import { elementsOf, subjectOf } from './fingerprint.js'
import type { KeptMask, layOutMasks, PlanMasks, PlannedMasks } from './masks.js'
import type { Root } from './outputs.js'
import type { Copy, Job, Target } from './plan.js'
import { panelOf, SCRATCH } from './scratch.js'

/** The work on the elements of one tensor: roots to write, and measures that they or other tensors need. */
interface Bundle {
  readonly tensor: string
  readonly size: number
  readonly step: string
  /** Lists that most bundles have nothing or one thing in are made when it comes: there may be a hundred thousand. */
  roots: readonly Root[]
  measures: Map<number, Measure> | undefined
  /** Steps that asked for measures, where it is not `step`. */
  askers: Map<number, string> | undefined
  kept: readonly KeptMask[]
}

const newBundle = (tensor: string, size: number, step: string): Bundle => ({
  tensor,
  size,
  step,
  roots: NONE,
  measures: undefined,
  askers: undefined,
  kept: NONE,
})

/** What is already known, and what is cached. */
export interface Shortcuts {
  readonly copyOf: FindCopy
  isKnown(m: Measure): boolean
  readonly masks: PlanMasks
  /** Decides which of the computed masks are cached, and where. */
  keep(masks: readonly { readonly value: Mask; readonly elements: number }[]): ReturnType<typeof layOutMasks>
}

/** Expressions whose measures are taken though no root needs them, such as those of a report. */
export interface Asked {
  /** Where measures that read nothing are taken: the name and the elements of a tensor. */
  readonly tensor: string
  readonly size: number
  readonly step: string
  readonly values: readonly Expression[]
}

/** The work of a plan. */
export interface PlannedWork {
  readonly jobs: readonly Job[]
  readonly files: PlannedMasks['files']
  /** Bytes of the results of solvers. */
  readonly scratchBytes: number
}

/** Names the job for the tensors of one name and size, apart from those of solvers: there is one of it in a plan. */
export const jobKey = ({ tensor, size }: Pick<Job, 'tensor' | 'size'>): string => bundleKey(tensor, size)

const bundleKey = (tensor: string, size: number): string => `${size} ${tensor}`

/** What can be copied instead of computed, for each root. */
export type FindCopy = (root: Root) => Copy | undefined

/** The copy of a stored tensor, if the root is exactly that tensor. */
export const plainCopy: FindCopy = ({ target }) =>
  target.value.type === 'read' && target.value.view.tensor.dtype === target.dtype
    ? { from: target.value.view, to: target, expect: undefined }
    : undefined

const NONE: readonly never[] = []

/**
 * Gives every measure over a group to all its members, whatever their thresholds: a quantile is one of all the group's
 * numbers.
 */
export const completeGroups = (graph: Graph): ReadonlyMap<string, readonly Measure[]> => {
  const families = new Map<string, Measure[]>()
  const collect = (): void => {
    families.clear()
    for (const m of graph.grouped()) {
      const family = families.get(familyKey(m))
      if (family === undefined) families.set(familyKey(m), [m])
      else family.push(m)
    }
  }
  collect()
  for (const family of families.values()) {
    const densities = new Set(family.map((o) => (o.type === 'top' ? o.density : 1)))
    const shares = new Set(family.map((o) => (o.type === 'quantile' ? o.q : 0)))
    for (const m of family) {
      if (m.type === 'top') for (const density of densities) graph.top(m.operand, density, m.over, m.equal)
      if (m.type === 'quantile') for (const q of shares) graph.quantile(m.operand, q, m.over)
    }
  }
  collect()
  return families
}

/**
 * Bundles all work by tensor: what several outputs share is computed once, and every measure is computed where its
 * elements are read anyway, also for tensors that no output has. Jobs are in the order of their bytes in the first
 * output.
 */
export function* makeJobs(
  roots: readonly Root[],
  asked: Iterable<Asked>,
  graph: Graph,
  { copyOf, isKnown, masks, keep }: Shortcuts,
): Sliced<PlannedWork> {
  const bundles = new Map<string, Bundle>()
  const bundleOf = (tensor: string, size: number, step: string): Bundle => {
    const key = bundleKey(tensor, size)
    const known = bundles.get(key) ?? newBundle(tensor, size, step)
    bundles.set(key, known)
    return known
  }
  const copies = new Map<Root, Copy>()
  for (const root of roots) {
    yield
    const copy = copyOf(root)
    if (copy !== undefined) copies.set(root, copy)
    const bundle = bundleOf(root.target.tensor, sizeOf(root.shape), root.target.step)
    bundle.roots = [...bundle.roots, root]
  }

  /** Where the results of solvers will lie. */
  const results = new Map<number, TensorInfo>()
  const heldIn: HeldIn = (e) => (e.type === 'solve' ? results.get(e.id) : masks.heldIn(e))
  const isGiven = (e: Expression): boolean => (isMeasure(e) && isKnown(e)) || masks.heldIn(e) !== undefined
  const families = completeGroups(graph)
  const owners = new Map<number, Bundle>()
  const solves: Solve[] = []
  let scratchBytes = 0
  /** What has been looked through for measures: each expression is once, however many measures it is below. */
  const searched = createIdSet()
  const own = (m: Measure, asking: Bundle, step: string): boolean => {
    if (owners.has(m.id) || isKnown(m)) return false
    const subject = subjectOf(m)
    if (m.type === 'solve') {
      const tensor = subject === undefined ? asking.tensor : viewLabel(subject)
      owners.set(m.id, newBundle(tensor, sizeOf(m.shape), step))
      results.set(m.id, placeResult(m, scratchBytes))
      scratchBytes += 4 * sizeOf(m.shape)
      solves.push(m)
      return true
    }
    // What asks for the numbers of blocks may be the scales alone, of which there are fewer than elements.
    const owner =
      m.type === 'block-totals'
        ? bundleOf(subject === undefined ? asking.tensor : viewLabel(subject), sizeOf(m.grid.shape), step)
        : subject === undefined
          ? asking
          : bundleOf(m.over?.tensor ?? viewLabel(subject), sizeOf(elementsOf(m) ?? subject.shape), step)
    owners.set(m.id, owner)
    owner.measures ??= new Map()
    owner.measures.set(m.id, m)
    if (step !== owner.step) (owner.askers ??= new Map()).set(m.id, step)
    return true
  }
  /**
   * Assigns measures of a step to the jobs that compute them, with the rest of their groups and all measures below.
   */
  function* claim(measures: readonly Measure[], first: Bundle, step: string): Sliced<void> {
    const left = measures.toReversed().map((m) => ({ m, asking: first }))
    for (let next = left.pop(); next !== undefined; next = left.pop()) {
      const { m, asking } = next
      if (!own(m, asking, step)) continue
      const family = m.over === undefined ? NONE : (families.get(familyKey(m)) ?? NONE)
      const members = [m]
      for (const other of family) {
        yield
        if (own(other, asking, step)) members.push(other)
      }
      for (const member of members) {
        yield
        const owner = owners.get(member.id)!
        for (const below of measuresOf(argumentsOf(member), isGiven, searched).reverse())
          left.push({ m: below, asking: owner })
      }
    }
  }
  const wanted = new Map<Mask, Bundle>()
  for (const bundle of [...bundles.values()]) {
    yield
    const computed = bundle.roots.filter((r) => copies.get(r) === undefined).map((r) => r.target)
    for (const { value, step } of computed) yield* claim(measuresOf([value], isGiven, searched), bundle, step)
    for (const mask of bundle.size === 0 ? [] : masks.wanted(computed.map(({ value }) => value)))
      if (!wanted.has(mask)) wanted.set(mask, bundle)
  }
  const { kept, files } = keep([...wanted].map(([value, { size }]) => ({ value, elements: size })))
  for (const mask of kept) {
    const bundle = wanted.get(mask.value)!
    bundle.kept = [...bundle.kept, mask]
  }
  const assemble = createAssembler(heldIn)
  for (const { tensor, size, step, values } of asked) {
    yield
    const found = measuresOf(values, isGiven, searched)
    if (found.length > 0) yield* claim(found, bundleOf(tensor, size, step), step)
  }
  const jobs: Job[] = []
  for (const solve of solves) {
    yield
    if (sizeOf(solve.shape) > 0) jobs.push(makeSolve(solve, owners.get(solve.id)!, results.get(solve.id)!, assemble))
  }
  for (const bundle of bundles.values()) {
    yield
    if (bundle.size === 0 || (bundle.roots.length === 0 && bundle.measures === undefined)) continue
    jobs.push(
      makeJob(
        bundle,
        copies,
        (e) => (isMeasure(e) && owners.get(e.id) !== bundle) || masks.heldIn(e) !== undefined,
        assemble,
      ),
    )
  }
  return { jobs, files, scratchBytes }
}

/** The result of a solver in the scratch file. */
const placeResult = ({ id, shape }: Solve, begin: number): TensorInfo => ({
  name: String(id),
  dtype: 'F32',
  shape,
  file: SCRATCH,
  begin,
  end: begin + 4 * sizeOf(shape),
})

const makeSolve = (measure: Solve, { tensor, size, step }: Bundle, result: TensorInfo, assemble: Assembler): Job => ({
  tensor,
  size,
  step,
  copies: NONE,
  targets: NONE,
  kept: NONE,
  sweeps: undefined,
  solve: { measure, operands: measure.operands.map((x) => operandPass(assemble, x)), result, rows: panelOf(measure) },
})

const makeJob = (
  { tensor, size, step, roots, measures, askers, kept }: Bundle,
  copies: ReadonlyMap<Root, Copy>,
  isGiven: (e: Expression) => boolean,
  assemble: Assembler,
): Job => {
  const computed = roots.filter((r) => copies.get(r) === undefined)
  const wanted = [
    ...computed.map((r) => ({ value: r.target.value, dtype: r.target.dtype })),
    ...kept.map(({ value }) => ({ value, dtype: 'BOOL' as const })),
  ]
  return {
    tensor,
    size,
    step,
    ...(askers === undefined ? {} : { askers }),
    copies: computed.length === roots.length ? NONE : roots.map((r) => copies.get(r)).filter((c) => c !== undefined),
    targets: computed.length === 0 ? NONE : computed.map((r) => r.target),
    kept,
    solve: undefined,
    sweeps:
      computed.length === 0 && measures === undefined
        ? undefined
        : cutPasses(wanted, measures === undefined ? NONE : [...measures.values()], isGiven, assemble),
  }
}

/** Every tensor that a job writes: what it copies, then what it computes. */
export const targetsOf = ({ copies, targets }: Pick<Job, 'copies' | 'targets'>): readonly Target[] => [
  ...copies.map(({ to }) => to),
  ...targets,
]

/** All passes a job can come to run. */
export const passesOf = (job: Job): readonly Pass[] =>
  job.sweeps === undefined ? (job.solve?.operands ?? NONE) : [...job.sweeps.passes, ...job.sweeps.locates.values()]
