import { ok, failed, type Result } from '../base/result.js'
import { ioProblem } from '../safetensors/io-problem.js'
import { createComputeUnit } from './compute-unit.js'
import { copyUnit, digestUnit } from './copy-unit.js'
import { createSolveUnit } from './solve-unit.js'
import { createStopwatch, type Stopwatch } from './stopwatch.js'
import type { UnitOrder, UntimedResult, UnitResult } from './unit.js'
import { createWorkspace, type ExecutorContext } from './workspace.js'

/** Does units, one after the other. */
export interface Executor {
  run(unit: UnitOrder): Promise<Result<UnitResult>>
  close(): Promise<void>
}

/** Sets up a worker's executor. */
export const createExecutor = (context: ExecutorContext): Executor => {
  const workspace = createWorkspace(context)
  const computeUnit = createComputeUnit(workspace)
  const solveUnit = createSolveUnit(workspace)

  const execute = async (unit: UnitOrder, watch: Stopwatch): Promise<Result<UntimedResult>> => {
    switch (unit.type) {
      case 'compute':
        return computeUnit(unit, watch)
      case 'copy':
        return copyUnit(workspace, unit, watch)
      case 'solve':
        return solveUnit(unit, watch)
      case 'digest':
        return digestUnit(workspace, unit, watch)
    }
  }
  return {
    run: async (unit) => {
      const watch = createStopwatch()
      try {
        const done = await execute(unit, watch)
        return done.type === 'ok' ? ok({ ...done.value, spent: watch.spent }) : done
      } catch (error) {
        // Only opening throws; the system names the file.
        return failed(ioProblem(error, (error as NodeJS.ErrnoException).path ?? '', 'read'))
      }
    },
    close: async () => {
      workspace.closeFiles()
      await context.engine.close()
    },
  }
}
