import { argumentsOf, groupOf, isMeasure, ownerOf, type Expression, type Mask, type Measure } from '../graph/expression.js'
import type { Graph } from '../graph/graph.js'
import { cutPasses, measuresOf, type Pass } from '../graph/passes.js'
import { createAssembler, type Assembler } from '../graph/program.js'
import { sizeOf } from '../tensor/info.js'
import { viewLabel } from '../tensor/view.js'
import { subjectOf } from './fingerprint.js'
import type { KeptMask, layOutMasks, Masks, PlannedMasks } from './masks.js'
import type { Root } from './outputs.js'
import type { Copy, Job, PlannedReport } from './plan.js'

/** The work on the elements of one tensor: roots to write, and measures that they or other tensors need of it. */
interface Bundle {
  readonly tensor: string
  readonly size: number
  readonly step: string
  readonly roots: Root[]
  readonly measures: Map<number, Measure>
  readonly kept: KeptMask[]
}

/** What need not be done, and what is kept of what is done. */
export interface Shortcuts {
  readonly copyOf: FindCopy
  isKnown(m: Measure): boolean
  readonly masks: Masks
  /** Decides which of the masks that are computed are kept, and where. */
  keep(masks: readonly { readonly value: Mask; readonly elements: number }[]): ReturnType<typeof layOutMasks>
}

/** The work of a plan. */
export interface PlannedWork {
  readonly jobs: readonly Job[]
  readonly files: PlannedMasks['files']
}

const bundleKey = (tensor: string, size: number): string => `${size} ${tensor}`

/** What can be copied instead of computed, for each root. */
export type FindCopy = (root: Root) => Copy | undefined

/** The copy of a stored tensor whose bytes are the root's, unless something has to be computed. */
export const plainCopy: FindCopy = ({ target }) =>
  (target.value.type === 'read' && target.value.view.tensor.dtype === target.dtype ? { from: target.value.view, to: target, expect: undefined } : undefined)

const familyOf = (m: Measure): string => `${m.type} ${groupOf(m.over ?? '')}`

/** Gives every measure over a group to all its members, whatever threshold each of them asks for: a quantile is of the group's numbers, not of those that share it. */
export const completeGroups = (graph: Graph): ReadonlyMap<string, readonly Measure[]> => {
  const families = new Map<string, Measure[]>()
  const collect = (): void => {
    families.clear()
    for (const m of graph.grouped()) {
      const family = families.get(familyOf(m))
      if (family === undefined) families.set(familyOf(m), [m])
      else family.push(m)
    }
  }
  collect()
  for (const family of families.values()) {
    for (const m of family) {
      if (m.type === 'top') for (const density of new Set(family.map((o) => (o.type === 'top' ? o.density : 1)))) graph.top(m.operand, density, m.over)
      if (m.type === 'quantile') for (const q of new Set(family.map((o) => (o.type === 'quantile' ? o.q : 0)))) graph.quantile(m.operand, q, m.over)
    }
  }
  collect()
  return families
}

/**
 * Bundles all work by tensor: what several outputs share is computed once, and every measure is taken where its elements are read,
 * also for tensors that no output holds. Jobs are in the order of their bytes in the first output.
 */
export const makeJobs = (
  roots: readonly Root[], reports: readonly PlannedReport[], graph: Graph, { copyOf, isKnown, masks, keep }: Shortcuts,
): PlannedWork => {
  const bundles = new Map<string, Bundle>()
  const bundleOf = (tensor: string, size: number, step: string): Bundle => {
    const key = bundleKey(tensor, size)
    const known = bundles.get(key) ?? { tensor, size, step, roots: [], measures: new Map(), kept: [] }
    bundles.set(key, known)
    return known
  }
  const copies = new Map(roots.map((root) => [root, copyOf(root)] as const))
  for (const root of roots) bundleOf(root.target.tensor, sizeOf(root.shape), root.target.step).roots.push(root)

  const isGiven = (e: Expression): boolean => (isMeasure(e) && isKnown(e)) || masks.bitsOf(e) !== undefined
  const families = completeGroups(graph)
  const owners = new Map<number, Bundle>()
  const claim = (m: Measure, asking: Bundle): void => {
    if (owners.has(m.id) || isKnown(m)) return
    const subject = subjectOf(m)
    // Peaks are asked for by their scales too, of which there are fewer than elements.
    const owner = m.type === 'peaks' ? bundleOf(subject === undefined ? asking.tensor : viewLabel(subject), sizeOf(m.grid.shape), asking.step)
      : subject === undefined ? asking : bundleOf(ownerOf(m.over) ?? viewLabel(subject), sizeOf(subject.shape), asking.step)
    owners.set(m.id, owner)
    owner.measures.set(m.id, m)
    for (const other of m.over === undefined ? [] : (families.get(familyOf(m)) ?? [])) claim(other, asking)
    for (const below of measuresOf(argumentsOf(m), isGiven)) claim(below, owner)
  }
  const wanted = new Map<Mask, Bundle>()
  for (const bundle of [...bundles.values()]) {
    const computed = bundle.roots.filter((r) => copies.get(r) === undefined).map((r) => r.target.value)
    for (const m of measuresOf(computed, isGiven)) claim(m, bundle)
    for (const mask of bundle.size === 0 ? [] : masks.wanted(computed)) if (!wanted.has(mask)) wanted.set(mask, bundle)
  }
  const { kept, files } = keep([...wanted].map(([value, { size }]) => ({ value, elements: size })))
  for (const mask of kept) wanted.get(mask.value)!.kept.push(mask)
  const assemble = createAssembler(masks.bitsOf)
  for (const { value, step } of reports) {
    for (const { tensor, size, scalars, tallies = {} } of value.measured) {
      for (const m of measuresOf([...Object.values(scalars), ...Object.values(tallies)], isGiven)) claim(m, bundleOf(tensor, size, step))
    }
  }
  const jobs = [...bundles.values()].filter((b) => b.size > 0 && b.roots.length + b.measures.size > 0)
    .map((bundle) => makeJob(bundle, copies, (e) => (isMeasure(e) && owners.get(e.id) !== bundle) || masks.bitsOf(e) !== undefined, assemble))
  return { jobs, files }
}

const makeJob = (
  { tensor, size, step, roots, measures, kept }: Bundle, copies: ReadonlyMap<Root, Copy | undefined>, isGiven: (e: Expression) => boolean, assemble: Assembler,
): Job => {
  const computed = roots.filter((r) => copies.get(r) === undefined)
  const wanted = [...computed.map((r) => ({ value: r.target.value, dtype: r.target.dtype })), ...kept.map(({ value }) => ({ value, dtype: 'BOOL' as const }))]
  return {
    tensor,
    size,
    step,
    copies: roots.map((r) => copies.get(r)).filter((c) => c !== undefined),
    targets: computed.map((r) => r.target),
    kept,
    sweeps: computed.length === 0 && measures.size === 0 ? undefined : cutPasses(wanted, [...measures.values()], isGiven, assemble),
  }
}

/** All passes a job can come to run. */
export const passesOf = (job: Job): readonly Pass[] => (job.sweeps === undefined ? [] : [...job.sweeps.passes, ...job.sweeps.locates.values()])
