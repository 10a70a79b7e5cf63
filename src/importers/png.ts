import { inflateSync } from 'node:zlib'

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
/** The most bytes that one compressed text may hold. */
const MOST_TEXT = 16 * 1024 * 1024

/** True for the first bytes of a PNG. */
export const isPng = (bytes: Buffer): boolean => bytes.subarray(0, SIGNATURE.length).equals(SIGNATURE)

const inflated = (bytes: Buffer): Buffer | undefined => {
  try {
    return inflateSync(bytes, { maxOutputLength: MOST_TEXT })
  } catch {
    return undefined
  }
}

/** Keyword and text of a chunk; undefined where it has none, or none that can be read. Source: PNG, 3rd edition, 11.3.3. */
const textOf = (type: string, data: Buffer): readonly [string, string] | undefined => {
  const end = data.indexOf(0)
  if (end < 1) return undefined
  const keyword = data.toString('latin1', 0, end)
  if (type === 'tEXt') return [keyword, decode(data.subarray(end + 1))]
  if (type === 'zTXt') {
    const text = inflated(data.subarray(end + 2))
    return text === undefined ? undefined : [keyword, decode(text)]
  }
  const language = data.indexOf(0, end + 3)
  const translated = language === -1 ? -1 : data.indexOf(0, language + 1)
  if (translated === -1) return undefined
  const rest = data.subarray(translated + 1)
  const text = data[end + 1] === 1 ? inflated(rest) : rest
  return text === undefined ? undefined : [keyword, text.toString('utf8')]
}

/** Latin-1, as the format has it, or UTF-8, as some programs write it. */
const decode = (bytes: Buffer): string => {
  const text = bytes.toString('utf8')
  return text.includes('\ufffd') ? bytes.toString('latin1') : text
}

/** The texts of a PNG by keyword; of a keyword given twice the first. A file that is cut off gives what came before. */
export const pngTexts = (bytes: Buffer): ReadonlyMap<string, string> => {
  const texts = new Map<string, string>()
  for (let at = SIGNATURE.length; at + 12 <= bytes.length;) {
    const length = bytes.readUInt32BE(at)
    const type = bytes.toString('latin1', at + 4, at + 8)
    const end = at + 8 + length
    if (end + 4 > bytes.length) break
    const found = /^(tEXt|zTXt|iTXt)$/.test(type) ? textOf(type, bytes.subarray(at + 8, end)) : undefined
    if (found !== undefined && !texts.has(found[0])) texts.set(found[0], found[1])
    at = end + 4
  }
  return texts
}
