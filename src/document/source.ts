import { isUtf8 } from 'node:buffer'
import * as say from '../base/catalogue/document.js'
import type { Source } from '../base/diagnostic.js'
import { failed, ok, type Result } from '../base/result.js'

/** The largest document, in bytes of UTF-8. A recipe is far below a tenth of it. */
export const MOST_BYTES = 256 * 1024

/**
 * Takes a file's bytes as text. Refuses what is too large to be a document, and what is not UTF-8 (a checkpoint given
 * for a recipe).
 */
export const toSource = (path: string, bytes: Uint8Array): Result<Source> => {
  if (bytes.byteLength > MOST_BYTES) return failed(say.documentTooLarge(path, bytes.byteLength, MOST_BYTES))
  if (!isUtf8(bytes)) return failed(say.notUtf8(path))
  return ok({ path, text: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8') })
}
