import fs from 'node:fs'
import { ioFailed, readPastEnd } from '../base/catalogue/io.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { errorCode, ioProblem } from './io-problem.js'

/** The two calls that move bytes; tests pass ones that move few bytes or fail. */
export interface PositionalIo {
  readSync(fd: number, buffer: Uint8Array, offset: number, length: number, position: number): number
  writeSync(fd: number, buffer: Uint8Array, offset: number, length: number, position: number): number
}

/** Most bytes Linux moves in one call. */
const MOST = 0x7ffff000
/** Calls in a row that move nothing before it is called a failure, a millisecond apart. */
const PATIENCE = 250

const PAUSE = new Int32Array(new SharedArrayBuffer(4))

/**
 * Fills `buffer` from `position` of an open file; undefined when every byte came, else what went wrong and where.
 * `path` is for the
 * words only.
 */
export const readFully = (
  fd: number,
  path: string,
  buffer: Uint8Array,
  position: number,
  io: PositionalIo = fs,
): Diagnostic | undefined =>
  move('read', path, buffer, position, (offset, length) => io.readSync(fd, buffer, offset, length, position + offset))

/**
 * Writes all of `buffer` at `position` of an open file; undefined when every byte went, else what went wrong and where.
 */
export const writeFully = (
  fd: number,
  path: string,
  buffer: Uint8Array,
  position: number,
  io: PositionalIo = fs,
): Diagnostic | undefined =>
  move('write', path, buffer, position, (offset, length) => io.writeSync(fd, buffer, offset, length, position + offset))

const move = (
  doing: 'read' | 'write',
  path: string,
  buffer: Uint8Array,
  position: number,
  call: (offset: number, length: number) => number,
): Diagnostic | undefined => {
  let idle = 0
  for (let done = 0; done < buffer.length;) {
    let moved = 0
    try {
      moved = call(done, Math.min(MOST, buffer.length - done))
    } catch (error) {
      const passing = ['EINTR', 'EAGAIN'].includes(errorCode(error))
      if (!passing || ++idle > PATIENCE) return ioProblem(error, path, doing)
      Atomics.wait(PAUSE, 0, 0, 1)
      continue
    }
    if (moved === 0 && doing === 'read') return readPastEnd(path, position + done, buffer.length - done)
    if (moved === 0 && ++idle > PATIENCE) return ioFailed(path, doing, 'no progress')
    if (moved > 0) idle = 0
    done += moved
  }
  return undefined
}
