import { openCudart } from './cudart.js'
import { addressOf } from './ffi.js'

/** Memory that is page-locked, so that copies to the device run at the full speed of the bus. */
export interface Pinning {
  /** Locks whole pages that overlap with none that are locked; false where it could not, which costs speed only. */
  pin(view: Uint8Array): boolean
  /**
   * Has to be told of a buffer that may have grown, before the device copies from it again: one that has moved is no
   * longer locked, nor ever again.
   */
  check(buffer: ArrayBuffer): void
  /** Unlocks everything; has to be called before the memory goes. */
  release(): void
}

/**
 * Locks memory from this thread, which may be a worker's; `libcudart` is where the CUDA runtime lies, `index` the
 * device of this thread. Never throws.
 */
export const createPinning = (libcudart: string, index = 0): Pinning => {
  const cudart = openCudart(libcudart)
  // By address: views of a buffer that has grown are empty.
  const pinned: { readonly address: bigint; readonly buffer: bigint }[] = []
  // Without a device of its own a thread would make a context on the first one.
  let ready = cudart?.use(index) === true
  const release = (): void => {
    for (const { address } of pinned.splice(0)) cudart?.unlock(address)
  }
  return {
    pin: (view) => {
      if (!ready || view.byteLength === 0) return false
      const address = addressOf(view)
      if (cudart?.lock(address, view.byteLength) !== true) return false
      pinned.push({ address, buffer: address - BigInt(view.byteOffset) })
      return true
    },
    check: (buffer) => {
      if (pinned.length === 0) return
      const now = addressOf(new Uint8Array(buffer))
      if (pinned.every((p) => p.buffer === now)) return
      ready = false
      release()
    },
    release,
  }
}
