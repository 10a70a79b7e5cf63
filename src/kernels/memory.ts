import type { WasmMemory } from './wasm-module.js'

/** A typed array's constructor over a part of a buffer. */
type ViewOf<T> = new (buffer: ArrayBuffer, byteOffset: number, length: number) => T

/** The kernels' memory: parts are taken once and kept as long as the instance lives. */
export type KernelMemory = {
  /**
   * Takes `bytes` of zeroed memory and returns their offset, a multiple of 16. May grow the memory, which detaches all
   * views: take all parts first.
   */
  readonly alloc: (bytes: number) => number
  /** A view of `length` elements at an offset that suits the type, without a copy. Valid until the next `alloc`. */
  readonly view: <T>(type: ViewOf<T>, offset: number, length: number) => T
}

const PAGE = 65536

/** Hands out the memory from byte `base` on; it only ever grows. */
export const createMemory = (memory: WasmMemory, base: number): KernelMemory => {
  const align = (offset: number): number => Math.ceil(offset / 16) * 16
  let top = align(base)
  return {
    alloc: (bytes) => {
      const offset = top
      const missing = offset + bytes - memory.buffer.byteLength
      if (missing > 0) memory.grow(Math.ceil(missing / PAGE))
      top = align(offset + bytes)
      return offset
    },
    view: (type, offset, length) => new type(memory.buffer, offset, length),
  }
}
