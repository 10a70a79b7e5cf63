import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import type { Diagnostic } from '../base/diagnostic.js'
import { ioProblem } from '../safetensors/io-problem.js'

/** The sha256 of a file, in hex, or why it could not be read. */
export const sha256Of = async (path: string): Promise<string | Diagnostic> => {
  const hash = createHash('sha256')
  try {
    for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(piece as Uint8Array)
  } catch (error) {
    return ioProblem(error, path, 'read')
  }
  return hash.digest('hex')
}
