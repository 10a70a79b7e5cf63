import { createRequire } from 'node:module'
import { join } from 'node:path'
import koffi from 'koffi'
import type * as Ort from 'onnxruntime-node'
import { inject } from 'vitest'
import { feedsOf } from './feeds.js'
import { modelOf, programOf } from './kernel-model.js'

/** What was put together for these tests. */
export const devices = inject('devices')

/** Why the tests over the provider for CUDA are skipped, if they are. */
export const cudaMissing = 'missing' in devices.cuda ? devices.cuda.missing : undefined

/** ONNX Runtime of the program's copy, the one that has the provider beside it. */
export const ort = createRequire(join(devices.tree, 'package.json'))('onnxruntime-node') as typeof Ort

/** A library is closed once nothing refers to it any more. */
const loaded: unknown[] = []

/** Loads the libraries that stand in for CUDA's, so that the provider finds them by name. */
export const loadStubs = (): void => {
  if (!('missing' in devices.cuda))
    loaded.push(...devices.cuda.libraries.map((library) => koffi.load(library, { global: true })))
}

/** A session that is wholly on a device, as the program makes it; rejects where a node would be left to the CPU. */
export const deviceSession = (
  model: Uint8Array,
  provider: 'cuda' | 'webgpu',
  level: 'disabled' | 'basic' = 'basic',
): Promise<Ort.InferenceSession> =>
  ort.InferenceSession.create(model, {
    executionProviders: [provider === 'cuda' ? { name: 'cuda', deviceId: 0 } : provider],
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: level,
    logSeverityLevel: 4,
    extra: { session: { disable_cpu_ep_fallback: '1' } },
  })

/**
 * Which kernels a provider places on its device, and runs there. The optimiser is off, or it would leave out casts that
 * change nothing.
 */
export const placedOf = async (kernels: readonly string[], provider: 'cuda' | 'webgpu'): Promise<readonly string[]> => {
  const placed: string[] = []
  for (const kernel of kernels) {
    try {
      const session = await deviceSession(modelOf(kernel), provider, 'disabled')
      await session.run(feedsOf(programOf(kernel), 8))
      placed.push(kernel)
      await session.release()
    } catch {
      // Left to the CPU, without an implementation anywhere, or against ONNX's rules: not placed, in any case.
    }
  }
  return placed
}
