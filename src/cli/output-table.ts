import { extname } from 'node:path'
import { tableEnding, tableNotWritten } from '../base/catalogue/settings.js'
import { failed, ok, type Result } from '../base/result.js'
import { resolvePath } from '../base/resolve-path.js'
import type { Plan } from '../plan/plan.js'
import type { Built } from '../run/options.js'
import { writeOutput } from '../safetensors/output.js'
import { renderOutputTable, TABLE_FORMATS, tabulateOutputs, type TableFormat } from '../view/output-table.js'
import type { Reporter } from './reporter.js'

/** Where a table of outputs goes, and in which form. */
export interface TablePlace {
  readonly label: string
  readonly path: string
  readonly format: TableFormat
}

/** Reads `--table`: the ending of the file says the form. */
export const readTablePlace = (text: string | undefined, cwd: string): Result<TablePlace | undefined> => {
  if (text === undefined) return ok(undefined)
  const ending = extname(text).slice(1).toLowerCase()
  const format = TABLE_FORMATS.find((f) => f === ending)
  return format === undefined
    ? failed(tableEnding(text, TABLE_FORMATS))
    : ok({ label: text, path: resolvePath(cwd, text), format })
}

/** Writes the table of what a build wrote, and tells of it or of what went wrong. */
export const writeOutputTable = async (
  { label, path, format }: TablePlace,
  plan: Plan,
  built: Built,
  reporter: Reporter,
): Promise<void> => {
  const bytes = await renderOutputTable(tabulateOutputs(plan, built), format)
  const written = await writeOutput(path, bytes)
  if (written.type === 'ok')
    reporter.event({ type: 'report-written', name: 'table', path: label, format, bytes: bytes.length })
  else reporter.problems(written.diagnostics.map((d) => tableNotWritten(label, d.message)))
}
