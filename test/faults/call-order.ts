import { dirname } from 'node:path'

/** One call in a log of `strace -f -y`: what it does to which path. */
interface Call {
  readonly type: 'write' | 'sync' | 'rename'
  readonly path: string
  readonly to: string
}

const BY_HANDLE = /^\d+ +(pwrite64|write|ftruncate|fallocate|copy_file_range|fsync|fdatasync)\(.*?\d+<([^>]*)>/
const BY_NAME = /^\d+ +rename(?:at2?)?\([^"]*"([^"]*)"[^"]*"([^"]*)"/

const callOf = (line: string): Call | undefined => {
  const [, call, path] = BY_HANDLE.exec(line) ?? []
  if (call !== undefined) return { type: call.endsWith('sync') ? 'sync' : 'write', path: path!, to: '' }
  const [, from, to] = BY_NAME.exec(line) ?? []
  return from === undefined ? undefined : { type: 'rename', path: from, to: to! }
}

/** The calls that a log of `strace` has to show. */
export const ORDERED_CALLS =
  'pwrite64,write,ftruncate,?fallocate,copy_file_range,fsync,fdatasync,?rename,?renameat,?renameat2'

/**
 * What a power cut could tear, by the order of a build's calls: a file that gets its name before all that was written
 * to it is on the disk, and a
 * name that is not on the disk when the program says that it is done. Only names in `folder` count.
 */
export const tornByOrder = (
  log: string,
  folder: string,
): { readonly renames: number; readonly problems: readonly string[] } => {
  const lines = log.split('\n')
  const done = lines.findIndex((line) => line.includes('command-ended'))
  const calls = lines
    .slice(0, done < 0 ? undefined : done)
    .map(callOf)
    .filter((call) => call !== undefined)
  const named = calls.flatMap((call, i) =>
    call.type === 'rename' && call.to.startsWith(`${folder}/`) ? [{ ...call, i }] : [],
  )
  const problems = named.flatMap(({ path, to, i }) => {
    const written = calls.findLastIndex((call, at) => at < i && call.type === 'write' && call.path === path)
    const synced = calls.some((call, at) => at > written && at < i && call.type === 'sync' && call.path === path)
    const kept = calls.some((call, at) => at > i && call.type === 'sync' && call.path === dirname(to))
    return [
      ...(synced ? [] : [`${to} is not on the disk when it gets its name`]),
      ...(kept ? [] : [`the name ${to} is not on the disk at the end`]),
    ]
  })
  return { renames: named.length, problems }
}
