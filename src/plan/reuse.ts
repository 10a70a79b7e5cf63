import { contentDigest, type Digest } from '../base/digest.js'
import type { Sliced } from '../base/slices.js'
import type { Mask, Measure } from '../graph/expression.js'
import { groupKey } from '../graph/groups.js'
import type { StoredMask } from '../store/masks.js'
import type { StoredOutcome } from '../store/outcomes.js'
import { bytesFor } from '../tensor/dtype.js'
import { sizeOf, type TensorInfo } from '../tensor/info.js'
import { wholeOf } from '../tensor/view.js'
import type { Draft } from './draft.js'
import type { Fingerprints } from './fingerprint.js'
import { plainCopy } from './jobs.js'
import { headerFactsBefore } from './make-lock.js'
import { encodingOf } from './masks.js'
import { wholeFilesOf, type Root } from './outputs.js'
import type { Copy, HeaderFacts, PlannedOutput, PlannedReport } from './plan.js'
import { NO_PRIOR_STATE, type PriorState } from './prior-state.js'
import { fingerprintReport } from './reports.js'

/** Where a root is copied from: its own unfinished file, an input, or an earlier output. Undefined: it is computed. */
export const copyOf = (
  root: Root,
  known: PriorState,
  byContent: Fingerprints,
  byFile: Fingerprints,
): Copy | undefined => {
  const unfinished = unfinishedCopy(root, known, byFile)
  if (unfinished !== undefined) return unfinished
  const plain = plainCopy(root)
  return plain === undefined && known.earlier.size > 0 ? earlierCopy(root, known, byContent) : plain
}

/** The bytes of a root that a killed run already wrote in place. */
const unfinishedCopy = ({ target }: Root, known: PriorState, byFile: Fingerprints): Copy | undefined => {
  const unfinished = known.unfinished.get(target.path)
  const done = unfinished?.tensors.get(byFile.of(target.value, target) ?? '')
  return done?.begin === target.begin ? { from: undefined, to: target, expect: done.digest } : undefined
}

/** A copy from an earlier output: the tensor with the same fingerprint. */
const earlierCopy = ({ target, shape }: Root, known: PriorState, byContent: Fingerprints): Copy | undefined => {
  const made = byContent.of(target.value, target)
  const found = made === undefined ? undefined : known.earlier.get(made)
  const source = found?.find((e) => e.file === target.path) ?? found?.[0]
  if (source === undefined) return undefined
  const end = source.begin + bytesFor(sizeOf(shape), target.dtype)
  const from: TensorInfo = {
    name: target.tensor,
    dtype: target.dtype,
    shape,
    file: source.file,
    begin: source.begin,
    end,
  }
  return { from: wholeOf(from), to: target, expect: source.digest }
}

/** The digest of a root's bytes in the existing output, if they have the same fingerprint. */
const standingDigest = ({ target }: Root, known: PriorState, byContent: Fingerprints): Digest | undefined => {
  const made = byContent.of(target.value, target)
  return made === undefined
    ? undefined
    : known.earlier.get(made)?.find((e) => e.file === target.path && e.begin === target.begin)?.digest
}

/**
 * The outputs that are up to date, headers included, with their digests. The headers of a setting's outputs contain the
 * digest of all of them, so they are up to date together or not at all.
 */
export function* keptOutputs(
  draft: Draft,
  known: PriorState,
  roots: readonly (readonly Root[])[],
  byContent: Fingerprints,
): Sliced<ReadonlyMap<PlannedOutput, Digest>> {
  const kept = new Map<PlannedOutput, Digest>()
  if (known.earlier.size === 0) return kept
  function* digestOf(output: PlannedOutput, own: readonly Root[]): Sliced<Digest | undefined> {
    const digests = new Map<string, Digest>()
    for (const root of own) {
      yield
      const digest = standingDigest(root, known, byContent)
      if (digest === undefined) return undefined
      digests.set(root.target.tensor, digest)
    }
    return contentDigest(output.tensors.map((t) => ({ ...t, digest: digests.get(t.name)! })))
  }
  for (const [index, { setting, steps }] of draft.evaluations.entries()) {
    const digests = new Map<PlannedOutput, Digest | undefined>()
    for (const [i, o] of draft.outputs.entries())
      if (o.setting === index) digests.set(o.output, yield* digestOf(o.output, roots[i]!))
    if (digests.size === 0 || [...digests.values()].includes(undefined)) continue
    const facts = headerFactsBefore(setting, steps, [...digests.keys()], known, (output) => digests.get(output)!)
    if (facts === undefined || ![...digests.keys()].every((output) => stands(output, facts, known))) continue
    for (const [output, digest] of digests) kept.set(output, digest!)
  }
  return kept
}

const stands = (output: PlannedOutput, facts: HeaderFacts, known: PriorState): boolean => {
  const headers = output.finalizeHeader(facts)
  return (
    output.files.every((f, i) => known.stands(f.path, headers[i]!, f.bytes)) &&
    wholeFilesOf(output).every(({ path, bytes }) => known.stands(path, bytes, bytes.length))
  )
}

/** The reports, each with whether it is up to date. */
export const markKeptReports = (
  reports: readonly PlannedReport[],
  known: PriorState,
  byContent: Fingerprints,
): readonly PlannedReport[] =>
  reports.map((report) => {
    const before = known.reportAt(report.path)
    return { ...report, kept: before !== undefined && before === fingerprintReport(report, byContent) }
  })

/** The measures whose results are cached. */
export interface KnownOutcomes {
  isKnown(measure: Measure): boolean
  /** The results that were looked up. */
  readonly found: ReadonlyMap<Measure, StoredOutcome>
}

/** Looks up measures in the cache, each group once. */
export const createKnownOutcomes = (known: PriorState, byContent: Fingerprints): KnownOutcomes => {
  const found = new Map<Measure, StoredOutcome>()
  const asked = new Map<string, StoredOutcome | undefined>()
  return {
    found,
    isKnown: (m) => {
      if (
        m.type === 'tally' ||
        m.type === 'block-totals' ||
        m.type === 'solve' ||
        known.outcome === NO_PRIOR_STATE.outcome
      )
        return false
      const key = groupKey(m)
      if (!asked.has(key)) {
        const made = byContent.ofMeasure(m)
        asked.set(key, made === undefined ? undefined : known.outcome(made))
      }
      const outcome = asked.get(key)
      if (outcome !== undefined) found.set(m, outcome)
      return outcome !== undefined
    },
  }
}

/** The bits of a mask that an earlier build kept. */
export const findMask = (mask: Mask, known: PriorState, byContent: Fingerprints): StoredMask | undefined => {
  const made = byContent.of(mask, encodingOf(mask))
  return made === undefined ? undefined : known.mask(made)
}
