import type { Diagnostic } from '../diagnostic.js'
import { entry } from './entry.js'
import { inBytes } from './file-entry.js'

/** The processor as the way out; only what CUDA computes has its bytes. */
const onProcessor = (device: string): string =>
  `build with \`--device cpu\`${device.startsWith('cuda') ? ', which gives the same bytes' : ''}`

/** A device stopped computing. */
export const deviceFailed = (device: string, reason: string): Diagnostic =>
  entry('device-failed', `${device} could not run a program: ${reason.trim()}`, {
    blame: 'run',
    help: `run \`smelt doctor\`, or ${onProcessor(device)}; nothing was written`,
  })

/** A device has no room left even for the smallest chunks. */
export const deviceOutOfMemory = (device: string, chunk: number): Diagnostic =>
  entry(
    'device-out-of-memory',
    `${device} ran out of memory, even with chunks of ${chunk.toLocaleString('en')} elements`,
    {
      blame: 'run',
      help: `close other programs that use it, use fewer \`--workers\`, or ${onProcessor(device)}; nothing was written`,
    },
  )

/** Even the smallest chunks of one worker would not fit. */
export const deviceTooSmall = (device: string, title: string, needed: number, free: number): Diagnostic =>
  entry(
    'device-too-small',
    `${device} (${title}) has ${inBytes(free)} of memory free, and this build needs ${inBytes(needed)}`,
    {
      blame: 'run',
      help: 'close other programs that use it, or build with `--device cpu`, which gives the same bytes',
    },
  )

/** A provider cannot run what a plan needs. */
export const deviceNoKernel = (provider: string, kernels: readonly string[]): Diagnostic =>
  entry('device-no-kernel', `${provider} has no kernel for ${kernels.join('; ')}, which this plan needs`, {
    blame: 'run',
    help: 'build with `--device cpu`',
  })

/** WebGPU was asked for and does not work here. */
export const webgpuMissing = (reason: string): Diagnostic =>
  entry('webgpu-missing', `WebGPU cannot be used: ${reason}`, {
    blame: 'run',
    help: 'install a driver with Vulkan (on Linux) or build with `--device cpu`; `smelt doctor` shows what this machine has',
  })

/** What a probe of a part of the machine computed wrongly. */
export const wrongSum = (sum: string, found: string): string => `${sum} came out as ${found}`

/** What tells that a machine is not one for CUDA, of which nobody wants to be reminded at every build. */
const NOT_FOR_CUDA: readonly string[] = ['cuda-driver-missing', 'cuda-not-offered']

/** Why a device was chosen, and what it does in a way of its own. */
export const devicePick = {
  asked: 'asked for',
  nothing: (wish: string): string =>
    wish === 'auto' ? 'auto: nothing is computed' : `nothing is computed, so ${wish} is not needed`,
  small: (seconds: number): string =>
    `auto: too little work to be worth starting CUDA (${seconds < 0.1 ? 'under 0.1' : `about ${seconds.toFixed(1)}`} s on the CPU)`,
  unusable: ({ code, message, help }: Diagnostic): string =>
    `auto: ${message}${help === undefined || NOT_FOR_CUDA.includes(code) ? '' : `; ${help}`}`,
  gains: (seconds: number): string => `auto: CUDA works here, and the CPU would take about ${seconds.toFixed(0)} s`,
  webgpu: [
    'WebGPU runs in one thread: reading, computing and writing take turns.',
    'Graphics drivers may round quotients and roots another way and fuse products with sums, so the last bits of numbers can differ from those of other devices; the lock says so, and no other build takes these over.',
  ],
  decoded: (dtypes: readonly string[]): string =>
    `${dtypes.join(', ')} reach the device as float32, which takes more bandwidth; the CPU decodes them.`,
  encoded: (dtypes: readonly string[]): string =>
    `${dtypes.join(', ')} leave the device as float32, which takes more bandwidth; the CPU rounds them.`,
} as const
