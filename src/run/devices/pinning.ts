import { openCudart } from './cudart.js'

/** Memory that is page-locked, so that copies to the device run at the full speed of the bus. */
export interface Pinning {
  /** Locks whole pages that overlap with none that are locked; false where it could not, which costs speed only. */
  pin(view: Uint8Array): boolean
  /** Unlocks everything; has to be called before the memory goes. */
  release(): void
}

/** Locks memory from this thread, which may be a worker's; `libcudart` is where the CUDA runtime lies, `index` the device of this thread. Never throws. */
export const createPinning = (libcudart: string, index = 0): Pinning => {
  const cudart = openCudart(libcudart)
  const pinned: Uint8Array[] = []
  // Without a device of its own a thread would make a context on the first one.
  const ready = cudart?.use(index) === true
  return {
    pin: (view) => {
      if (!ready || view.byteLength === 0 || !cudart.lock(view)) return false
      pinned.push(view)
      return true
    },
    release: () => {
      for (const view of pinned.splice(0)) cudart?.unlock(view)
    },
  }
}
