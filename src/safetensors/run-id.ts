import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import { builder } from '../base/catalogue/store.js'
import { blake3 } from '../base/digest.js'

/**
 * Names one run of the program and the process that makes it: `<host>-<boot>-<pid>-<start>-<random>`, safe in a file
 * name.
 */
export type RunId = string & { readonly __brand: 'RunId' }

const RUN_ID = /^([0-9a-f]{8})-([0-9a-f]{8})-(\d+)-(\d+)-[0-9a-f]{8}$/

/** A new name for this run. */
export const createRunId = (): RunId =>
  `${hostId()}-${bootId()}-${process.pid}-${startOf(process.pid) ?? 0}-${short(crypto.randomUUID())}` as RunId

/** True for a text that names a run. */
export const isRunId = (text: string): boolean => RUN_ID.test(text)

/** True for a run of another host, of which nothing can be known. */
export const isElsewhere = (runId: string): boolean => RUN_ID.exec(runId)?.[1] !== hostId()

/**
 * True only when it is certain that the process behind a run is gone: it ran on this host, and the host has since
 * restarted, or no
 * process has its number, or another one that started at another time has. Runs of other hosts are never certain.
 */
export const isGone = (runId: string): boolean => {
  const [, host, boot, pid, start] = RUN_ID.exec(runId) ?? []
  if (host === undefined || host !== hostId()) return false
  if (boot !== bootId()) return true
  const began = startOf(Number(pid))
  if (began !== undefined && start !== '0') return began !== start
  return !isAlive(Number(pid))
}

/** The process behind a run, in words. */
export const processOf = (runId: string): string => {
  const [, host, , pid] = RUN_ID.exec(runId) ?? []
  return builder(pid, host === hostId())
}

const short = (text: string): string => Buffer.from(blake3(text)).toString('hex', 0, 4)

const read = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return undefined
  }
}

/** Process numbers mean nothing across hosts, nor across containers, which share a kernel but not the numbers. */
const hostId = (): string => {
  try {
    return short(`${hostname()} ${readlinkSync('/proc/self/ns/pid')}`)
  } catch {
    return short(hostname())
  }
}

const bootId = (): string => short(read('/proc/sys/kernel/random/boot_id') ?? '')

/** When a process started, in ticks since the host did; undefined where the system does not tell. */
const startOf = (pid: number): string | undefined => read(`/proc/${pid}/stat`)?.replace(/^.*\)/s, '').split(' ')[20]

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
