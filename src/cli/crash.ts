import { bug } from '../base/catalogue/cli.js'
import { escapeScreen } from '../base/excerpt.js'
import { renderDiagnostics } from '../base/screen.js'

/** EX_SOFTWARE of sysexits(3): the fault is the program's. */
export const BUG_EXIT_CODE = 70

/**
 * What to show of an error that nothing in the program expected: that it is no fault of the user's, and where it came
 * from.
 */
export const renderCrash = (error: unknown): string => {
  const { message, stack } = error instanceof Error ? error : { message: String(error), stack: undefined }
  return (
    renderDiagnostics([bug(message)], { color: false }) +
    (stack === undefined ? '' : `\n${escapeScreen(stack, false)}\n`)
  )
}
