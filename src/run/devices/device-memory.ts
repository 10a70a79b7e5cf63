import { openCudart } from './cudart.js'

/**
 * Bytes free on a device now, or 0 where it does not tell; `libcudart` is where the CUDA runtime lies. Makes a context
 * on the device.
 */
export const freeDeviceMemory = (libcudart: string, index: number): number => openCudart(libcudart)?.free(index) ?? 0
