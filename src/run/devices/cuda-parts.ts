/**
 * A file that CUDA needs and that can be installed. The driver's library is none: it belongs to the kernel module of
 * the machine.
 */
export interface CudaPart {
  /** Under which name it is kept, which for libraries is the name that others ask for. */
  readonly name: string
  /** The names it may have in a source. */
  readonly pattern: RegExp
  /** Most bytes it may have. */
  readonly most: number
}

const part = (name: string, most: number): CudaPart => ({
  name,
  pattern: new RegExp(`^${name.replaceAll('.', '\\.')}(\\.\\d+)*$`),
  most,
})

const MB = 1_000_000

/** The provider of ONNX Runtime: the kernels, and the bridge that loads them. Only as a pair, out of one source. */
export const PROVIDER: readonly CudaPart[] = [
  part('libonnxruntime_providers_cuda.so', 1500 * MB),
  part('libonnxruntime_providers_shared.so', 10 * MB),
]

/**
 * The libraries of CUDA 13 that the provider asks for, by what has to come from one place, in the order in which they
 * are loaded.
 */
export const LIBRARIES: readonly (readonly CudaPart[])[] = [
  [part('libcudart.so.13', 50 * MB)],
  [part('libcublasLt.so.13', 2500 * MB), part('libcublas.so.13', 500 * MB)],
  [part('libcurand.so.10', 500 * MB)],
]

/** The library of the driver, which comes with the machine. */
export const DRIVER = 'libcuda.so.1'

/** The major version of CUDA that the provider is made for. */
export const CUDA_MAJOR = 13
