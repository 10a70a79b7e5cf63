import type { Diagnostic } from '../base/diagnostic.js'
import type { Graph } from '../graph/graph.js'
import type { Step } from '../recipe/recipe.js'
import type { Evaluated } from './evaluate.js'
import type { KeepableMasks } from './masks.js'
import type { OutputRoots, Setting } from './outputs.js'
import type { PlannedModel, PlannedReport } from './plan.js'
import type { Questions } from './questions.js'
import type { PlannedVocabulary } from './vocabulary.js'

/** One setting with its steps evaluated. */
export interface Evaluation {
  readonly setting: Setting
  readonly steps: readonly Step[]
  readonly evaluated: Evaluated
  readonly vocabulary: PlannedVocabulary | undefined
}

/** A plan before the prior state is known: all mistakes are found and outputs laid out, but there are no jobs yet. */
export interface Draft {
  readonly evaluations: readonly Evaluation[]
  readonly outputs: readonly OutputRoots[]
  readonly reports: readonly PlannedReport[]
  readonly models: readonly PlannedModel[]
  readonly unused: readonly string[]
  readonly graph: Graph
  readonly masks: KeepableMasks
  /** What steps have to know before their results are certain; none in a draft that can be run. */
  readonly questions: Questions
  readonly warnings: readonly Diagnostic[]
}
