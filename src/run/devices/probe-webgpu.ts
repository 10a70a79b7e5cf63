import { vulkanMissing } from '../../base/catalogue/cuda.js'
import { reasonOf } from '../../base/reason.js'
import { loadLibrary, whyNoCalls } from './ffi.js'

/** What WebGPU's provider does its work with on Linux. */
const VULKAN = 'libvulkan.so.1'

/** What ONNX Runtime says, without the place in its source that says so. */
const shortReason = (error: unknown): string => {
  const line = reasonOf(error).split('\n')[0]!
  return (/(?: was false\.|Status Message:) (.*)$/.exec(line)?.[1] ?? line).slice(0, 300)
}

/**
 * Runs a small program on WebGPU and compares its bits with the processor's; gives why it cannot be used here. One
 * thread only may use WebGPU at a time.
 */
export const probeWebgpu = async (): Promise<string | undefined> => {
  // The provider would complain on standard error, past everyone.
  if (process.platform === 'linux' && whyNoCalls() === undefined && loadLibrary(VULKAN).type === 'failed')
    return vulkanMissing(VULKAN)
  try {
    const { compareWithProcessor } = await import('./trial.js')
    return await compareWithProcessor('webgpu')
  } catch (error) {
    return shortReason(error)
  }
}
