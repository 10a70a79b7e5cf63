/** System calls that write or name files, by what they are for; `?` is for those that some processors lack. */
export const CALLS = {
  rename: '?rename,?renameat,?renameat2',
  fsync: 'fsync,fdatasync',
  unlink: '?unlink,?unlinkat',
  mkdir: '?mkdir,?mkdirat',
  ftruncate: 'ftruncate,?fallocate',
  pwrite: 'pwrite64',
  write: 'write',
  open: '?open,openat',
  close: 'close',
  copy: 'copy_file_range,sendfile,?ioctl',
} as const

/**
 * A command that starts the program under strace, which does something to some of its system calls; counted by thread.
 */
export const strace = (calls: string, effect: string, ...more: readonly string[]): readonly string[] => [
  'strace',
  '-f',
  '-qq',
  ...(more.includes('-o') ? [] : ['-o', '/dev/null']),
  ...more,
  '-e',
  `trace=${calls}`,
  '-e',
  'signal=none',
  '-e',
  `inject=${calls}:${effect}`,
]

/** The files, as `strace -y` names them, of which a call failed by injection and was made once more. */
export const triedAgain = (log: string): readonly string[] => {
  const calls = log
    .split('\n')
    .map((line) => ({ file: /\(\d+<([^>]*)>/.exec(line)?.[1], injected: line.includes('(INJECTED)') }))
    .filter((call) => call.file !== undefined)
  return calls.flatMap(({ file, injected }, i) =>
    injected && calls.slice(i + 1).some((later) => later.file === file) ? [file!] : [],
  )
}

/** One thread does all that is asked for asynchronously, so that a count means the same call in every run. */
export const ONE_POOL_THREAD = { UV_THREADPOOL_SIZE: '1' } as const
