/**
 * The hashes that kohya's scripts write into the headers of LoRAs, and web UIs know them by. They depend on the numbers,
 * which are written after the header: a header has zeros in their places until it is finished.
 */
import { createHash, type Hash } from 'node:crypto'
import { readSync } from 'node:fs'
import { PREFIX } from './header.js'
import { layoutFile, type TensorOutline } from './layout.js'

const MODEL_HASH = 'sshs_model_hash'
const LEGACY_HASH = 'sshs_legacy_hash'
/** Hexadecimal digits. */
const DIGITS = { [MODEL_HASH]: 64, [LEGACY_HASH]: 8 }
/** The part of a file that the older hash is of. */
const [LEGACY_BEGIN, LEGACY_BYTES] = [0x100000, 0x10000]
/** Bytes that are read at a time. */
const CHUNK = 1 << 20

const placeOf = (key: keyof typeof DIGITS): RegExp => new RegExp(`(?<="${key}":")[0-9a-f]{${DIGITS[key]}}(?=")`)

/** Metadata that asks for the hashes. */
export const WEB_HASHES: ReadonlyMap<string, string> = new Map(
  Object.entries(DIGITS).map(([key, digits]) => [key, '0'.repeat(digits)]),
)

/** A header with other hashes in place of its own; itself where it has none. Inside of strings, quotes are escaped. */
const replaceHashes = (header: Uint8Array, hashOf: (key: keyof typeof DIGITS) => string): Uint8Array => {
  // One character is one byte here.
  const text = Buffer.from(header).toString('latin1')
  if (!placeOf(MODEL_HASH).test(text) || !placeOf(LEGACY_HASH).test(text)) return header
  const filled = text
    .replace(placeOf(MODEL_HASH), () => hashOf(MODEL_HASH))
    .replace(placeOf(LEGACY_HASH), () => hashOf(LEGACY_HASH))
  return Buffer.from(filled, 'latin1')
}

/** A finished header as it was before its hashes were known. */
export const withoutWebHashes = (header: Uint8Array): Uint8Array => replaceHashes(header, (key) => WEB_HASHES.get(key)!)

/** The length of the header of the same tensors with nothing but what the trainer says, which the older hash counts from. */
const trainersHeader = (header: Uint8Array): number => {
  const { __metadata__: metadata = {}, ...tensors } = JSON.parse(Buffer.from(header.subarray(PREFIX)).toString()) as {
    readonly __metadata__?: Readonly<Record<string, string>>
  } & Readonly<Record<string, Pick<TensorOutline, 'dtype' | 'shape'>>>
  return layoutFile(
    Object.entries(tensors).map(([name, { dtype, shape }]) => ({ name, dtype, shape })),
    Object.fromEntries(Object.entries(metadata).filter(([key]) => key.startsWith('ss_'))),
  ).header.length
}

/** Adds bytes of a file to a hash, as far as there are so many. Throws what reading throws. */
const hashBytes = (hash: Hash, fd: number, begin: number, end: number): void => {
  const chunk = new Uint8Array(CHUNK)
  for (let at = begin; at < end;) {
    const read = readSync(fd, chunk, 0, Math.min(CHUNK, end - at), at)
    if (read === 0) return
    hash.update(chunk.subarray(0, read))
    at += read
  }
}

/**
 * A header with the hashes of the numbers behind it, if it has places for them: the SHA-256 of everything after the
 * header, and the first digits of that of 64 KiB from 1 MiB on, in a file with a header as the trainer writes it. Throws
 * what reading throws.
 */
export const withWebHashes = (header: Uint8Array, fd: number): Uint8Array =>
  replaceHashes(header, (key) => {
    const hash = createHash('sha256')
    if (key === MODEL_HASH) hashBytes(hash, fd, header.length, Infinity)
    else {
      const begin = LEGACY_BEGIN + header.length - trainersHeader(header)
      hashBytes(hash, fd, begin, begin + LEGACY_BYTES)
    }
    return hash.digest('hex').slice(0, DIGITS[key])
  })
