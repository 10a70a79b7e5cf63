import type { Digest } from '../base/digest.js'
import { ok, type Result } from '../base/result.js'
import type { TensorInfo } from '../tensor/info.js'
import { createSchedule } from './schedule.js'
import { createStopFlag } from './stop-flag.js'
import { runPool, recruit } from './worker-pool.js'
import type { RunOptions } from './options.js'
import type { ScheduledWork } from './unit-orders.js'
import { CUTTINGS } from './work.js'

/** Hears how many bytes have been read. */
export type DigestedTensors = (readBytes: number) => void

/** Reads tensors for their digests alone, with all workers. */
export const digestTensors = async (
  tensors: readonly TensorInfo[],
  { workers, cutting, start, signal }: RunOptions,
  heard: DigestedTensors = () => undefined,
): Promise<Result<(tensor: TensorInfo) => Digest | undefined>> => {
  const work: ScheduledWork = {
    jobs: [],
    programs: [],
    undigested: tensors,
    digestOf: () => undefined,
    outcomes: new Map(),
  }
  const schedule = createSchedule(work)
  const stop = createStopFlag(signal)
  const pool = recruit(
    workers,
    {
      engine: { type: 'compiled', programs: [], chunk: 0 },
      temporary: new Map(),
      cutting: cutting ?? CUTTINGS.compiled,
      stop: stop.shared,
    },
    start,
  )
  if (pool.type === 'failed') return pool
  let bytes = 0
  const done = await runPool(
    pool.value,
    {
      next: schedule.next,
      get left() {
        return schedule.left
      },
      finish: (_worker, results) => {
        for (const result of results) {
          bytes += result.bytesRead
          schedule.finish(result)
        }
        heard(bytes)
        return undefined
      },
    },
    stop.set,
  ).finally(stop.release)
  return done.type === 'failed' ? done : ok(({ file, name }) => schedule.ledger.digest(file, name))
}
