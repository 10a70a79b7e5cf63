import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { renderDiagnostics } from '#src/base/screen.js'
import type { Result } from '#src/base/result.js'
import { build, type BuildOptions } from '#src/run/build.js'
import type { Built } from '#src/run/options.js'
import { inlineWorker } from '../support/inline-worker.js'

/** Writes a recipe and builds it with a worker in this thread. */
export const buildIn = (folder: string, recipe: object, options: BuildOptions = {}): Promise<Result<Built>> => {
  const path = join(folder, 'recipe.yaml')
  writeFileSync(path, JSON.stringify({ smelt: 1, ...recipe }))
  return build(path, { workers: 1, start: inlineWorker, ...options })
}

/** What a sound build wrote; throws its problems otherwise. */
export const built = async (result: Promise<Result<Built>>): Promise<Built> => {
  const done = await result
  if (done.type === 'failed') throw new Error(renderDiagnostics(done.diagnostics, { color: false }))
  return done.value
}

/** The codes of what went wrong. */
export const codesOf = (result: Result<unknown>): readonly string[] => result.diagnostics.map((d) => d.code)

/** Everything in a folder, temporaries too. */
export const filesIn = (folder: string): readonly string[] =>
  (readdirSync(folder, { recursive: true }) as string[]).sort()

/** The data of a safetensors file, behind its header. */
export const dataOf = (path: string): Buffer => {
  const bytes = readFileSync(path)
  return bytes.subarray(8 + Number(bytes.readBigUInt64LE()))
}
