import type { Diagnostic } from '../base/diagnostic.js'
import { ioProblem } from '../safetensors/io-problem.js'
import { openRegular } from '../safetensors/regular-file.js'

/** The sha256 of a file, in hex, or why it could not be read. */
export const sha256Of = async (path: string): Promise<string | Diagnostic> => {
  // Loaded when it is needed, which few commands do.
  const { createHash } = await import('node:crypto')
  const hash = createHash('sha256')
  try {
    const opened = await openRegular(path, 'a regular file')
    if (opened.type === 'failed') return opened.diagnostics[0]!
    for await (const piece of opened.value.createReadStream({ highWaterMark: 1 << 20 }))
      hash.update(piece as Uint8Array)
  } catch (error) {
    return ioProblem(error, path, 'read')
  }
  return hash.digest('hex')
}
