import { stat } from 'node:fs/promises'
import { hostname } from 'node:os'
import { runInputDiffers, runInputUnseen } from '../base/catalogue/cluster.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { failed, ok, type Result } from '../base/result.js'
import type { InputFile } from '../plan/plan.js'
import { errorCode, ioProblem } from '../safetensors/io-problem.js'
import { identityOf } from '../safetensors/open.js'
import { placesOf, type RunPart, type RunPlan } from './layout.js'
import { readWork, type OwnWork } from './part-plan.js'
import type { PlanAccess } from './plan-part.js'

/** Problems that are told: the others are like them. */
const MOST_TOLD = 5

/** The files that a run reads, as they are on this machine: an error if they are not those that it was planned with. */
const inputsHere = async ({ inputs }: Pick<RunPlan, 'inputs'>): Promise<Result<readonly InputFile[]>> => {
  const found: InputFile[] = []
  const problems: Diagnostic[] = []
  for (const { path, size, mtime } of inputs) {
    try {
      const now = await stat(path, { bigint: true })
      if (String(now.size) === size && String(now.mtimeNs) === mtime) found.push({ path, ...identityOf(now) })
      else problems.push(runInputDiffers(path))
    } catch (error) {
      const isMissing = errorCode(error) === 'ENOENT'
      problems.push(isMissing ? runInputUnseen(path, hostname()) : ioProblem(error, path, 'read'))
    }
  }
  return problems.length > 0 ? failed(...problems.slice(0, MOST_TOLD)) : ok(found)
}

/**
 * What a part has to do: as it was planned when the run was laid out, or planned here where that takes the results of
 * earlier parts or functions of operators.
 */
export const findWork = async (
  run: string,
  plan: RunPlan,
  part: RunPart,
  access: PlanAccess,
): Promise<Result<OwnWork>> => {
  if (part.work !== undefined) {
    const inputs = await inputsHere(plan)
    return inputs.type === 'failed' ? inputs : readWork(placesOf(run).work, part.work, inputs.value)
  }
  // Everything that reads and plans recipes: most parts do without.
  const { planAnew } = await import('./plan-part.js')
  return planAnew(run, plan, part, access)
}
