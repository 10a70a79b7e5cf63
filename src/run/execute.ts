import { SEGMENT } from '../base/digest.js'
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

/** The digests of segments put together: undefined where one is missing. */
const joinDigests = (all: readonly (readonly (Uint8Array | undefined)[])[]): (Uint8Array | undefined)[] =>
  all[0]!.map((_, i) => {
    const digests = all.map((one) => one[i]).filter((d) => d !== undefined)
    return digests.length === all.length ? Buffer.concat(digests) : undefined
  })

/** Does the segments of a unit one after the other, up to the first that fails. */
const bySegment = async <T extends Extract<UnitOrder, { type: 'compute' | 'copy' | 'digest' }>>(
  unit: T,
  work: (one: T) => Promise<Result<UntimedResult>> | Result<UntimedResult>,
): Promise<Result<UntimedResult>> => {
  if (unit.end - unit.start <= SEGMENT) return work(unit)
  const done: UntimedResult[] = []
  for (let start = unit.start; start < unit.end; start += SEGMENT) {
    const one = await work({ ...unit, start, end: Math.min(unit.end, start + SEGMENT) })
    if (one.type === 'failed') return one
    done.push(one.value)
  }
  const odd = done.flatMap((d) => d.odd ?? [])
  return ok({
    id: unit.id,
    found: done.flatMap((d) => d.found),
    readDigests: joinDigests(done.map((d) => d.readDigests)),
    writeDigests: joinDigests(done.map((d) => d.writeDigests)),
    bytesRead: done.reduce((n, d) => n + d.bytesRead, 0),
    bytesWritten: done.reduce((n, d) => n + d.bytesWritten, 0),
    ...(odd.length === 0 ? {} : { odd }),
  })
}

/** Sets up a worker's executor. */
export const createExecutor = (context: ExecutorContext): Executor => {
  const workspace = createWorkspace(context)
  const computeUnit = createComputeUnit(workspace)
  const solveUnit = createSolveUnit(workspace)

  const execute = async (unit: UnitOrder, watch: Stopwatch): Promise<Result<UntimedResult>> => {
    switch (unit.type) {
      case 'compute':
        return bySegment(unit, (one) => computeUnit(one, watch))
      case 'copy':
        return bySegment(unit, (one) => copyUnit(workspace, one, watch))
      case 'solve':
        return solveUnit(unit, watch)
      case 'digest':
        return bySegment(unit, (one) => digestUnit(workspace, one, watch))
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
