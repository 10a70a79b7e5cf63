import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { afterAll, test } from 'vitest'
import { MAIN } from './command.js'

/**
 * True in `npm run test:faults`, where every fault is tried as often as its target says; otherwise it is tried a few
 * times.
 */
export const FULL = process.env['SMELT_FAULTS'] === 'full'

/** How often to try: a few times by default, as often as the target says in the full run. */
export const times = (short: number, full: number): number => (FULL ? full : short)

/** What some faults need of the machine, with the reason to skip them where it is missing. */
const NEEDS = {
  root: () => process.getuid?.() === 0 || 'mounting needs root',
  mount: () =>
    works('unshare', '--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt') ||
    'this system does not let file systems be mounted',
  loop: () => works('losetup', '--find') || 'there is no free loop device',
  xfs_io: () => found('xfs_io') || 'xfs_io (xfsprogs), which cuts the power of a file system, is not installed',
  'mkfs.ext4': () =>
    (found('mkfs.ext4') && hasFileSystem('ext4')) ||
    'mkfs.ext4 (e2fsprogs) is not installed, or the kernel has no ext4',
  'mkfs.xfs': () =>
    (found('mkfs.xfs') && hasFileSystem('xfs')) || 'mkfs.xfs (xfsprogs) is not installed, or the kernel has no XFS',
  strace: () =>
    works('strace', '-f', '-e', 'inject=fsync:error=EIO:when=9', 'true') ||
    'strace, which makes system calls fail, is not installed or not allowed',
  faketime: () => works('faketime', '-f', '+3600', 'true') || 'faketime, which moves the clock, is not installed',
  nobody: () =>
    works('setpriv', ...AS_NOBODY, process.execPath, MAIN, '--version') ||
    'the program cannot be run as another user here (setpriv, root, and a path that all may read)',
  linux: () => process.platform === 'linux' || 'made for Linux',
} as const

/** What a fault needs of the machine. */
export type Need = keyof typeof NEEDS

/** Arguments that make setpriv run a command as a user without rights. */
export const AS_NOBODY = ['--reuid=65534', '--regid=65534', '--clear-groups'] as const

/** Where programs are looked for; those for file systems are not always in a user's path. */
export const PATH = [process.env['PATH'] ?? '', '/usr/sbin', '/sbin'].join(delimiter)

const found = (program: string): boolean => PATH.split(delimiter).some((folder) => existsSync(join(folder, program)))

const works = (program: string, ...args: readonly string[]): boolean =>
  spawnSync(program, args, { stdio: 'ignore', timeout: 20_000, env: { ...process.env, PATH } }).status === 0

const hasFileSystem = (name: string): boolean =>
  new RegExp(`\\t${name}$`, 'm').test(readFileSync('/proc/filesystems', 'utf8')) || works('modprobe', '--quiet', name)

const known = new Map<Need, string | undefined>()

/** Why this machine cannot run a fault; undefined when it can. */
export const lacking = (...needs: readonly Need[]): string | undefined => {
  for (const need of needs) {
    if (!known.has(need)) {
      const answer = NEEDS[need]()
      known.set(need, answer === true ? undefined : answer)
    }
  }
  return needs.map((need) => known.get(need)).find((reason) => reason !== undefined)
}

/** A test that is skipped, with the reason, where the machine lacks something. */
export const fault = (title: string, needs: readonly Need[], work: () => Promise<void> | void): void => {
  test(title, async ({ skip }) => {
    const reason = lacking(...needs)
    if (reason !== undefined) skip(reason)
    await work()
  })
}

/** Makes something at its first use, and gives the same again from then on. */
export const once = <T>(make: () => T): (() => T) => {
  let made: { readonly value: T } | undefined
  return () => (made ??= { value: make() }).value
}

/** Undoes things after the tests of a file, the latest first. */
export const cleanup: { add(undo: () => void): void } = (() => {
  const undos: (() => void)[] = []
  afterAll(() => undos.reverse().forEach((undo) => undo()))
  return { add: (undo) => void undos.push(undo) }
})()
