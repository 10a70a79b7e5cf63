import type { Draft } from './draft.js'
import type { PlannedReport } from './plan.js'
import type { Question } from './questions.js'

/** What is measured for a question, as a report that nobody sees. */
const reportOn = (question: Question): PlannedReport => ({
  name: question.step,
  label: question.step,
  path: '',
  format: 'json',
  step: question.step,
  setting: question.setting,
  kept: false,
  value: {
    kind: 'report',
    label: question.step,
    maker: '',
    measured: [question.measured],
    shown: () => null,
    draw: () => ({ title: '', subject: '', facts: [], sections: [] }),
  },
})

/** A draft of what has to be measured for the questions of another, in their order, and of nothing else. */
export const draftQuestions = (draft: Draft): Draft => ({
  ...draft,
  outputs: [],
  reports: [...draft.questions.values()].map(reportOn),
  questions: new Map(),
})
