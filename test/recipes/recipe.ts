import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Plan } from '#src/plan/plan.js'
import { prepare } from '#src/run/prepare.js'
import { run } from '#src/run/run.js'
import { renderReport } from '#src/view/report/render.js'
import { readCheckpoint, writeCheckpoint, type Checkpoint } from './checkpoint.js'

/** The recipes that come with the program. */
export const RECIPES = fileURLToPath(new URL('../../recipes/', import.meta.url))

/** What became of a recipe: its plan, and what its outputs hold, by name: tensors, or the text of a report. */
export interface Outcome {
  readonly plan: Plan
  readonly outputs: Readonly<Record<string, Checkpoint>>
  readonly reports: Readonly<Record<string, string>>
}

/** Builds a recipe as it stands, in a folder of its own, beside models under the names that it expects. */
export const buildRecipe = async (
  name: string,
  models: Readonly<Record<string, Checkpoint>>,
  set: Readonly<Record<string, string>> = {},
): Promise<Outcome> => {
  const folder = mkdtempSync(join(tmpdir(), 'smelt-recipes-'))
  try {
    const path = join(folder, `${name}.yaml`)
    writeFileSync(path, readFileSync(join(RECIPES, `${name}.yaml`)))
    for (const [file, checkpoint] of Object.entries(models))
      writeCheckpoint(join(folder, `${file}.safetensors`), checkpoint)
    const prepared = await prepare(path, { set })
    if (prepared.type === 'failed' || prepared.diagnostics.length > 0)
      throw new Error(prepared.diagnostics.map((d) => d.message).join('\n'))
    const { plan } = prepared.value
    const built = await run(plan, { workers: 1, device: 'cpu', render: renderReport })
    if (built.type === 'failed') throw new Error(built.diagnostics.map((d) => d.message).join('\n'))
    const outputs = await Promise.all(
      built.value.outputs.map(async (o) => [o.name, await readCheckpoint(o.paths[0]!)] as const),
    )
    const reports = built.value.reports.map((r) => [r.name, readFileSync(r.path, 'utf8')] as const)
    return { plan, outputs: Object.fromEntries(outputs), reports: Object.fromEntries(reports) }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
