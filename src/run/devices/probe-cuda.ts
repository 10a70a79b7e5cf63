import { cudaUnusable, cudaWrongNumbers } from '../../base/catalogue/cuda.js'
import type { Diagnostic } from '../../base/diagnostic.js'
import { reasonOf } from '../../base/reason.js'
import { openCuda, type CudaPlaces } from './cuda.js'

const firstLine = (error: unknown): string => reasonOf(error).split('\n')[0]!.slice(0, 300)

/**
 * Runs a small program on a CUDA device and compares the bits with the CPU's: a provider that computes wrong results
 * must never write a model. Returns why the device cannot be used, if so. Main thread only.
 */
export const probeCuda = async (index: number, places: CudaPlaces = {}): Promise<Diagnostic | undefined> => {
  const opened = openCuda(index, places)
  if (opened.type === 'failed') return opened.diagnostics[0]
  try {
    const { compareWithProcessor } = await import('./trial.js')
    const difference = await compareWithProcessor(`cuda:${index}`)
    return difference === undefined ? undefined : cudaWrongNumbers(index, difference)
  } catch (error) {
    return cudaUnusable(index, firstLine(error))
  }
}
