import { blake3 as hashOnce, Blake3Hasher } from '@napi-rs/blake-hash'

/** A BLAKE3 digest in lower-case hex, as `blake3:<64 hex digits>`. */
export type Digest = string & { readonly __brand: 'Digest' }

/** Elements that one segment digest covers. Fixed for ever: a tensor's digest must not depend on workers or chunks. */
export const SEGMENT = 1 << 20

/** Takes bytes in pieces and gives their 32-byte BLAKE3. */
export interface Hasher {
  update(bytes: Uint8Array): void
  digest(): Uint8Array
}

/** A hasher of the bytes it is given, which it reads in place. */
export const createHasher = (): Hasher => {
  const hasher = new Blake3Hasher()
  return {
    update: (bytes) => void hasher.update(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)),
    digest: () => hasher.digestBuffer(),
  }
}

/** The 32-byte BLAKE3 of some bytes. */
export const blake3 = (...parts: readonly (Uint8Array | string)[]): Uint8Array => blake3Of(parts)

const toBuffer = (part: Uint8Array | string): Buffer =>
  typeof part === 'string' ? Buffer.from(part) : Buffer.from(part.buffer, part.byteOffset, part.byteLength)

const blake3Of = (parts: readonly (Uint8Array | string)[]): Uint8Array => {
  // A hasher takes three times as long as what it is mostly asked for: one short text.
  if (parts.length === 1) return hashOnce(toBuffer(parts[0]!))
  const hasher = createHasher()
  for (const part of parts) hasher.update(toBuffer(part))
  return hasher.digest()
}

/** Writes 32 digest bytes the way locks and summaries show them. */
export const toDigest = (bytes: Uint8Array): Digest => `blake3:${Buffer.from(bytes).toString('hex')}` as Digest

/**
 * The first 128 bits of the BLAKE3 of a text, as 32 hex digits: enough to tell apart whatever is kept, not to withstand
 * who wants to deceive.
 */
export const shortDigest = (text: string): string => Buffer.from(blake3(text)).toString('hex', 0, 16)

/** Bytes of a digest. */
export const DIGEST_BYTES = 32

/** A tensor's digest: BLAKE3 over the BLAKE3 of each segment of {@link SEGMENT} elements, in order. */
export const tensorDigest = (segments: readonly Uint8Array[]): Digest => toDigest(blake3Of(segments))

/** The digest of a tensor without elements. */
export const EMPTY_DIGEST: Digest = tensorDigest([])

/** What a file's content digest is taken over. */
export interface DigestedTensor {
  readonly name: string
  readonly dtype: string
  readonly shape: readonly number[]
  readonly digest: Digest
}

/**
 * A model's content digest: names, dtypes, shapes and tensor digests sorted by name; sharding, header layout and
 * metadata do not enter.
 */
export const contentDigest = (tensors: readonly DigestedTensor[]): Digest => {
  const sorted = [...tensors].sort((x, y) => (x.name < y.name ? -1 : x.name > y.name ? 1 : 0))
  return toDigest(blake3(JSON.stringify(sorted.map((t) => [t.name, t.dtype, t.shape, t.digest]))))
}
