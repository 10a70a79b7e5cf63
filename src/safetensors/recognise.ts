import {
  ggufFile,
  gitLfsPointer,
  oldCheckpoint,
  textFile,
  webPage,
  zipCheckpoint,
} from '../base/catalogue/other-formats.js'
import type { Diagnostic } from '../base/diagnostic.js'

/** Bytes of a file's start that {@link recogniseOther} wants. */
export const HEAD = 512

/**
 * What a file that is no safetensors file really is, told from its first bytes whatever its name; undefined when they
 * say nothing.
 */
export const recogniseOther = (path: string, head: Buffer): Diagnostic | undefined => {
  const text = head.toString('latin1')
  if (text.startsWith('version https://git-lfs')) return gitLfsPointer(path)
  if (text.startsWith('PK\x03\x04')) return zipCheckpoint(path)
  if (text.slice(257, 262) === 'ustar' || text.startsWith('sys_info\0')) return oldCheckpoint(path, 'tar')
  // Pickles since protocol 2 start with an opcode, the version, and another opcode, where a header's length would have
  // zeros.
  const [proto, version = 0, opcode] = head
  if (proto === 0x80 && version >= 2 && version <= 5 && opcode !== 0) return oldCheckpoint(path, 'pickle')
  if (text.startsWith('GGUF')) return ggufFile(path)
  if (/^\s*<(?:!doctype|html|\?xml)/i.test(text)) return webPage(path)
  if (text.length >= 8 && /^[\t\n\r -~]+$/.test(text)) return textFile(path, text.slice(0, 40))
  return undefined
}
