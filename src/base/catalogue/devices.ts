import type { Diagnostic } from '../diagnostic.js'
import { entry } from './entry.js'
import { inBytes } from './file-entry.js'

/** The CPU as the way out; of the other devices only CUDA gives the same bytes. */
const onProcessor = (device: string): string =>
  `build with \`--device cpu\`${device.startsWith('cuda') ? ', which gives the same bytes' : ''}`

/** A device failed to run a program. */
export const deviceFailed = (device: string, reason: string): Diagnostic =>
  entry('device-failed', `${device} could not run a program: ${reason.trim()}`, {
    blame: 'run',
    help: `run \`smelt doctor\`, or ${onProcessor(device)}; nothing was written`,
  })

/** A device has too little memory even for the smallest chunks. */
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
    `${device} (${title}) has ${inBytes(free)} of memory free, but this build needs ${inBytes(needed)}`,
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

/** What a self-test computed wrong. */
export const wrongSum = (sum: string, found: string): string => `${sum} came out as ${found}`

/** Problems that only mean the machine has no CUDA: no advice at every build. */
const NOT_FOR_CUDA: readonly string[] = ['cuda-driver-missing', 'cuda-not-offered']

/** Why a device was chosen, and how its results or transfers differ. */
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
    'Graphics drivers may round divisions and square roots differently and fuse multiplications with additions, so results can differ from other devices in the last bits. The lock records this, and other builds do not reuse the results.',
  ],
  decoded: (dtypes: readonly string[]): string =>
    `${dtypes.join(', ')} reach the device as float32, which takes more bandwidth; the CPU converts them.`,
  encoded: (dtypes: readonly string[]): string =>
    `${dtypes.join(', ')} leave the device as float32, which takes more bandwidth; the CPU rounds them.`,
} as const
