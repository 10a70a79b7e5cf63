import { OUTPUT_TABLE } from '../base/catalogue/screens.js'
import { formatCsv } from '../document/csv.js'
import type { ReportDocument } from '../operators/report-document.js'
import type { Plan } from '../plan/plan.js'
import type { Scalar } from '../recipe/recipe.js'
import type { Built } from '../run/options.js'
import { renderReport } from './report/render.js'

/** The forms of a table of outputs, which are also the endings of the files. */
export const TABLE_FORMATS = ['csv', 'html'] as const
export type TableFormat = (typeof TABLE_FORMATS)[number]

/** The outputs of a build with the params they were built with. */
export interface OutputTable {
  readonly recipe: string
  /** Params that differ between the settings, or all where there is one setting. */
  readonly params: readonly string[]
  readonly rows: readonly {
    readonly output: string
    readonly path: string
    readonly values: readonly (Scalar | undefined)[]
    readonly bytes: number
    readonly digest: string
  }[]
}

/** Tabulates what a build wrote; its outputs are in the order of the plan. */
export const tabulateOutputs = (plan: Pick<Plan, 'name' | 'settings' | 'outputs'>, built: Built): OutputTable => {
  const all = plan.settings.map(({ recipe }) => recipe.params)
  const params = Object.keys(all[0] ?? {}).filter(
    (name) => all.length === 1 || all.some((values) => values[name] !== all[0]![name]),
  )
  return {
    recipe: plan.name,
    params,
    rows: plan.outputs.map(({ name, label, setting }, i) => ({
      output: name,
      path: label,
      values: params.map((param) => all[setting]![param]),
      bytes: built.outputs[i]!.bytes,
      digest: built.outputs[i]!.digest,
    })),
  }
}

const { title, section, columns } = OUTPUT_TABLE

const documentOf = ({ recipe, params, rows }: OutputTable): ReportDocument => ({
  title,
  subject: recipe,
  facts: [{ label: section, value: rows.length, format: 'count' }],
  sections: [
    {
      type: 'table',
      title: section,
      columns: [
        { label: columns.output, format: 'text' },
        ...params.map((label) => ({ label, format: 'text' as const })),
        { label: columns.path, format: 'text' },
        { label: columns.bytes, format: 'count' },
        { label: columns.digest, format: 'text' },
      ],
      rows: rows.map(({ output, path, values, bytes, digest }) => ({
        cells: [output, ...values.map(String), path, bytes, digest],
      })),
    },
  ],
})

/** A table of outputs as the bytes of a file. */
export const renderOutputTable = async (table: OutputTable, format: TableFormat): Promise<Uint8Array> =>
  format === 'html'
    ? renderReport(documentOf(table), 'html')
    : new TextEncoder().encode(
        formatCsv([
          [columns.output, ...table.params, columns.path, columns.bytes, columns.digest],
          ...table.rows.map(({ output, path, values, bytes, digest }) => [
            output,
            ...values.map(String),
            path,
            String(bytes),
            digest,
          ]),
        ]),
      )
