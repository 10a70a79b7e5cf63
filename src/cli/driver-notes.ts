import { runWords } from '../base/catalogue/cluster.js'
import type { Action } from '../cluster/decide.js'

/** For how long a scheduler may be silent, or let a task wait, before that is worth a line, in seconds. */
const SILENCE = 30

/** What is worth a line of what a driver does, besides its progress; `now` is in seconds. */
export const createDriverNotes = (run: string, now: () => number): ((action: Action) => readonly string[]) => {
  const begun = new Set<number>()
  // A question to a scheduler that is away can take half a minute by itself.
  let lastAnswer = now()
  let isTold = false
  /** Since when tasks wait for each reason; undefined once that is told. */
  const reasons = new Map<string, number | undefined>()
  const stuck = ({ waiting }: Extract<Action, { type: 'wait' }>): readonly string[] => {
    if (waiting === undefined) return []
    const { part, reason } = waiting
    if (!reasons.has(reason)) reasons.set(reason, now())
    const since = reasons.get(reason)
    if (since === undefined || now() - since < SILENCE) return []
    reasons.set(reason, undefined)
    return [runWords.waiting(part, reason, run)]
  }
  const wait = (isAnswered: boolean): readonly string[] => {
    if (isAnswered) {
      const was = isTold
      lastAnswer = now()
      isTold = false
      return was ? [runWords.answered] : []
    }
    if (isTold || now() - lastAnswer < SILENCE) return []
    isTold = true
    return [runWords.unanswered(Math.round(now() - lastAnswer))]
  }
  return (action) => {
    switch (action.type) {
      case 'wait':
        return [...wait(action.isAnswered), ...stuck(action)]
      case 'release':
        return action.parts.map(runWords.released)
      case 'submit':
      case 'requeue': {
        const again = action.parts.filter((part) => begun.has(part))
        for (const part of action.parts) begun.add(part)
        return again.map(runWords.again)
      }
      default:
        return []
    }
  }
}
