import * as zlib from 'node:zlib'

/** A file of an archive, and what its records say other than the truth. */
export interface ZippedFile {
  readonly name: string
  readonly bytes: Buffer
  readonly compressed?: boolean
  /** Sizes follow the data, as in streams and as PyTorch writes them. */
  readonly descriptor?: boolean
  /** Sizes and offset stand in 64 bits. */
  readonly zip64?: boolean
  readonly flags?: number
  readonly crc?: number
  /** What the directory claims. */
  readonly directory?: {
    readonly name?: string
    readonly size?: number
    readonly packed?: number
    readonly offset?: number
  }
  /** What the header in front of the data claims. */
  readonly local?: {
    readonly size?: number
    readonly crc?: number
    readonly method?: number
    readonly signature?: number
  }
  readonly padding?: number
}

/** What the records at the end of an archive say. */
export interface ZipEnd {
  readonly zip64?: boolean
  readonly comment?: Buffer
  readonly count?: number
  readonly directoryAt?: number
  readonly disk?: number
}

const record = (...fields: readonly (readonly [bytes: 2 | 4 | 8, value: number])[]): Buffer => {
  const parts = fields.map(([bytes, value]) => {
    const buffer = Buffer.alloc(bytes)
    if (bytes === 8) buffer.writeBigUInt64LE(BigInt(value))
    else buffer.writeUIntLE(value, 0, bytes)
    return buffer
  })
  return Buffer.concat(parts)
}

const WIDE = 0xffffffff

/** Writes a zip archive; `files` in the order of their bytes. */
export const writeZip = (files: readonly ZippedFile[], end: ZipEnd = {}): Buffer => {
  const [parts, directory]: [Buffer[], Buffer[]] = [[], []]
  let at = 0
  const push = (part: Buffer): void => {
    parts.push(part)
    at += part.length
  }
  for (const file of files) {
    const { name, bytes, compressed = false, descriptor = false, zip64 = false, flags = 0, padding = 0 } = file
    const data = compressed ? zlib.deflateRawSync(bytes) : bytes
    const crc = file.crc ?? (typeof zlib.crc32 === 'function' ? zlib.crc32(bytes) : 0)
    const method = compressed ? 8 : 0
    const bits = flags | (descriptor ? 8 : 0)
    const [size, packed] = [file.directory?.size ?? bytes.length, file.directory?.packed ?? data.length]
    const offset = file.directory?.offset ?? at
    const localSize = descriptor ? 0 : zip64 ? WIDE : (file.local?.size ?? data.length)
    const localExtra = Buffer.concat([
      zip64 && !descriptor ? record([2, 1], [2, 16], [8, bytes.length], [8, data.length]) : Buffer.alloc(0),
      Buffer.alloc(padding, 0x5a),
    ])
    push(
      Buffer.concat([
        record([4, file.local?.signature ?? 0x04034b50], [2, 45], [2, bits], [2, file.local?.method ?? method], [4, 0]),
        record(
          [4, descriptor ? 0 : (file.local?.crc ?? crc)],
          [4, localSize],
          [4, descriptor ? 0 : zip64 ? WIDE : bytes.length],
        ),
        record([2, Buffer.byteLength(name)], [2, localExtra.length]),
        Buffer.from(name),
        localExtra,
      ]),
    )
    push(data)
    if (descriptor) push(record([4, 0x08074b50], [4, crc], [4, data.length], [4, bytes.length]))
    const listed = Buffer.from(file.directory?.name ?? name)
    const extra = zip64 ? record([2, 1], [2, 24], [8, size], [8, packed], [8, offset]) : Buffer.alloc(0)
    directory.push(
      record([4, 0x02014b50], [2, 45], [2, 45], [2, bits], [2, method], [4, 0], [4, crc]),
      record([4, zip64 ? WIDE : packed], [4, zip64 ? WIDE : size], [2, listed.length], [2, extra.length], [2, 0]),
      record([2, 0], [2, 0], [4, 0], [4, zip64 ? WIDE : offset]),
      listed,
      extra,
    )
  }
  const listed = Buffer.concat(directory)
  const [count, begin, disk] = [end.count ?? files.length, end.directoryAt ?? at, end.disk ?? 0]
  push(listed)
  if (end.zip64 === true) {
    const recordAt = at
    push(
      Buffer.concat([
        record([4, 0x06064b50], [8, 44], [2, 45], [2, 45], [4, disk], [4, disk]),
        record([8, count], [8, count], [8, listed.length], [8, begin]),
      ]),
    )
    push(record([4, 0x07064b50], [4, 0], [8, recordAt], [4, 1]))
  }
  const comment = end.comment ?? Buffer.alloc(0)
  push(
    Buffer.concat([
      record([4, 0x06054b50], [2, disk], [2, disk], [2, count], [2, count]),
      end.zip64 === true ? record([4, WIDE], [4, WIDE]) : record([4, listed.length], [4, begin]),
      record([2, comment.length]),
      comment,
    ]),
  )
  return Buffer.concat(parts)
}

/** A checkpoint as `torch.save` packs it: a pickle, the byte order, and storages by their keys. */
export const checkpointFiles = (pickle: Buffer, storages: Readonly<Record<string, Buffer>> = {}): ZippedFile[] => [
  { name: 'archive/data.pkl', bytes: pickle, descriptor: true },
  { name: 'archive/byteorder', bytes: Buffer.from('little'), descriptor: true, padding: 40 },
  ...Object.entries(storages).map(([key, bytes]): ZippedFile => ({
    name: `archive/data/${key}`,
    bytes,
    descriptor: true,
    padding: 17,
  })),
  { name: 'archive/version', bytes: Buffer.from('3\n'), descriptor: true },
]

/** A whole checkpoint. */
export const writeCheckpoint = (pickle: Buffer, storages: Readonly<Record<string, Buffer>> = {}): Buffer =>
  writeZip(checkpointFiles(pickle, storages), { zip64: true })
