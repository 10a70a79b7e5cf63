import { readFileSync } from 'node:fs'
import { availableParallelism, totalmem } from 'node:os'
import { dirname, join } from 'node:path/posix'

/** Gives the text of a file of the system; undefined where there is none. */
type ReadText = (path: string) => string | undefined

const readText: ReadText = (path) => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

const ROOT = '/sys/fs/cgroup'

/** A folder of control groups and all above it, down to the root of their file system. */
const upward = (root: string, path: string): string[] =>
  path === '/' || path === '.' ? [root] : [join(root, path), ...upward(root, dirname(path))]

/** The processors that a quota and its period, in microseconds, are worth; undefined where there is no quota. */
const worth = (quota: string | undefined, period: string | undefined): number | undefined => {
  const processors = Number(quota) / Number(period)
  return processors > 0 && Number.isFinite(processors) ? processors : undefined
}

/**
 * How many processors the control groups of this process let it use on average, both versions of them; undefined where
 * they set no limit, and on systems without them. Node.js counts processors without it.
 */
export const processorQuota = (read: ReadText = readText): number | undefined => {
  const groups = (read('/proc/self/cgroup') ?? '').split('\n').map((line) => line.split(':'))
  const limits = groups.flatMap(([, controllers = '', path = '/']) => {
    if (controllers === '')
      return upward(ROOT, path).map((folder) => {
        const [quota, period] = (read(join(folder, 'cpu.max')) ?? '').trim().split(' ')
        return worth(quota, period)
      })
    if (!controllers.split(',').includes('cpu')) return []
    return upward(join(ROOT, 'cpu'), path).map((folder) =>
      worth(read(join(folder, 'cpu.cfs_quota_us')), read(join(folder, 'cpu.cfs_period_us'))),
    )
  })
  return limits.reduce((least, limit) => (limit === undefined ? least : Math.min(least ?? limit, limit)), undefined)
}

/** Most workers that are started without being asked for. */
const MOST_WORKERS = 16
/** Bytes that the program, and each of its workers, need in recipes of a few models. */
const [PROGRAM_BYTES, WORKER_BYTES] = [200e6, 60e6]

/**
 * Workers for this machine: one for each processor that the process may use, and no more than there is memory for. The
 * number changes no byte of an output.
 */
export const defaultWorkers = (
  processors = Math.min(availableParallelism(), Math.ceil(processorQuota() ?? Infinity)),
  memory = process.constrainedMemory() || totalmem(),
): number => {
  const fitting = Math.floor((Math.min(memory, totalmem()) - PROGRAM_BYTES) / WORKER_BYTES)
  return Math.max(1, Math.min(MOST_WORKERS, processors, fitting))
}

/**
 * The largest resident set of this process so far, in bytes. Linux counts that of whoever started it into `maxRSS`, but
 * not into what it tells of the process.
 */
export const peakMemory = (read: ReadText = readText): number => {
  const kibibytes = /^VmHWM:\s*(\d+) kB$/m.exec(read('/proc/self/status') ?? '')?.[1]
  return 1024 * (kibibytes === undefined ? process.resourceUsage().maxRSS : Number(kibibytes))
}
