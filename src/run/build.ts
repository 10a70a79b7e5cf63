import { availableParallelism } from 'node:os'
import { failed, type Result } from '../base/result.js'
import { withThreadsAhead } from './crew.js'
import { checkPins, prepare, type PrepareOptions } from './prepare.js'
import { run, type Built, type RunOptions } from './run.js'

/** Options of a whole build; everything has a default. */
export interface BuildOptions extends PrepareOptions, Partial<RunOptions> {}

/** Workers that make sense on this machine: one a core, at most 16. */
export const defaultWorkers = (): number => Math.max(1, Math.min(16, availableParallelism()))

/** Builds a recipe: reads, plans, checks pins, computes, and writes its outputs, all of them or none. */
export const build = (path: string, options: BuildOptions = {}): Promise<Result<Built>> => {
  const workers = options.workers ?? defaultWorkers()
  return withThreadsAhead(options.start === undefined ? workers : 0, () => buildWith(path, options, workers))
}

const buildWith = async (path: string, options: BuildOptions, workers: number): Promise<Result<Built>> => {
  const prepared = await prepare(path, options)
  if (prepared.type === 'failed') return prepared
  const pins = await checkPins(prepared.value)
  if (pins.length > 0) return failed(...prepared.diagnostics, ...pins)
  const built = await run(prepared.value.plan, { device: 'cpu', ...options, workers })
  return { ...built, diagnostics: [...prepared.diagnostics, ...built.diagnostics] }
}
