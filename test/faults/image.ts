import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cleanup, PATH } from './machine.js'

/** A file system in a file, mounted, whose power can be cut. */
export interface Image {
  readonly folder: string
  /** What was not asked to be on the disk is lost, and every further call fails, as when the machine stops. */
  cutPower(): void
  /** Starts the machine again: what survived is what the disk holds. */
  restart(): void
}

const call = (program: string, ...args: readonly string[]): string =>
  execFileSync(program, args, { encoding: 'utf8', env: { ...process.env, PATH }, stdio: ['ignore', 'pipe', 'pipe'] })

/** Sizes that either file system accepts, with room for two builds. */
const BYTES = 400 * 1024 * 1024

/** Makes and mounts a file system. */
export const makeImage = (type: 'ext4' | 'xfs'): Image => {
  const place = mkdtempSync(join(tmpdir(), `smelt-${type}-`))
  cleanup.add(() => rmSync(place, { recursive: true, force: true }))
  const [file, folder] = [join(place, 'image'), join(place, 'mounted')]
  writeFileSync(file, '')
  truncateSync(file, BYTES)
  mkdirSync(folder)
  call(`mkfs.${type}`, '-q', file)
  const device = call('losetup', '--find', '--show', file).trim()
  cleanup.add(() => call('losetup', '--detach', device))
  const mount = (): void => void call('mount', '-t', type, device, folder)
  const unmount = (): void => void call('umount', folder)
  mount()
  cleanup.add(unmount)
  return {
    folder,
    // Without `-f` nothing is flushed, not even the file system's own log.
    cutPower: () => void call('xfs_io', '-x', '-c', 'shutdown', folder),
    restart: () => {
      unmount()
      mount()
    },
  }
}

/** A file system in memory of a size in bytes, mounted. */
export const makeSmallDisk = (bytes: number): { readonly folder: string; remove(): void } => {
  const folder = mkdtempSync(join(tmpdir(), 'smelt-disk-'))
  call('mount', '-t', 'tmpfs', '-o', `size=${bytes},mode=777`, 'none', folder)
  let there = true
  const remove = (): void => {
    if (!there) return
    there = false
    call('umount', folder)
    rmSync(folder, { recursive: true, force: true })
  }
  cleanup.add(remove)
  return { folder, remove }
}
