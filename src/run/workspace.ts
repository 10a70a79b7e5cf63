import { closeSync, openSync } from 'node:fs'
import { VALUE_BYTES, type Port } from '../graph/program.js'
import { TURN } from '../graph/wasm-program.js'
import type { Kernels } from '../kernels/kernels.js'
import { READ_ONLY } from '../safetensors/regular-file.js'
import type { Engine } from './devices/engine.js'

/** How a worker cuts its work. Neither number changes a byte of the result. */
export interface Cutting {
  /** Elements of one run of a program: small, so that intermediates stay in the processor's cache. */
  readonly chunk: number
  /** Elements of one read or write: a multiple of 65,536. */
  readonly block: number
}

/** What a worker needs to do units. */
export interface ExecutorContext {
  readonly kernels: Kernels
  readonly engine: Engine
  /** Where outputs are written until they are whole, by final path. */
  readonly temporary: ReadonlyMap<string, string>
  readonly cutting: Cutting
  /** True once the build is to stop; asked between chunks. */
  stopping(): boolean
}

/** Files and memory of one worker. Files stay open between units; memory is taken once per use and kept. */
export interface Workspace extends ExecutorContext {
  /** Opens an input to read, or by its final path an unfinished output to read and write. Throws what the system says. */
  open(path: string, flags: 'r' | 'r+'): number
  /**
   * Memory for one purpose, always of the same size, and as much more as compiled programs go beyond their last element;
   * views taken before are stale when it is new.
   */
  reserve(purpose: string, bytes: number): number
  /**
   * Memory for a block that goes to the device or comes from there; pinned, it has pages of its own and no more of them
   * than its numbers need.
   */
  reserveShared(purpose: string, port: Port, elements: number): number
  bytesAt(offset: number, length: number): Uint8Array
  closeFiles(): void
}

/** Bytes of the widest element. Memory is taken for the widest block at once: what is never touched costs nothing. */
export const WIDEST = 8

/** Bytes of a page of memory, which is pinned whole. */
const PAGE = 4096

/** A workspace with nothing open and nothing reserved. */
export const createWorkspace = (context: ExecutorContext): Workspace => {
  const { kernels, engine } = context
  const files = new Map<string, number>()
  const slots = new Map<string, number>()

  const reserve = (purpose: string, bytes: number): number => {
    const offset = slots.get(purpose) ?? kernels.alloc(bytes + WIDEST * TURN)
    slots.set(purpose, offset)
    return offset
  }
  return {
    ...context,
    open: (path, flags) => {
      const key = `${flags}${path}`
      const fd =
        files.get(key) ?? (flags === 'r' ? openSync(path, READ_ONLY) : openSync(context.temporary.get(path)!, flags))
      files.set(key, fd)
      return fd
    },
    reserve,
    reserveShared: (purpose, port, elements) => {
      if (!engine.pins) return reserve(purpose, WIDEST * elements)
      const bytes = Math.ceil((VALUE_BYTES[port.type] * elements) / PAGE) * PAGE
      const key = `${purpose}:${bytes}`
      const known = slots.get(key)
      if (known !== undefined) return known
      const offset = Math.ceil(kernels.alloc(bytes + PAGE) / PAGE) * PAGE
      slots.set(key, offset)
      engine.pin(kernels.view(Uint8Array, offset, bytes))
      return offset
    },
    bytesAt: (offset, length) => kernels.view(Uint8Array, offset, length),
    closeFiles: () => {
      for (const fd of files.values()) closeSync(fd)
      files.clear()
    },
  }
}
