const [RIFF, WEBP, EXIF] = ['RIFF', 'WEBP', 'EXIF']
/** The kind of an entry of Exif that is a text, and the bytes of an entry. */
const [TEXT, ENTRY] = [2, 12]
/** The fewest bytes of a text that is read, and where its keyword ends at the latest. */
const LEAST = 16

const nameAt = (bytes: Buffer, at: number): string => bytes.toString('latin1', at, at + 4)

/** True for the first bytes of a WebP. */
export const isWebp = (bytes: Buffer): boolean =>
  bytes.length >= 12 && nameAt(bytes, 0) === RIFF && nameAt(bytes, 8) === WEBP

/**
 * Adds the texts of Exif's first directory that begin with a keyword and a colon, of each keyword the first.
 * Source: Exif 2.32, 4.6.2.
 */
const addExif = (bytes: Buffer, texts: Map<string, string>): void => {
  const tiff = nameAt(bytes, 0) === 'Exif' ? bytes.subarray(6) : bytes
  if (tiff.length < 8) return
  const isLittle = tiff.toString('latin1', 0, 2) === 'II'
  const short = (at: number): number => (isLittle ? tiff.readUInt16LE(at) : tiff.readUInt16BE(at))
  const long = (at: number): number => (isLittle ? tiff.readUInt32LE(at) : tiff.readUInt32BE(at))
  const directory = long(4)
  if (directory + 2 > tiff.length) return
  for (let i = 0; i < short(directory); i++) {
    const at = directory + 2 + i * ENTRY
    if (at + ENTRY > tiff.length) return
    const [kind, length, from] = [short(at + 2), long(at + 4), long(at + 8)]
    if (kind !== TEXT || length < LEAST || from + length > tiff.length) continue
    const [, keyword] = /^(\w+):/.exec(tiff.toString('latin1', from, from + LEAST)) ?? []
    if (keyword !== undefined && !texts.has(keyword))
      texts.set(keyword, tiff.toString('utf8', from + keyword.length + 1, from + length).replace(/\0+$/, ''))
  }
}

/** The texts of a WebP by keyword, as ComfyUI writes them: `prompt:{…}` and `workflow:{…}` in its Exif. */
export const webpTexts = (bytes: Buffer): ReadonlyMap<string, string> => {
  const texts = new Map<string, string>()
  for (let at = 12; at + 8 <= bytes.length;) {
    const length = bytes.readUInt32LE(at + 4)
    if (nameAt(bytes, at) === EXIF) addExif(bytes.subarray(at + 8, at + 8 + length), texts)
    at += 8 + length + (length % 2)
  }
  return texts
}
