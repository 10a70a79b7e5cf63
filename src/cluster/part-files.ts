import { writeFileSync } from 'node:fs'
import { runFileInvalid } from '../base/catalogue/cluster.js'
import { canonicalJson } from '../base/canonical.js'
import { failed, ok, type Result } from '../base/result.js'
import { partsSchema } from './layout-schema.js'
import { demand, placesOf, type RunPart } from './layout.js'

/**
 * How many parts a file describes: making files is what takes longest where a run is laid out, and a task reads one of
 * them.
 */
const TOGETHER = 100

const firstOf = (part: number): number => part - (part % TOGETHER)

interface PartsFile {
  readonly parts: readonly RunPart[]
}

const readFile = (run: string, first: number): Result<PartsFile> => demand(placesOf(run).parts(first), partsSchema)

/** Writes down what all parts of a run do, in the order of their numbers. Throws what the system says. */
export const writeParts = (run: string, parts: readonly RunPart[]): void => {
  for (let first = 0; first < parts.length; first += TOGETHER)
    writeFileSync(placesOf(run).parts(first), canonicalJson({ parts: parts.slice(first, first + TOGETHER) }))
}

/** Reads what a part does. */
export const readPart = (run: string, part: number): Result<RunPart> => {
  const first = firstOf(part)
  const file = readFile(run, first)
  if (file.type === 'failed') return file
  const found = file.value.parts[part - first]
  return found?.number === part ? ok(found) : failed(runFileInvalid(placesOf(run).parts(first), `no part ${part}`))
}

/** The parts of a run of so many, in order. */
export const readParts = (run: string, count: number): Result<readonly RunPart[]> => {
  const files: PartsFile[] = []
  for (let first = 0; first < count; first += TOGETHER) {
    const file = readFile(run, first)
    if (file.type === 'failed') return file
    files.push(file.value)
  }
  return ok(files.flatMap(({ parts }) => parts))
}
