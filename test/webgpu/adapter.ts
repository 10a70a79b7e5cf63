import koffi from 'koffi'
import { modelOf } from '../cuda/kernel-model.js'
import { deviceSession } from '../cuda/real-provider.js'

/**
 * Why WebGPU cannot be tested here, if it cannot: no Vulkan, or no driver for it. Mesa's lavapipe is one that needs no
 * device; where it is not
 * installed, LD_LIBRARY_PATH tells where libvulkan lies, and VK_DRIVER_FILES names the driver's description.
 */
export const findWebgpuMissing = async (): Promise<string | undefined> => {
  try {
    // The provider would tell of it on standard error as well.
    koffi.load('libvulkan.so.1')
  } catch {
    return 'Vulkan was not found (libvulkan.so.1)'
  }
  try {
    await (await deviceSession(modelOf('Add f32,f32'), 'webgpu')).release()
    return undefined
  } catch (error) {
    return `WebGPU opens no adapter (${(error as Error).message.split('\n')[0]!.slice(0, 200)})`
  }
}
