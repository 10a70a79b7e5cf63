import { applyDefinition } from './apply.js'
import type { AnyDefinition, ElementDefinition } from './definition.js'
import type { Operator } from './operator.js'
import type { InputSpecs, ParamSpecs } from './params.js'

export type * from './definition.js'

/**
 * Makes an operator of what its author says of it and of how it builds one tensor; what such operators have in common
 * is added here. What goes into a definition is in `definition.ts`, inputs and parameters are declared with the
 * functions of `params.ts`.
 */
export const defineOperator = <const I extends InputSpecs, const P extends ParamSpecs>(
  definition: ElementDefinition<I, P>,
): Operator => ({ ...definition, evaluate: (call) => applyDefinition(definition as AnyDefinition, call) })
