import { readFileSync } from 'node:fs'
import { runInputDiffers, runPlanDiffers } from '../base/catalogue/cluster.js'
import { notMeasured, stopped } from '../base/catalogue/run.js'
import type { Diagnostic, Source } from '../base/diagnostic.js'
import { blake3, toDigest } from '../base/digest.js'
import { failed, ok, type Result } from '../base/result.js'
import { inTurns } from '../base/slices.js'
import { completeInSlices } from '../plan/complete-plan.js'
import type { Draft } from '../plan/draft.js'
import type { Identify } from '../plan/fingerprint.js'
import type { Asked } from '../plan/jobs.js'
import type { Root } from '../plan/outputs.js'
import type { Plan } from '../plan/plan.js'
import type { PriorState } from '../plan/prior-state.js'
import type { Answers } from '../plan/questions.js'
import { inputFiles, knowNothing } from '../run/gather-prior-state.js'
import { draft, type Drafted, type DraftOptions } from '../run/prepare.js'
import { decodeOutcome, type StoredOutcome } from '../store/outcomes.js'
import { placesOf, type PartResult, type RunPlan } from './layout.js'

/** The files that a draft reads, as a run knows them: what differs between machines that share them is left out. */
export const inputsOf = (drafted: Pick<Draft, 'models'>): RunPlan['inputs'] =>
  inputFiles(drafted).map(({ path, size, mtimeNs }) => ({ path, size: String(size), mtime: String(mtimeNs) }))

/** The files that a draft writes, as a run knows them. */
export const outputsOf = ({ outputs }: Pick<Draft, 'outputs'>): RunPlan['outputs'] =>
  outputs
    .flatMap(({ output }) => output.files)
    .map(({ path, bytes, header }) => ({ path, bytes, header: toDigest(blake3(header)) }))

/** Identifies stored tensors by what machines that share a file agree on. */
export const identifyShared = (drafted: Pick<Draft, 'models'>): Identify => {
  const tokens = new Map(inputsOf(drafted).map(({ path, size, mtime }) => [path, `${path}:${size}:${mtime}`] as const))
  return ({ file, begin, end }) => {
    const token = tokens.get(file)
    return token === undefined ? undefined : `${token}:${begin}:${end}`
  }
}

/** The parts of recipes that a recipe uses, as the run keeps them: by path. */
export type UsedTexts = Readonly<Record<string, string>>

/** What was measured before the outputs could be laid out, as the run keeps it: no number is lost as a text. */
export type AnswerTexts = Readonly<Record<string, Readonly<Record<string, string>>>>

/** Answers as texts. */
export const toTexts = (answers: Answers): AnswerTexts =>
  Object.fromEntries(
    [...answers].map(([key, figures]) => [
      key,
      Object.fromEntries(
        Object.entries(figures).map(([name, x]) => [name, Object.is(x, -0) ? '-0' : String(x)] as const),
      ),
    ]),
  )

const fromTexts = (texts: AnswerTexts): Answers =>
  new Map(
    Object.entries(texts).map(([key, figures]) => [
      key,
      Object.fromEntries(Object.entries(figures).map(([name, x]) => [name, Number(x)] as const)),
    ]),
  )

/** What a draft needs of the machine. */
export type DraftAccess = Pick<DraftOptions, 'signal' | 'hub'>

/** The run's copy of the recipe, drafted again: an error if that does not come to what the run was planned with. */
export const draftRun = async (run: string, plan: RunPlan, { signal, hub }: DraftAccess): Promise<Result<Drafted>> => {
  const places = placesOf(run)
  const used = JSON.parse(readFileSync(places.used, 'utf8')) as UsedTexts
  const parts = new Map(Object.entries(used).map(([path, text]) => [path, ok<Source>({ path, text })] as const))
  const answers = fromTexts(JSON.parse(readFileSync(places.answers, 'utf8')) as AnswerTexts)
  const options: DraftOptions = {
    text: readFileSync(places.recipe, 'utf8'),
    parts,
    set: plan.set,
    rows: plan.rows,
    ...(plan.out === undefined ? {} : { out: plan.out }),
    ...(signal === undefined ? {} : { signal }),
    ...(hub === undefined ? {} : { hub }),
  }
  const drafted = await draft(plan.recipe, options, [], answers)
  if (drafted.type === 'failed') return drafted
  const differs = differences(plan, drafted.value.draft)
  return differs.length > 0 ? failed(...differs) : drafted
}

const differences = (plan: RunPlan, drafted: Draft): readonly Diagnostic[] => {
  const inputs = new Map(inputsOf(drafted).map((file) => [file.path, file] as const))
  const changed = plan.inputs.filter(({ path, size, mtime }) => {
    const now = inputs.get(path)
    return now?.size !== size || now.mtime !== mtime
  })
  if (changed.length > 0) return changed.slice(0, 5).map(({ path }) => runInputDiffers(path))
  const outputs = new Map(outputsOf(drafted).map((file) => [file.path, file] as const))
  const other =
    outputs.size === plan.outputs.length
      ? plan.outputs.find(({ path, bytes, header }) => {
          const now = outputs.get(path)
          return now?.bytes !== bytes || now.header !== header
        })
      : (plan.outputs[0] ?? { path: plan.recipe })
  return other === undefined ? [] : [runPlanDiffers(other.path)]
}

/** What every part knows before it begins: nothing but what parts of earlier stages came to. */
export const knowledgeOf = (drafted: Draft, results: readonly PartResult[]): PriorState => {
  const outcomes = new Map<string, StoredOutcome>(
    results
      .flatMap((r) => r.outcomes)
      .map((line) => {
        const entry = decodeOutcome(line)
        if (entry === undefined) throw new Error('a result of a measure was altered')
        return entry
      }),
  )
  const nothing = knowNothing(drafted, undefined)
  if (outcomes.size === 0) return nothing
  return { ...nothing, outcome: (fingerprint) => outcomes.get(fingerprint), outcomesBy: identifyShared(drafted) }
}

/** Completes a plan; fails if it is stopped, or if something would have to be measured before it can be made. */
export const complete = async (
  drafted: Draft,
  known: PriorState,
  signal: AbortSignal | undefined,
  more: readonly Asked[] = [],
  isWanted?: (root: Root) => boolean,
): Promise<Result<Plan>> => {
  const asking = new Set([...drafted.questions.values()].map(({ step }) => step))
  if (asking.size > 0) return failed(notMeasured([...asking]))
  const plan = await inTurns(completeInSlices(drafted, known, more, isWanted), signal)
  return plan === undefined ? failed(stopped()) : ok(plan.value)
}
