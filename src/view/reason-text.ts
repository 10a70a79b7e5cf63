import { reasons as say } from '../base/catalogue/reasons.js'
import type { Reason } from '../plan/reasons.js'
import { describeChange } from '../store/compare-locks.js'

/** A reason why a step runs, in a line. */
export const reasonText = (step: string, reason: Reason): string => {
  switch (reason.type) {
    case 'taken-over':
      return say.takenOver
    case 'copied':
      return say.copied
    case 'not-written':
      return say.notWritten
    case 'forced':
      return say.forced
    case 'new':
      return say.new
    case 'changed':
      return reason.by === step || reason.changes.length === 1
        ? describeChange(reason.changes[0]!)
        : say.stepChanged(reason.by)
    case 'input':
      return reason.known ? say.inputChanged(reason.path) : say.inputUnchecked(reason.path)
    case 'lost':
      return say.lost
    case 'output':
    case 'input-facts':
      return describeChange(reason.changes[0]!)
    case 'needed':
      return say.needed(reason.output)
  }
}

/** The first reason why a step runs, in a line. */
export const shortReason = (step: string, reasons: readonly Reason[]): string => {
  const [first] = reasons
  if (first === undefined || first.type === 'taken-over') return first === undefined ? '' : reasonText(step, first)
  const more = reasons.length - 1 + ('changes' in first ? first.changes.length - 1 : 0)
  return more > 0 ? say.more(reasonText(step, first), more) : reasonText(step, first)
}
