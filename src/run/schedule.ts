import { SEGMENT } from '../base/digest.js'
import type { Measure } from '../graph/expression.js'
import type { Pass } from '../graph/passes.js'
import { evaluateScalar } from '../graph/scalar.js'
import { deriveKey } from '../kernels/key.js'
import { toMagnitude } from '../kernels/selection.js'
import type { Job, Plan, Target } from '../plan/plan.js'
import type { TensorInfo } from '../tensor/info.js'
import { createMeasures, INFINITY, type Search } from './measures.js'
import type { DrawOrder, Found, ReadOrder, TakeOrder, UniformOrder, UnitOrder, UnitResult, WriteOrder } from './unit.js'

/** Hands out units in an order that respects what depends on what, and takes in their results. Knows no threads and no files. */
export interface Schedule {
  /** The next unit that can start now; undefined when all others wait for results or there are none. */
  next(): UnitOrder | undefined
  /** Takes a result in. Returns the tensor whose magnitudes cannot be ordered, if the unit found one. */
  finish(result: UnitResult): { readonly nonFinite: Job; readonly step: string } | undefined
  readonly finished: boolean
  /** Segment digests by file and tensor, in segment order. */
  readonly digests: ReadonlyMap<string, (Uint8Array | undefined)[]>
}

/** The key under which a tensor's segment digests are kept. */
export const digestKey = (path: string, tensor: string): string => `${path}\0${tensor}`

interface Phase { readonly job: number; readonly type: 'copy' | 'pass'; readonly pass: number; next: number; open: number }
interface Issued { readonly job: number; readonly segment: number; readonly pass: Pass | undefined; readonly order: UnitOrder; readonly phase: Phase | undefined }

const segmentsOf = (size: number): number => Math.max(1, Math.ceil(size / SEGMENT))

/** The non-negative float32 whose bits these are; those of the next number above it are one more. */
const fromBits = (bits: number): number => toMagnitude(bits >>> 15, bits & 0x7fff)

/** Prepares the units of a plan. */
export const createSchedule = (plan: Plan): Schedule => {
  const measures = createMeasures()
  const programs = new Map(plan.programs.map((p, i) => [p.key, i] as const))
  const digests = new Map<string, (Uint8Array | undefined)[]>()
  const issued = new Map<number, Issued>()
  const searches: Search[] = []
  /** Phases that may start, later passes of begun jobs first, so that few jobs are open at a time. */
  const ready: Phase[] = []
  const waiting = new Set<Phase>()
  let nextJob = 0
  let nextId = 0
  let open = 0

  plan.jobs.forEach((job, index) => {
    const seen = new Set<number>()
    for (const pass of job.sweeps?.passes ?? []) {
      for (const { measure } of pass.takes) {
        if (seen.has(measure.id)) continue
        seen.add(measure.id)
        measures.announce(index, job.tensor, measure, job.size, segmentsOf(job.size))
      }
    }
  })

  const canStart = (phase: Phase): boolean => {
    const pass = phase.type === 'pass' ? plan.jobs[phase.job]!.sweeps!.passes[phase.pass]! : undefined
    if (pass === undefined) return true
    const settled = pass.needs.every((m) => measures.outcome(m) !== undefined)
    return settled && pass.takes.every((t) => t.stage !== 'low' || measures.bin(t.measure) !== undefined)
  }
  const enter = (phase: Phase): void => {
    if (canStart(phase)) ready.push(phase)
    else waiting.add(phase)
  }
  const wake = (): void => {
    for (const phase of waiting) {
      if (!canStart(phase)) continue
      waiting.delete(phase)
      ready.push(phase)
    }
  }
  const phasesOf = (job: number): Phase[] => {
    const { copies, sweeps } = plan.jobs[job]!
    return [
      ...copies.map((_, i): Phase => ({ job, type: 'copy', pass: i, next: 0, open: 0 })),
      ...(sweeps === undefined ? [] : [{ job, type: 'pass', pass: 0, next: 0, open: 0 } as const]),
    ]
  }

  const read = (info: TensorInfo, segment: number): ReadOrder => {
    const key = digestKey(info.file, info.name)
    const known = digests.get(key) ?? []
    digests.set(key, known)
    const asked = segment in known
    if (!asked) known[segment] = undefined
    return { path: info.file, begin: info.begin, dtype: info.dtype, tensor: info.name, digest: !asked }
  }
  const write = (t: Target, port: number): WriteOrder =>
    ({ path: t.path, begin: t.begin, dtype: t.dtype, tensor: t.tensor, step: t.step, allowNonFinite: t.allowNonFinite, port })

  const uniform = (pass: Pass, index: number, job: number): UniformOrder => {
    const u = pass.uniforms[index]!
    if (u.kind === 'scalar') {
      return { value: evaluateScalar(u, (m) => {
        const outcome = measures.outcome(m as Measure)
        return outcome?.type === 'number' ? outcome.value : NaN
      }) }
    }
    const outcome = measures.outcome(u)
    if (outcome?.type !== 'top') throw new Error('a pass began before its threshold was known')
    const [at, after] = [fromBits(outcome.bits), fromBits(outcome.bits + 1)]
    if (outcome.bits >= INFINITY) return { value: NaN }
    const limit = outcome.limit(job)
    return limit === Infinity ? { value: at } : limit === 0 ? { value: after } : { value: at, cut: { at: limit, after } }
  }
  const take = (pass: Pass, search: Search | undefined): TakeOrder[] => pass.takes.map(({ measure, stage, ports }) => {
    if (stage === 'low') return { stage, ports, bin: measures.bin(measure)! }
    if (stage === 'locate') return { stage, ports, bits: search!.bits, nth: search!.nth }
    return { stage, ports }
  })
  const drawOrders = (pass: Pass): DrawOrder[] => pass.draws.map((d) => {
    if (d.type === 'constant') return d
    const { k0, k1 } = deriveKey(d.stream)
    return d.type === 'bernoulli' ? { type: d.type, k0, k1, p: d.p } : { type: d.type, k0, k1 }
  })

  const range = (job: Job, segment: number) => ({ start: segment * SEGMENT, end: Math.min(job.size, (segment + 1) * SEGMENT) })
  const passUnit = (job: number, pass: Pass, segment: number, search?: Search): UnitOrder => {
    const planned = plan.jobs[job]!
    return {
      id: nextId++,
      program: programs.get(pass.program.key)!,
      ...range(planned, segment),
      reads: pass.reads.map((info) => read(info, segment)),
      draws: drawOrders(pass),
      uniforms: pass.uniforms.map((_, i) => uniform(pass, i, job)),
      needsLength: pass.needsLength,
      takes: take(pass, search),
      writes: pass.writes.map(({ root, port }) => write(planned.targets[root]!, port)),
    }
  }
  const copyUnit = (job: number, copy: number, segment: number): UnitOrder => {
    const planned = plan.jobs[job]!
    const { from, to } = planned.copies[copy]!
    return {
      id: nextId++, program: undefined, ...range(planned, segment), reads: [read(from, segment)], draws: [], uniforms: [], needsLength: false, takes: [],
      writes: [write(to, -1)],
    }
  }
  const issue = (order: UnitOrder, rest: Omit<Issued, 'order'>): UnitOrder => {
    issued.set(order.id, { ...rest, order })
    open += 1
    return order
  }

  const nextUnit = (): UnitOrder | undefined => {
    const search = searches.pop()
    if (search !== undefined) {
      const pass = plan.jobs[search.job]!.sweeps!.locates.get(search.measure.id)!
      return issue(passUnit(search.job, pass, search.segment, search), { job: search.job, segment: search.segment, pass, phase: undefined })
    }
    const phase = ready.at(-1)
    if (phase === undefined) return undefined
    const segment = phase.next++
    phase.open += 1
    if (phase.next >= segmentsOf(plan.jobs[phase.job]!.size)) ready.pop()
    const pass = phase.type === 'pass' ? plan.jobs[phase.job]!.sweeps!.passes[phase.pass]! : undefined
    const order = pass === undefined ? copyUnit(phase.job, phase.pass, segment) : passUnit(phase.job, pass, segment)
    return issue(order, { job: phase.job, segment, pass, phase })
  }

  const closePhase = (phase: Phase): void => {
    phase.open -= 1
    if (phase.open > 0 || phase.next < segmentsOf(plan.jobs[phase.job]!.size) || phase.type === 'copy') return
    if (phase.pass + 1 < plan.jobs[phase.job]!.sweeps!.passes.length) enter({ ...phase, pass: phase.pass + 1, next: 0, open: 0 })
  }
  const takeIn = (unit: Issued, found: readonly Found[]): Job | undefined => {
    let settled = false
    for (const [i, { measure, stage }] of (unit.pass?.takes ?? []).entries()) {
      const outcome = measures.record(unit.job, measure, stage, unit.segment, found[i]!)
      if (outcome === 'non-finite') return plan.jobs[unit.job]!
      if (outcome !== undefined) searches.push(outcome)
      settled = true
    }
    if (settled) wake()
    return undefined
  }

  return {
    next: () => {
      for (;;) {
        const unit = nextUnit()
        if (unit !== undefined) return unit
        if (nextJob >= plan.jobs.length) break
        phasesOf(nextJob++).reverse().forEach(enter)
      }
      if (open === 0 && waiting.size > 0) throw new Error('the passes of the plan wait for each other')
      return undefined
    },
    finish: (result) => {
      const unit = issued.get(result.id)!
      issued.delete(result.id)
      open -= 1
      unit.order.reads.forEach((r, i) => {
        if (r.digest) digests.get(digestKey(r.path, r.tensor))![unit.segment] = result.readDigests[i]
      })
      unit.order.writes.forEach((w, i) => {
        const key = digestKey(w.path, w.tensor)
        const known = digests.get(key) ?? []
        known[unit.segment] = result.writeDigests[i]
        digests.set(key, known)
      })
      const nonFinite = takeIn(unit, result.found)
      if (unit.phase !== undefined) closePhase(unit.phase)
      return nonFinite === undefined ? undefined : { nonFinite, step: nonFinite.targets[0]?.step ?? '' }
    },
    get finished() {
      return nextJob >= plan.jobs.length && ready.length === 0 && waiting.size === 0 && searches.length === 0 && open === 0
    },
    digests,
  }
}
