import type { Kernels } from '../../kernels/kernels.js'
import { createCompiledEngine, type CompiledOptions } from './compiled-engine.js'
import type { Engine } from './engine.js'
import type { OnnxOptions } from './onnx-engine.js'

/** What an engine is made of; it can be sent to a worker. */
export type EngineOptions = CompiledOptions | OnnxOptions

/** Sets up the engine of one worker. ONNX Runtime is loaded where it is asked for, and nowhere else. */
export const createEngine = async (options: EngineOptions, kernels: Kernels): Promise<Engine> =>
  options.type === 'compiled'
    ? createCompiledEngine(options, kernels)
    : (await import('./onnx-engine.js')).createOnnxEngine(options, kernels)
