import { bind, loadLibrary } from './ffi.js'

type Ask = (bus: string) => { readonly total: number; readonly free: number } | undefined

const open = (): Ask => {
  const loading = loadLibrary('libnvidia-ml.so.1')
  if (loading.type === 'failed') return () => undefined
  const init = bind(loading.library, 'int nvmlInit_v2()')
  const handleOf = bind(loading.library, 'int nvmlDeviceGetHandleByPciBusId_v2(const char *bus, void *device)')
  const memory = bind(loading.library, 'int nvmlDeviceGetMemoryInfo(uint64_t device, void *memory)')
  if (init === undefined || handleOf === undefined || memory === undefined || init() !== 0) return () => undefined
  return (bus) => {
    const handle = new BigUint64Array(1)
    const [all, left, used] = [0, 1, 2]
    const out = new BigUint64Array([all, left, used].length)
    if (handleOf(bus, handle) !== 0 || memory(handle[0], out) !== 0) return undefined
    return { total: Number(out[all]), free: Number(out[left]) }
  }
}

let ask: Ask | undefined

/** Bytes of the GPU at a PCI bus address as the driver counts them; undefined where it does not tell. */
export const memoryByBus: Ask = (bus) => (ask ??= open())(bus)
