import {
  attemptsOf,
  placesOf,
  readAccount,
  readAttempt,
  writeWhole,
  type PartResult,
  type RunAccount,
} from './layout.js'

/** Who did a part: where, on what, for how long, and in how many attempts. None of it changes a byte. */
export type PartAccount = RunAccount['parts'][number]

const typeOf = ({ outcomes, reports }: PartResult): PartAccount['type'] =>
  reports.length > 0 ? 'report' : outcomes.length > 0 ? 'measures' : 'tensors'

/** Writes down who did the parts of a run, in its folder. Throws what the system says. */
export const writeAccount = (run: string, results: readonly PartResult[]): void => {
  const begun = attemptsOf(run)
  const parts = results.map((result): PartAccount => {
    const { part, attempt, host, device, reason, seconds, readBytes, writtenBytes, staged } = result
    const count = Math.max(begun.get(part) ?? 0, attempt)
    const attempts = Array.from({ length: count }, (_, i) => readAttempt(run, part, i + 1)).flatMap((found) =>
      found.type === 'ok' ? (found.value ?? []) : [],
    )
    const type = typeOf(result)
    const own = { part, attempt, host, device, reason, seconds, readBytes, writtenBytes, type, attempts }
    return staged === undefined ? own : { ...own, staged }
  })
  writeWhole(placesOf(run).account, { parts })
}

/** Who did the parts of a run; undefined until it is committed, or if that was not written down. */
export const accountOf = (run: string): readonly PartAccount[] | undefined => {
  const found = readAccount(run)
  return found.type === 'ok' ? found.value?.parts : undefined
}
