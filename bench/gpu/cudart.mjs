// The CUDA runtime, called directly: for what the checks measure beside smelt.
import koffi from 'koffi'

/** Directions of cudaMemcpy. */
export const UP = 1
export const DOWN = 2
const NON_BLOCKING = 1
const PORTABLE = 1

/** Loads the runtime of a path; every call throws when it does not give 0, which is named by the call. */
export const openRuntime = (path, device = 0) => {
  const library = koffi.load(path, { global: true })
  const bind = (declaration) => {
    const name = /(\w+)\(/.exec(declaration)[1]
    const call = library.func(declaration)
    return (...args) => {
      const status = call(...args)
      if (status !== 0) throw new Error(`${name} gave error ${status}`)
    }
  }
  const pointer = (fill) => {
    const out = [null]
    fill(out)
    return out[0]
  }
  const [malloc, free] = [
    bind('int cudaMalloc(_Out_ void **pointer, size_t bytes)'),
    bind('int cudaFree(void *pointer)'),
  ]
  const [hostAlloc, freeHost] = [
    bind('int cudaHostAlloc(_Out_ void **pointer, size_t bytes, unsigned int flags)'),
    bind('int cudaFreeHost(void *pointer)'),
  ]
  const memory = bind('int cudaMemGetInfo(_Out_ size_t *free, _Out_ size_t *total)')
  const createStream = bind('int cudaStreamCreateWithFlags(_Out_ void **stream, unsigned int flags)')
  const copyLater = bind('int cudaMemcpyAsync(void *to, void *from, size_t bytes, int kind, void *stream)')
  bind('int cudaSetDevice(int device)')(device)
  return {
    allocate: (bytes) => pointer((out) => malloc(out, bytes)),
    free,
    /** Page-locked memory, and a view of it. */
    allocateLocked: (bytes) => {
      const at = pointer((out) => hostAlloc(out, bytes, PORTABLE))
      return { at, view: new Uint8Array(koffi.view(at, bytes)) }
    },
    freeLocked: freeHost,
    createStream: () => pointer((out) => createStream(out, NON_BLOCKING)),
    /** Waits for one stream; null is the default one. */
    wait: bind('int cudaStreamSynchronize(void *stream)'),
    copyLater,
    copy: bind('int cudaMemcpy(void *to, void *from, size_t bytes, int kind)'),
    /** Bytes free and in all. */
    memory: () => {
      const [left, all] = [[null], [null]]
      memory(left, all)
      return { free: Number(left[0]), total: Number(all[0]) }
    },
  }
}
