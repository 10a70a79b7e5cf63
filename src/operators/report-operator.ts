import { ok, type Result } from '../base/result.js'
import { labelOf } from './call-arguments.js'
import type { Description } from './definition.js'
import type { Call, Operator } from './operator.js'
import type { ReportDocument } from './report-document.js'
import type { Figures, Measured, Shown } from './value.js'

/** What a step finds out for its report before anything is computed. */
export interface Look<S extends Shown> {
  readonly measured: readonly Measured[]
  /**
   * Everything that the report shows besides the figures. Called only if the report is drawn or looked for, and then
   * once.
   */
  shown(): S
}

/** A report in two halves: what it looks at, and how it is drawn. */
export interface ReportDefinition<S extends Shown> extends Omit<Description, 'output' | 'merges' | 'exact' | 'draws'> {
  look(call: Call): Result<Look<S>>
  /**
   * Draws the report; `figures` are parallel to `measured`. It has no access to the step, so whatever it shows is in
   * the report's fingerprint.
   */
  draw(shown: S, figures: readonly Figures[]): ReportDocument
}

/** Makes the operator of a report. */
export const defineReport = <S extends Shown>({ look, draw, ...description }: ReportDefinition<S>): Operator => ({
  ...description,
  output: 'report',
  merges: false,
  exact: true,
  draws: false,
  evaluate: (call) => {
    const found = look(call)
    if (found.type === 'failed') return found
    const { measured, shown: find } = found.value
    let known: S | undefined
    const shown = (): S => (known ??= find())
    return ok(
      [
        {
          kind: 'report',
          label: labelOf(call),
          maker: `${description.id} ${description.version}`,
          measured,
          shown,
          draw: (figures) => draw(shown(), figures),
        },
      ],
      found.diagnostics,
    )
  },
})
