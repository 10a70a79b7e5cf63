import { runWords } from '../base/catalogue/cluster.js'
import type { Action } from '../cluster/decide.js'

/** For how long a scheduler may be silent before that is worth a line, in seconds. */
const SILENCE = 30

/** What is worth a line of what a driver does, besides its progress; `now` is in seconds. */
export const createDriverNotes = (now: () => number): ((action: Action) => readonly string[]) => {
  const begun = new Set<number>()
  let silentSince: number | undefined
  let isTold = false
  const wait = (isAnswered: boolean): readonly string[] => {
    if (isAnswered) {
      const was = isTold
      silentSince = undefined
      isTold = false
      return was ? [runWords.answered] : []
    }
    silentSince ??= now()
    if (isTold || now() - silentSince < SILENCE) return []
    isTold = true
    return [runWords.unanswered(Math.round(now() - silentSince))]
  }
  return (action) => {
    switch (action.type) {
      case 'wait':
        return wait(action.isAnswered)
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
