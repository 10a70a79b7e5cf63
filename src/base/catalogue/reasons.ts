/** What changed between two locks; `what` names the thing, `was` and `is` are its formatted values. */
export const changes = {
  added: (what: string, is: string): string => `${what} was added: ${is}`,
  between: (what: string, was: string, is: string): string => `${what} changed from ${was} to ${is}`,
  changed: (what: string): string => `${what} changed`,
  dropped: (what: string, was: string): string => `${what} was removed (was ${was})`,
  lock: 'new',
  metadata: (input: string): string => `the metadata of input \`${input}\``,
  new: (what: string): string => `${what} is new`,
  of: (fact: string, what: string): string => `\`${fact}\` of ${what}`,
  recipe: 'the text of the recipe changed',
  removed: (what: string): string => `${what} was removed`,
} as const

/** Why a step runs, or does not. */
export const reasons = {
  copied: 'nothing to compute: its tensors are copied from inputs',
  forced: 'unchanged, computed again because of `--force`',
  inputChanged: (path: string): string => `input \`${path}\` changed`,
  inputUnchecked: (path: string): string => `input \`${path}\` has not been checked yet`,
  lost: 'unchanged, but its previous result is gone',
  more: (first: string, count: number): string => `${first}, and ${count} more`,
  needed: (output: string): string => `unchanged, but needed for output \`${output}\`, which changed`,
  new: 'never built before',
  notWritten: 'unchanged since the lock was written, but its output has not been built here',
  stepChanged: (step: string): string => `step \`${step}\` changed`,
  takenOver: 'reused from the last build',
} as const
