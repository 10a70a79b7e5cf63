import type { Provider } from '../../graph/lower.js'

/** Where programs run: the processor, a graphics card by its number among those CUDA can see, or what WebGPU offers. */
export type Device = 'cpu' | 'webgpu' | `cuda:${number}`

/** The provider of ONNX Runtime that a device belongs to. */
export const providerOf = (device: Device): Provider => (device === 'cpu' || device === 'webgpu' ? device : 'cuda')

/** The number of a CUDA device; 0 for others. */
export const indexOf = (device: Device): number =>
  providerOf(device) === 'cuda' ? Number(device.slice('cuda:'.length)) : 0

/** True for devices whose numbers may differ in the last bits from those of all others. */
export const isInexact = (device: Device): boolean => device === 'webgpu'

/** Elements below which a chunk is not made smaller: so little does not fit only where nothing does. */
export const LEAST_CHUNK = 1 << 14
