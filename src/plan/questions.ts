import type { Figures, Measured } from '../operators/value.js'

/** What a step has to know before it can say what it makes: something to be measured first. */
export interface Question {
  readonly step: string
  readonly setting: number
  readonly measured: Measured
}

/** Questions of steps by what they call them; no two of one draft have the same key. */
export type Questions = ReadonlyMap<string, Question>

/** What was measured, by the keys of the questions. */
export type Answers = ReadonlyMap<string, Figures['scalars']>
