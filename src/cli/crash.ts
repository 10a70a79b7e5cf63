import { bug } from '../base/catalogue/cli.js'
import { escapeScreen } from '../base/excerpt.js'
import { renderDiagnostics } from '../base/screen.js'

/** EX_SOFTWARE of sysexits(3): the fault is the program's. */
export const BUG_EXIT_CODE = 70

/** The message for an unexpected error: that it is a bug of smelt, and where it happened. */
export const renderCrash = (error: unknown): string => {
  const { message, stack } = error instanceof Error ? error : { message: String(error), stack: undefined }
  return (
    renderDiagnostics([bug(message)], { color: false }) +
    (stack === undefined ? '' : `\n${escapeScreen(stack, false)}\n`)
  )
}
