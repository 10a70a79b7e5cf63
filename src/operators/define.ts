import { applyDefinition } from './apply.js'
import type { AnyDefinition, ElementDefinition } from './definition.js'
import type { Operator } from './operator.js'
import type { InputSpecs, ParamSpecs } from './params.js'

export type * from './definition.js'

/**
 * Makes an operator from a definition, which describes it and builds one tensor, and adds what all such operators
 * share. `definition.ts` lists what a definition contains; inputs and parameters are declared with the functions of
 * `params.ts`.
 */
export const defineOperator = <const I extends InputSpecs, const P extends ParamSpecs>(
  definition: ElementDefinition<I, P>,
): Operator => ({ ...definition, evaluate: (call) => applyDefinition(definition as AnyDefinition, call) })
