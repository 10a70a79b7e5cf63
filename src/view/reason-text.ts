import type { Reason } from '../plan/reasons.js'
import { describeChange } from '../store/compare-locks.js'

/** A reason why a step runs, in a line. */
export const reasonText = (step: string, reason: Reason): string => {
  switch (reason.type) {
    case 'taken-over':
      return 'reused from the last build'
    case 'copied':
      return 'nothing to compute: its tensors are copied from inputs'
    case 'not-written':
      return 'unchanged since the lock was written, but its output has not been built here'
    case 'forced':
      return 'unchanged, computed again because of `--force`'
    case 'new':
      return 'never built before'
    case 'changed':
      return reason.by === step || reason.changes.length === 1
        ? describeChange(reason.changes[0]!)
        : `step \`${reason.by}\` changed`
    case 'input':
      return reason.known ? `input \`${reason.path}\` changed` : `input \`${reason.path}\` has not been checked yet`
    case 'lost':
      return 'unchanged, but its previous result is gone'
    case 'output':
    case 'input-facts':
      return describeChange(reason.changes[0]!)
    case 'needed':
      return `unchanged, but needed for output \`${reason.output}\`, which changed`
  }
}

/** The first reason why a step runs, in a line. */
export const shortReason = (step: string, reasons: readonly Reason[]): string => {
  const [first] = reasons
  if (first?.type === 'taken-over') return reasonText(step, first)
  const more = reasons.length - 1 + (first !== undefined && 'changes' in first ? first.changes.length - 1 : 0)
  return first === undefined ? '' : `${reasonText(step, first)}${more > 0 ? `, and ${more} more` : ''}`
}
