import * as problems from '../base/catalogue/safetensors.js'
import type { Diagnostic } from '../base/diagnostic.js'

/** Bytes of a file's start that {@link recogniseOther} wants. */
export const HEAD = 256

/**
 * What a file that is no safetensors file really is, told from its first bytes whatever its name; undefined when they
 * say nothing.
 */
export const recogniseOther = (path: string, head: Buffer): Diagnostic | undefined => {
  const text = head.toString('latin1')
  if (text.startsWith('version https://git-lfs')) return problems.gitLfsPointer(path)
  if (text.startsWith('PK\x03\x04')) return problems.pickleCheckpoint(path, 'zip')
  // Pickles since protocol 2 start with an opcode, the version, and another opcode, where a header's length would have
  // zeros.
  const [proto, version = 0, opcode] = head
  if (proto === 0x80 && version >= 2 && version <= 5 && opcode !== 0) return problems.pickleCheckpoint(path, 'pickle')
  if (text.startsWith('GGUF')) return problems.ggufFile(path)
  if (/^\s*<(?:!doctype|html|\?xml)/i.test(text)) return problems.webPage(path)
  if (text.length >= 8 && /^[\t\n\r -~]+$/.test(text)) return problems.textFile(path, text.slice(0, 40))
  return undefined
}
