import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ok, type Result } from '../base/result.js'
import type { Plan, PlannedFile, PlannedReport } from '../plan/plan.js'
import { createOutput, type OutputFile } from '../safetensors/output.js'
import type { RunId } from '../safetensors/run-id.js'

/** What decides where a scratch file is, and how long. */
export interface ScratchPlan extends Pick<Plan, 'scratchBytes'> {
  readonly outputs: readonly { readonly files: readonly Pick<PlannedFile, 'path'>[] }[]
  readonly reports: readonly Pick<PlannedReport, 'path'>[]
}

/** Beside the first file that is written; a build that writes none has it among the system's temporary files. */
export const scratchPath = ({ outputs, reports }: Omit<ScratchPlan, 'scratchBytes'>): string => {
  const [first] = [...outputs.flatMap((o) => o.files), ...reports].map((f) => f.path)
  return `${first ?? join(tmpdir(), 'smelt')}.scratch`
}

/** Starts the file for the results of solvers, which later passes read; none if there are none. */
export const startScratch = async (plan: ScratchPlan, runId: RunId): Promise<Result<readonly OutputFile[]>> => {
  if (plan.scratchBytes === 0) return ok([])
  const file = await createOutput(scratchPath(plan), new Uint8Array(), plan.scratchBytes, runId)
  return file.type === 'failed' ? file : ok([file.value])
}
