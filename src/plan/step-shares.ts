import { append } from '../base/lists.js'
import { argumentsOf, isMeasure, type Expression } from '../graph/expression.js'
import type { Graph } from '../graph/graph.js'
import type { Job } from './plan.js'

/** Expressions that are given to a program rather than computed by it. */
const GIVEN: ReadonlySet<Expression['type']> = new Set(['literal', 'read', 'read-mask', 'constant', 'fill', 'position'])

/**
 * Which share of a job's work each step has, by the names of the plan; the shares add up to 1. A job runs as few
 * programs, in which nothing
 * tells steps apart, so the share is that of the operations that a step was the first to ask for. What is only copied
 * is the work of the last step.
 */
export const stepShares = (
  { step, targets, kept, sweeps, solve }: Job,
  { originOf }: Pick<Graph, 'originOf'>,
  nameOf: (setting: number, step: string) => string,
): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>()
  const own = new Set<Expression>((sweeps?.passes ?? []).flatMap((p) => p.takes.map((t) => t.measure)))
  if (solve !== undefined) own.add(solve.measure)
  const seen = new Set<number>()
  const open: Expression[] = [...targets.map((t) => t.value), ...kept.map((k) => k.value), ...own]
  for (let e = open.pop(); e !== undefined; e = open.pop()) {
    // Measures of other tensors are their jobs' work.
    if (seen.has(e.id) || (isMeasure(e) && !own.has(e))) continue
    seen.add(e.id)
    append(open, argumentsOf(e))
    const origin = GIVEN.has(e.type) || (e.kind === 'scalar' && !isMeasure(e)) ? undefined : originOf(e)
    if (origin === undefined) continue
    const name = nameOf(origin.setting, origin.step)
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  const all = [...counts.values()].reduce((n, count) => n + count, 0)
  return all === 0 ? new Map([[step, 1]]) : new Map([...counts].map(([name, count]) => [name, count / all]))
}
