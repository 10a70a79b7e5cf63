import { bind, loadLibrary } from './ffi.js'
import { memoryByBus } from './nvml.js'

/** A device of CUDA as this process sees it. */
export interface CudaDevice {
  /** Among those that CUDA_VISIBLE_DEVICES lets be seen. */
  readonly index: number
  readonly name: string
  /** Bytes. */
  readonly total: number
  /** Bytes that nobody uses now. */
  readonly free: number
  /** Its compute capability, as `9.0`. */
  readonly capability: string
}

/** What is asked of the CUDA runtime. Nothing here throws. */
export interface Cudart {
  /** The newest CUDA the driver can do, as `13.0`; undefined without a driver. */
  driver(): string | undefined
  /** Its own version, as `13.0`. */
  runtime(): string | undefined
  /** The number of devices, or the runtime's error. */
  count(): { readonly count: number; readonly error: number }
  device(index: number): CudaDevice | undefined
  /** Bytes free on a device; makes a context there, unlike everything above. */
  free(index: number): number | undefined
  /**
   * Page-locks memory for all devices; false where it could not. Whole pages that overlap with none that are locked.
   */
  lock(address: bigint, bytes: number): boolean
  unlock(address: bigint): void
  /** The device of this thread. */
  use(index: number): boolean
}

/** Attributes of cudaDeviceGetAttribute. */
const [MAJOR, MINOR] = [75, 76]
/**
 * Bytes for a cudaDeviceProp of any version, where the total memory lies in it (behind name, UUID and LUID), and the
 * name's length.
 */
const [PROPERTIES, TOTAL_AT, NAME_LENGTH] = [8192, 288, 256]
/** cudaHostRegisterPortable: locked for every context. */
const PORTABLE = 1
const MISSING_SYMBOL = -1

const versionOf = (number: number): string => `${Math.floor(number / 1000)}.${Math.floor((number % 1000) / 10)}`

const textOf = (bytes: Uint8Array): string => {
  const end = bytes.indexOf(0)
  return Buffer.from(bytes.subarray(0, end === -1 ? bytes.length : end)).toString('utf8')
}

/** The CUDA runtime at a path, or under the name the system's loader knows; undefined where it cannot be loaded. */
export const openCudart = (path: string): Cudart | undefined => {
  const loading = loadLibrary(path)
  if (loading.type === 'failed') return undefined
  const call = (declaration: string): ((...args: readonly unknown[]) => number) =>
    bind(loading.library, declaration) ?? (() => MISSING_SYMBOL)
  const driverVersion = call('int cudaDriverGetVersion(int *version)')
  const runtimeVersion = call('int cudaRuntimeGetVersion(int *version)')
  const deviceCount = call('int cudaGetDeviceCount(int *count)')
  const attribute = call('int cudaDeviceGetAttribute(int *value, int attribute, int device)')
  const properties = call('int cudaGetDeviceProperties(void *properties, int device)')
  const busId = call('int cudaDeviceGetPCIBusId(void *text, int length, int device)')
  const setDevice = call('int cudaSetDevice(int device)')
  const memory = call('int cudaMemGetInfo(size_t *free, size_t *total)')
  const register = call('int cudaHostRegister(uintptr_t address, size_t bytes, unsigned int flags)')
  const unregister = call('int cudaHostUnregister(uintptr_t address)')

  const number = (ask: (out: Int32Array) => number): number | undefined => {
    const out = new Int32Array(1)
    return ask(out) === 0 ? out[0] : undefined
  }
  const free = (index: number): number | undefined => {
    const [left, all] = [new BigUint64Array(1), new BigUint64Array(1)]
    return setDevice(index) === 0 && memory(left, all) === 0 ? Number(left[0]) : undefined
  }
  return {
    driver: () => {
      const version = number(driverVersion)
      return version === undefined || version === 0 ? undefined : versionOf(version)
    },
    runtime: () => {
      const version = number(runtimeVersion)
      return version === undefined ? undefined : versionOf(version)
    },
    count: () => {
      const out = new Int32Array(1)
      const error = deviceCount(out)
      return { count: error === 0 ? out[0]! : 0, error }
    },
    device: (index) => {
      const bytes = new Uint8Array(PROPERTIES)
      if (properties(bytes, index) !== 0) return undefined
      const total = Number(new DataView(bytes.buffer).getBigUint64(TOTAL_AT, true))
      const bus = new Uint8Array(32)
      const known = busId(bus, bus.length, index) === 0 ? memoryByBus(textOf(bus)) : undefined
      const [major, minor] = [MAJOR, MINOR].map((a) => number((out) => attribute(out, a, index)) ?? 0)
      return {
        index,
        total,
        name: textOf(bytes.subarray(0, NAME_LENGTH)),
        capability: `${major}.${minor}`,
        // The driver's figure costs no context, but that of a whole GPU is wrong for a slice of it.
        free: Math.min(
          total,
          (known !== undefined && Math.abs(known.total - total) < total / 10 ? known.free : free(index)) ?? total,
        ),
      }
    },
    free,
    lock: (address, bytes) => register(address, bytes, PORTABLE) === 0,
    unlock: (address) => void unregister(address),
    use: (index) => setDevice(index) === 0,
  }
}
