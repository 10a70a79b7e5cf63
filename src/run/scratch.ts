import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ok, type Result } from '../base/result.js'
import type { Plan } from '../plan/plan.js'
import { createOutput, type OutputFile } from '../safetensors/output.js'
import type { RunId } from '../safetensors/run-id.js'

/** Beside the first file that is written; a build that writes none has it among the system's temporary files. */
export const scratchPath = ({ outputs, reports }: Plan): string => {
  const [first] = [...outputs.flatMap((o) => o.files), ...reports].map((f) => f.path)
  return `${first ?? join(tmpdir(), 'smelt')}.scratch`
}

/** Starts the file for the results of solvers, which later passes read; none if there are none. */
export const startScratch = async (plan: Plan, runId: RunId): Promise<Result<readonly OutputFile[]>> => {
  if (plan.scratchBytes === 0) return ok([])
  const file = await createOutput(scratchPath(plan), new Uint8Array(), plan.scratchBytes, runId)
  return file.type === 'failed' ? file : ok([file.value])
}
