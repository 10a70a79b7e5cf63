import { inputChanged, stopped } from '../base/catalogue/run.js'
import { failed, type Result } from '../base/result.js'
import { inTurns } from '../base/slices.js'
import { completeInSlices } from '../plan/complete-plan.js'
import type { Draft } from '../plan/draft.js'
import { draftQuestions } from '../plan/draft-questions.js'
import type { Plan } from '../plan/plan.js'
import type { PriorState } from '../plan/prior-state.js'
import type { Answers } from '../plan/questions.js'
import { measureReports } from './draw-reports.js'
import { changedInputs } from './files.js'
import type { RunOptions } from './options.js'
import { rememberMeasures } from './remember.js'
import { figuresOf } from './reports.js'
import { createSchedule, type Schedule } from './schedule.js'
import type { Drafted } from './prepare.js'

/** Makes a draft with answers to the questions of those before it. */
export type Redraft = (answers: Answers) => Promise<Result<Drafted>>

const answersOf = (draft: Draft, plan: Plan, schedule: Schedule): Answers =>
  new Map([...draft.questions.keys()].map((key, i) => [key, figuresOf(plan.reports[i]!, schedule)[0]!.scalars]))

/**
 * Measures what the steps of a draft ask for, and drafts again with that, until nothing is asked: an answer may lead to
 * another question. Fails where an input changes meanwhile.
 */
export const answerQuestions = async (
  first: Result<Drafted>,
  redraft: Redraft,
  known: (draft: Draft) => Promise<Result<PriorState>>,
  options: RunOptions,
): Promise<Result<Drafted>> => {
  let drafted = first
  let answers: Answers = new Map()
  while (drafted.type === 'ok' && drafted.value.draft.questions.size > 0) {
    const { draft } = drafted.value
    const prior = await known(draftQuestions(draft))
    if (prior.type === 'failed') return failed(...drafted.diagnostics, ...prior.diagnostics)
    const plan = (await inTurns(completeInSlices(draftQuestions(draft), prior.value), options.signal))?.value
    if (plan === undefined) return failed(...drafted.diagnostics, stopped())
    const measured = await measureReports(plan, options)
    if (measured.type === 'failed') return failed(...drafted.diagnostics, ...measured.diagnostics)
    if (options.memory !== undefined) await rememberMeasures(plan, measured.value, options.memory)
    answers = new Map([...answers, ...answersOf(draft, plan, measured.value)])
    drafted = await redraft(answers)
    const changed = await changedInputs(plan)
    if (changed.length > 0) return failed(...changed.map(inputChanged))
  }
  return drafted
}

/** The answers that earlier builds left, as far as they left all; undefined where something has to be measured. */
export const recallAnswers = (draft: Draft, plan: Plan): Answers | undefined =>
  plan.jobs.length > 0 ? undefined : answersOf(draft, plan, createSchedule(plan))
