import { solverKernels } from './matrix.js'

let taken: { readonly bytes: number; readonly at: number } | undefined

/**
 * Room of so many bytes in the kernels' memory, which one solver uses at a time: what it holds is lost when another asks
 * for room. It is kept, as memory cannot be given back.
 */
export const roomFor = (bytes: number): number => {
  if (taken === undefined || taken.bytes < bytes) taken = { bytes, at: solverKernels().alloc(bytes) }
  return taken.at
}
